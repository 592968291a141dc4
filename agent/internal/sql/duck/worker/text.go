package worker

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	bind "github.com/duckdb/duckdb-go-bindings"

	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// text renders one value in a form that PostgreSQL's type reads; only elements of
// lists travel as text.
func (f *form) text(v vector, row int) (string, error) {
	if f.convert == stringy {
		if f.typ.Kind == frame.Bytes {
			return `\x` + hex.EncodeToString(v.bytes(row)), nil
		}
		return string(v.bytes(row)), nil
	}
	b := frame.NewBatch([]frame.Type{f.typ})
	switch f.convert {
	case copied:
		size := f.typ.Size()
		b.Columns[0].AppendFixed(v.raw(row, size), nil)
	default:
		if err := f.value(b, 0, v, row); err != nil {
			return "", err
		}
	}
	return columnText(&b.Columns[0])
}

func columnText(c *frame.Column) (string, error) {
	switch c.Type.Kind {
	case frame.Bool:
		return strconv.FormatBool(c.Int(0) != 0), nil
	case frame.Int16, frame.Int32, frame.Int64:
		return strconv.FormatInt(c.Int(0), 10), nil
	case frame.Float32:
		return strconv.FormatFloat(c.Float(0), 'g', -1, 32), nil
	case frame.Float64:
		return strconv.FormatFloat(c.Float(0), 'g', -1, 64), nil
	case frame.Decimal:
		return decimalText(c), nil
	case frame.UUID:
		u := c.UUID(0)
		h := hex.EncodeToString(u[:])
		return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], nil
	case frame.Date:
		return time.Unix(c.Int(0)*86400, 0).UTC().Format(time.DateOnly), nil
	case frame.Timestamp:
		return time.UnixMicro(c.Int(0)).UTC().Format("2006-01-02 15:04:05.999999"), nil
	case frame.TimestampTZ:
		return time.UnixMicro(c.Int(0)).UTC().Format("2006-01-02 15:04:05.999999+00"), nil
	case frame.Time:
		return time.UnixMicro(c.Int(0)).UTC().Format("15:04:05.999999"), nil
	case frame.Interval:
		months, days, micros := c.Interval(0)
		return fmt.Sprintf("%d mons %d days %d microseconds", months, days, micros), nil
	default:
	}
	return "", &failure{bind.ErrorTypeNotImplemented, "arrays of this type"}
}

func decimalText(c *frame.Column) string {
	var x *big.Int
	if c.Type.Size() == 16 {
		high, low := c.Int128(0)
		x = new(big.Int).Lsh(big.NewInt(high), 64)
		x.Add(x, new(big.Int).SetUint64(low))
	} else {
		x = big.NewInt(c.Int(0))
	}
	scale := int(c.Type.Scale)
	s := new(big.Int).Abs(x).String()
	if len(s) <= scale {
		s = strings.Repeat("0", scale-len(s)+1) + s
	}
	if scale > 0 {
		s = s[:len(s)-scale] + "." + s[len(s)-scale:]
	}
	if x.Sign() < 0 {
		s = "-" + s
	}
	return s
}

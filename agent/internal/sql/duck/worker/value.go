package worker

import (
	"strconv"
	"unsafe"

	bind "github.com/duckdb/duckdb-go-bindings"

	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// value makes the DuckDB value of the first row of a column of arguments.
func value(c *frame.Column) bind.Value {
	if c.IsNull(0) {
		return bind.CreateNullValue()
	}
	if c.Type.List {
		return listValue(c.Bytes(0))
	}
	switch c.Type.Kind {
	case frame.Bool:
		return bind.CreateBool(c.Int(0) != 0)
	case frame.Int16:
		return bind.CreateInt16(int16(c.Int(0)))
	case frame.Int32:
		return bind.CreateInt32(int32(c.Int(0)))
	case frame.Int64:
		return bind.CreateInt64(c.Int(0))
	case frame.Float32:
		return bind.CreateFloat(float32(c.Float(0)))
	case frame.Float64:
		return bind.CreateDouble(c.Float(0))
	case frame.Decimal:
		return bind.CreateDecimal(bind.NewDecimal(c.Type.Width, c.Type.Scale, hugeInt(c)))
	case frame.Bytes:
		return bind.CreateBlob(c.Bytes(0))
	case frame.UUID:
		high, low := c.Int128(0)
		return bind.CreateUUID(bind.NewUHugeInt(low, uint64(high)^1<<63))
	case frame.Date:
		return bind.CreateDate(bind.NewDate(int32(c.Int(0))))
	case frame.Timestamp:
		return bind.CreateTimestamp(bind.NewTimestamp(c.Int(0)))
	case frame.TimestampTZ:
		return bind.CreateTimestampTZ(bind.NewTimestamp(c.Int(0)))
	case frame.Time:
		return bind.CreateTime(bind.NewTime(c.Int(0)))
	case frame.Interval:
		months, days, micros := c.Interval(0)
		return bind.CreateInterval(bind.NewInterval(months, days, micros))
	default:
	}
	return stringValue(c.Bytes(0))
}

func hugeInt(c *frame.Column) bind.HugeInt {
	if c.Type.Size() == 16 {
		high, low := c.Int128(0)
		return bind.NewHugeInt(low, high)
	}
	v := c.Int(0)
	return bind.NewHugeInt(uint64(v), v>>63)
}

func stringValue(p []byte) bind.Value {
	return bind.CreateVarcharLength(unsafe.String(unsafe.SliceData(p), len(p)), bind.IdxT(len(p)))
}

// listValue makes a list of strings; the statement casts it.
func listValue(p []byte) bind.Value {
	texts, err := frame.DecodeList(p)
	if err != nil {
		return bind.CreateNullValue()
	}
	element := bind.CreateLogicalType(bind.TypeVarchar)
	defer bind.DestroyLogicalType(&element)
	values := make([]bind.Value, len(texts))
	for i, t := range texts {
		if t == nil {
			values[i] = bind.CreateNullValue()
		} else {
			values[i] = stringValue([]byte(*t))
		}
	}
	list := bind.CreateListValue(element, values)
	for i := range values {
		bind.DestroyValue(&values[i])
	}
	return list
}

// listElements puts the elements of all lists of a column into one.
func listElements(c *frame.Column, rows int) (*frame.Batch, []uint64, error) {
	t := c.Type
	t.List = false
	out := frame.NewBatch([]frame.Type{t})
	ends := make([]uint64, rows)
	for row := range rows {
		if !c.IsNull(row) {
			texts, err := frame.DecodeList(c.Bytes(row))
			if err != nil {
				return nil, nil, err
			}
			for _, s := range texts {
				if err := appendText(out, s); err != nil {
					return nil, nil, err
				}
			}
		}
		ends[row] = uint64(out.Rows())
	}
	return out, ends, nil
}

// appendText appends an element given as text.
func appendText(b *frame.Batch, s *string) error {
	defer b.FinishRow()
	if s == nil {
		b.Null(0)
		return nil
	}
	switch t := b.Columns[0].Type; t.Kind {
	case frame.Bool:
		b.Bool(0, *s == "t" || *s == "true")
	case frame.Int16, frame.Int32, frame.Int64:
		v, err := strconv.ParseInt(*s, 10, 8*t.Size())
		if err != nil {
			return err
		}
		b.Int(0, v)
	case frame.Float64:
		v, err := strconv.ParseFloat(*s, 64)
		if err != nil {
			return err
		}
		b.Float(0, v)
	default:
		b.String(0, *s)
	}
	return nil
}

package worker

import (
	"errors"
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
		return listValue(c)
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
	case frame.TimeTZ:
		return bind.CreateTimeTZValue(bind.NewTimeTZ(uint64(c.Int(0))))
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

func listValue(c *frame.Column) bind.Value {
	elements, err := frame.DecodeList(c.Bytes(0))
	if err != nil {
		return bind.CreateNullValue()
	}
	t := c.Type
	t.List = false
	element := logicalType(t)
	defer bind.DestroyLogicalType(&element)
	one := frame.NewBatch([]frame.Type{t})
	values := make([]bind.Value, len(elements))
	for i, e := range elements {
		one.Reset()
		if e == nil || !one.Value(0, *e) {
			values[i] = bind.CreateNullValue()
		} else {
			values[i] = value(&one.Columns[0])
		}
	}
	list := bind.CreateListValue(element, values)
	for i := range values {
		bind.DestroyValue(&values[i])
	}
	return list
}

var errElement = errors.New("malformed element of a list")

// listElements puts the elements of all lists of a column into one.
func listElements(c *frame.Column, rows int) (*frame.Batch, []uint64, error) {
	t := c.Type
	t.List = false
	out := frame.NewBatch([]frame.Type{t})
	ends := make([]uint64, rows)
	for row := range rows {
		if !c.IsNull(row) {
			elements, err := frame.DecodeList(c.Bytes(row))
			if err != nil {
				return nil, nil, err
			}
			for _, e := range elements {
				if e == nil {
					out.Null(0)
				} else if !out.Value(0, *e) {
					return nil, nil, errElement
				}
				out.FinishRow()
			}
		}
		ends[row] = uint64(out.Rows())
	}
	out.FinishColumn(0)
	return out, ends, nil
}

package worker

import (
	"fmt"
	"unsafe"

	bind "github.com/duckdb/duckdb-go-bindings"

	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// splitBytes is the size of variable values above which a chunk is sent in parts.
const splitBytes = 4 << 20

// maxValueBytes is the longest value of a result. It is copied several times on its
// way to the client. The macros know the number too.
const maxValueBytes = 64 << 20

func tooLong(n int) error {
	return &failure{bind.ErrorTypeOutOfRange, fmt.Sprintf("ND54000 a value of %d bytes is longer than the limit of %d", n, maxValueBytes)}
}

// convert says how a vector becomes a column.
type convert uint8

const (
	copied   convert = iota // the memory is the same
	widened                 // integers that PostgreSQL has not
	stringy                 // string_t
	rendered                // NULLs without a type
	scaled                  // timestamps of other units
	listed
)

// form is how one column of a result travels.
type form struct {
	typ     frame.Type
	convert convert
	native  bind.Type
	child   *form // of a list
	unit    int64 // scaled: microseconds per unit, negative: units per microsecond
}

// formOf finds the form of a DuckDB type. The caller keeps t.
func formOf(t bind.LogicalType) (form, error) {
	id := bind.GetTypeId(t)
	f := form{native: id}
	switch id {
	case bind.TypeVarchar:
		f.convert, f.typ.Kind = stringy, frame.Text
		if bind.LogicalTypeGetAlias(t) == "JSON" {
			f.typ.Kind = frame.JSON
		}
	case bind.TypeDecimal:
		f.typ = frame.Type{Kind: frame.Decimal, Width: bind.DecimalWidth(t), Scale: bind.DecimalScale(t)}
	case bind.TypeList:
		child := bind.ListTypeChildType(t)
		defer bind.DestroyLogicalType(&child)
		c, err := formOf(child)
		if err != nil {
			return f, err
		}
		if c.convert == listed {
			return f, &failure{bind.ErrorTypeNotImplemented, "arrays of arrays"}
		}
		f.convert, f.child, f.typ = listed, &c, c.typ
		f.typ.List = true
	case bind.TypeStruct, bind.TypeMap, bind.TypeUnion, bind.TypeArray, bind.TypeVariant, bind.TypeGeometry, bind.TypeBit, bind.TypeBigNum, bind.TypeEnum:
		return f, &failure{bind.ErrorTypeNotImplemented, "ND0A000 a row as a value in this place of a statement is not supported"}
	default:
		return simpleForm(f)
	}
	return f, nil
}

func simpleForm(f form) (form, error) {
	simple, ok := map[bind.Type]form{
		bind.TypeBoolean: {typ: frame.Type{Kind: frame.Bool}}, bind.TypeSmallInt: {typ: frame.Type{Kind: frame.Int16}},
		bind.TypeInteger: {typ: frame.Type{Kind: frame.Int32}}, bind.TypeBigInt: {typ: frame.Type{Kind: frame.Int64}},
		bind.TypeFloat: {typ: frame.Type{Kind: frame.Float32}}, bind.TypeDouble: {typ: frame.Type{Kind: frame.Float64}},
		bind.TypeUUID: {typ: frame.Type{Kind: frame.UUID}}, bind.TypeDate: {typ: frame.Type{Kind: frame.Date}},
		bind.TypeTimestamp: {typ: frame.Type{Kind: frame.Timestamp}}, bind.TypeTimestampTZ: {typ: frame.Type{Kind: frame.TimestampTZ}},
		bind.TypeTime: {typ: frame.Type{Kind: frame.Time}}, bind.TypeTimeTZ: {typ: frame.Type{Kind: frame.TimeTZ}}, bind.TypeInterval: {typ: frame.Type{Kind: frame.Interval}},
		bind.TypeHugeInt:     {typ: frame.Type{Kind: frame.Decimal, Width: frame.MaxDecimalWidth}},
		bind.TypeBlob:        {typ: frame.Type{Kind: frame.Bytes}, convert: stringy},
		bind.TypeSQLNull:     {typ: frame.Type{Kind: frame.Text}, convert: rendered},
		bind.TypeTinyInt:     {typ: frame.Type{Kind: frame.Int16}, convert: widened},
		bind.TypeUTinyInt:    {typ: frame.Type{Kind: frame.Int16}, convert: widened},
		bind.TypeUSmallInt:   {typ: frame.Type{Kind: frame.Int32}, convert: widened},
		bind.TypeUInteger:    {typ: frame.Type{Kind: frame.Int64}, convert: widened},
		bind.TypeUBigInt:     {typ: frame.Type{Kind: frame.Decimal, Width: 20}, convert: widened},
		bind.TypeTimestampS:  {typ: frame.Type{Kind: frame.Timestamp}, convert: scaled, unit: 1_000_000},
		bind.TypeTimestampMS: {typ: frame.Type{Kind: frame.Timestamp}, convert: scaled, unit: 1_000},
		bind.TypeTimestampNS: {typ: frame.Type{Kind: frame.Timestamp}, convert: scaled, unit: -1_000},
	}[f.native]
	if !ok {
		return f, &failure{bind.ErrorTypeNotImplemented, fmt.Sprintf("a result of the native type %d", f.native)}
	}
	simple.native = f.native
	return simple, nil
}

// result encodes the chunks of one result.
type result struct {
	forms []form
	batch *frame.Batch
	buf   []byte
}

func newResult(res *bind.Result) (*result, error) {
	n := int(bind.ColumnCount(res))
	out := &result{forms: make([]form, n)}
	types := make([]frame.Type, n)
	for i := range n {
		t := bind.ColumnLogicalType(res, bind.IdxT(i))
		f, err := formOf(t)
		bind.DestroyLogicalType(&t)
		if err != nil {
			return nil, err
		}
		out.forms[i], types[i] = f, f.typ
	}
	out.batch = frame.NewBatch(types)
	return out, nil
}

// vector is the memory of a DuckDB vector.
type vector struct {
	data  unsafe.Pointer
	valid unsafe.Pointer // nil: no NULL
	vec   bind.Vector
}

func vectorOf(v bind.Vector) vector {
	return vector{bind.VectorGetData(v), bind.VectorGetValidity(v), v}
}

func (v vector) null(row int) bool {
	return v.valid != nil && *(*uint64)(unsafe.Add(v.valid, row>>6*8))&(1<<(row&63)) == 0
}

// bytes returns string_t number row: a length, then the bytes or a prefix and a pointer.
func (v vector) bytes(row int) []byte {
	p := unsafe.Add(v.data, row*16)
	n := *(*uint32)(p)
	if n <= 12 {
		return unsafe.Slice((*byte)(unsafe.Add(p, 4)), n)
	}
	return unsafe.Slice(*(**byte)(unsafe.Add(p, 8)), n)
}

func (v vector) raw(row, size int) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(v.data, row*size)), size)
}

func at[T any](v vector, row int) T {
	return *(*T)(unsafe.Add(v.data, row*int(unsafe.Sizeof(*new(T)))))
}

// send encodes a chunk and sends it, in parts if it is large.
func (r *result) send(chunk bind.DataChunk, to *frame.Conn) error {
	rows := int(bind.DataChunkGetSize(chunk))
	vectors := make([]vector, len(r.forms))
	large := 0
	for i := range vectors {
		vectors[i] = vectorOf(bind.DataChunkGetVector(chunk, bind.IdxT(i)))
		if r.forms[i].convert == stringy {
			for row := range rows {
				if vectors[i].null(row) {
					continue
				}
				n := len(vectors[i].bytes(row))
				if n > maxValueBytes {
					return tooLong(n)
				}
				large += n
			}
		}
	}
	step := max(rows, 1)
	if large > splitBytes {
		step = max(1, rows*splitBytes/large) &^ 63 // whole words of validity bits
		step = max(step, 64)
	}
	for from := 0; from < rows; from += step {
		n := min(step, rows-from)
		r.batch.Reset()
		for i := range r.forms {
			if err := r.forms[i].append(r.batch, i, vectors[i], from, n); err != nil {
				return err
			}
		}
		r.batch.SetRows(n)
		r.buf = r.batch.Encode(r.buf[:0])
		if err := to.Send(frame.Rows, r.buf); err != nil {
			return err
		}
	}
	return nil
}

// append adds n rows of v, beginning with from, to column i of b. from is a
// multiple of 64.
func (f *form) append(b *frame.Batch, i int, v vector, from, n int) error {
	if f.convert == copied {
		size := f.typ.Size()
		var valid []uint64
		if v.valid != nil {
			valid = unsafe.Slice((*uint64)(unsafe.Add(v.valid, from/8)), (n+63)/64)
		}
		b.Columns[i].AppendFixed(unsafe.Slice((*byte)(unsafe.Add(v.data, from*size)), n*size), valid)
		return nil
	}
	for row := range n {
		b.SetRows(row)
		if v.null(from + row) {
			b.Null(i)
		} else if err := f.value(b, i, v, from+row); err != nil {
			return err
		}
	}
	return nil
}

func (f *form) value(b *frame.Batch, i int, v vector, row int) error {
	switch f.convert {
	case stringy:
		b.Bytes(i, v.bytes(row))
	case widened:
		switch f.native {
		case bind.TypeTinyInt:
			b.Int(i, int64(at[int8](v, row)))
		case bind.TypeUTinyInt:
			b.Int(i, int64(at[uint8](v, row)))
		case bind.TypeUSmallInt:
			b.Int(i, int64(at[uint16](v, row)))
		case bind.TypeUInteger:
			b.Int(i, int64(at[uint32](v, row)))
		case bind.TypeUBigInt:
			b.Int128(i, 0, at[uint64](v, row))
		}
	case scaled:
		x := at[int64](v, row)
		if f.unit > 0 {
			x *= f.unit
		} else {
			x /= -f.unit
		}
		b.Int(i, x)
	case listed:
		p, err := f.list(v, row)
		if err != nil {
			return err
		}
		b.Bytes(i, p)
	default:
		b.Bytes(i, nil) // only NULL has no type
	}
	return nil
}

// list encodes a list value.
func (f *form) list(v vector, row int) ([]byte, error) {
	entry := at[[2]uint64](v, row)
	child := vectorOf(bind.ListVectorGetChild(v.vec))
	one := frame.NewBatch([]frame.Type{f.child.typ})
	elements := make([]*string, entry[1])
	for k := range elements {
		at := int(entry[0]) + k
		if child.null(at) {
			continue
		}
		one.Reset()
		if f.child.convert == copied {
			one.Columns[0].AppendFixed(child.raw(at, f.child.typ.Size()), nil)
		} else if err := f.child.value(one, 0, child, at); err != nil {
			return nil, err
		}
		s := string(one.Columns[0].Value(0))
		elements[k] = &s
	}
	return frame.EncodeList(nil, elements), nil
}

package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"
)

// Limits of a batch: MaxRows is the size of DuckDB's vectors; a batch is full at
// FullBytes, and so holds at most that and one row.
const (
	MaxRows   = 2048
	FullBytes = 1 << 20
)

var errBatch = errors.New("malformed batch")

// Batch is a run of rows, column by column.
type Batch struct {
	Columns []Column
	rows    int
	bytes   int
}

// Column holds the values of one column of a Batch. A NULL has a bit of 0 in
// valid and a zero value.
type Column struct {
	Type Type
	// data is the fixed-size values, or the bytes of all variable ones.
	data []byte
	// ends[i] is where value i of a variable column ends in data; ends[0] is 0 and
	// belongs to no value, so value i is data[ends[i]:ends[i+1]].
	ends  []uint32
	valid []uint64 // nil: no NULL
}

// NewBatch returns an empty batch.
func NewBatch(types []Type) *Batch {
	b := &Batch{Columns: make([]Column, len(types))}
	for i, t := range types {
		b.Columns[i].Type = t
		if t.Variable() {
			b.Columns[i].ends = make([]uint32, 1, 256)
		}
	}
	return b
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	for i := range b.Columns {
		c := &b.Columns[i]
		c.data, c.valid = c.data[:0], nil
		if c.ends != nil {
			c.ends = c.ends[:1]
		}
	}
	b.rows, b.bytes = 0, 0
}

// Rows is the number of finished rows.
func (b *Batch) Rows() int { return b.rows }

// Full says that the batch should be sent before another row is added.
func (b *Batch) Full() bool { return b.rows >= MaxRows || b.bytes >= FullBytes }

// FinishRow counts a row whose every column was appended.
func (b *Batch) FinishRow() { b.rows++ }

// Null appends a NULL to column i.
func (b *Batch) Null(i int) {
	c := &b.Columns[i]
	for len(c.valid) < MaxRows/64 || len(c.valid) <= b.rows>>6 {
		c.valid = append(c.valid, math.MaxUint64)
	}
	c.valid[b.rows>>6] &^= 1 << (b.rows & 63)
	if c.Type.Variable() {
		c.ends = append(c.ends, uint32(len(c.data)))
		return
	}
	var zero [16]byte
	c.data = append(c.data, zero[:c.Type.Size()]...)
}

// Bool appends to column i.
func (b *Batch) Bool(i int, v bool) {
	var x byte
	if v {
		x = 1
	}
	b.Columns[i].data = append(b.Columns[i].data, x)
	b.bytes++
}

// Int appends to column i a value of one of the integer, date, time kinds or of a
// narrow decimal; the value must fit.
func (b *Batch) Int(i int, v int64) {
	c := &b.Columns[i]
	size := c.Type.Size()
	b.bytes += size
	switch size {
	case 2:
		c.data = binary.NativeEndian.AppendUint16(c.data, uint16(v))
	case 4:
		c.data = binary.NativeEndian.AppendUint32(c.data, uint32(v))
	case 8:
		c.data = binary.NativeEndian.AppendUint64(c.data, uint64(v))
	case 16:
		b.Int128(i, v>>63, uint64(v))
	}
}

// Int128 appends a wide decimal, or a UUID in DuckDB's form, to column i.
func (b *Batch) Int128(i int, high int64, low uint64) {
	c := &b.Columns[i]
	c.data = binary.NativeEndian.AppendUint64(c.data, low)
	c.data = binary.NativeEndian.AppendUint64(c.data, uint64(high))
	b.bytes += 16
}

// UUID appends to column i.
func (b *Batch) UUID(i int, v [16]byte) {
	high := binary.BigEndian.Uint64(v[:8]) ^ 1<<63 // DuckDB flips the sign to keep the order
	b.Int128(i, int64(high), binary.BigEndian.Uint64(v[8:]))
}

// Interval appends to column i.
func (b *Batch) Interval(i int, months, days int32, micros int64) {
	c := &b.Columns[i]
	c.data = binary.NativeEndian.AppendUint32(c.data, uint32(months))
	c.data = binary.NativeEndian.AppendUint32(c.data, uint32(days))
	c.data = binary.NativeEndian.AppendUint64(c.data, uint64(micros))
	b.bytes += 16
}

// Float appends to column i.
func (b *Batch) Float(i int, v float64) {
	c := &b.Columns[i]
	if c.Type.Kind == Float32 {
		c.data = binary.NativeEndian.AppendUint32(c.data, math.Float32bits(float32(v)))
		b.bytes += 4
		return
	}
	c.data = binary.NativeEndian.AppendUint64(c.data, math.Float64bits(v))
	b.bytes += 8
}

// Bytes appends a variable value to column i.
func (b *Batch) Bytes(i int, v []byte) {
	c := &b.Columns[i]
	c.data = append(c.data, v...)
	c.ends = append(c.ends, uint32(len(c.data)))
	b.bytes += len(v) + 4
}

// String appends a variable value to column i.
func (b *Batch) String(i int, v string) {
	b.Bytes(i, unsafe.Slice(unsafe.StringData(v), len(v)))
}

// Value returns the value of row as it lies in memory: what a list holds of an element.
func (c *Column) Value(row int) []byte {
	if c.Type.Variable() {
		return c.Bytes(row)
	}
	size := c.Type.Size()
	return c.data[row*size : (row+1)*size]
}

// Value appends what Column.Value gave of a column of the same type to column i; false:
// it cannot have.
func (b *Batch) Value(i int, v string) bool {
	c := &b.Columns[i]
	if c.Type.Variable() {
		b.String(i, v)
		return true
	}
	if len(v) != c.Type.Size() {
		return false
	}
	c.data = append(c.data, v...)
	b.bytes += len(v)
	return true
}

// FinishColumn makes the validity bits of column i as long as its rows, which may be
// more than a vector has if they are the elements of lists.
func (b *Batch) FinishColumn(i int) {
	c := &b.Columns[i]
	for c.valid != nil && len(c.valid) <= b.rows>>6 {
		c.valid = append(c.valid, math.MaxUint64)
	}
}

// IsNull says whether the value of row is NULL.
func (c *Column) IsNull(row int) bool {
	return c.valid != nil && c.valid[row>>6]&(1<<(row&63)) == 0
}

// Int returns the value of row of an integer, date, time or narrow decimal column.
func (c *Column) Int(row int) int64 {
	switch c.Type.Size() {
	case 1:
		return int64(c.data[row])
	case 2:
		return int64(int16(binary.NativeEndian.Uint16(c.data[row*2:])))
	case 4:
		return int64(int32(binary.NativeEndian.Uint32(c.data[row*4:])))
	case 8:
		return int64(binary.NativeEndian.Uint64(c.data[row*8:]))
	}
	return 0
}

// Int128 returns the value of row of a wide decimal column.
func (c *Column) Int128(row int) (high int64, low uint64) {
	return int64(binary.NativeEndian.Uint64(c.data[row*16+8:])), binary.NativeEndian.Uint64(c.data[row*16:])
}

// UUID returns the value of row.
func (c *Column) UUID(row int) (v [16]byte) {
	high, low := c.Int128(row)
	binary.BigEndian.PutUint64(v[:8], uint64(high)^1<<63)
	binary.BigEndian.PutUint64(v[8:], low)
	return v
}

// Interval returns the value of row.
func (c *Column) Interval(row int) (months, days int32, micros int64) {
	p := c.data[row*16:]
	return int32(binary.NativeEndian.Uint32(p)), int32(binary.NativeEndian.Uint32(p[4:])), int64(binary.NativeEndian.Uint64(p[8:]))
}

// Float returns the value of row.
func (c *Column) Float(row int) float64 {
	if c.Type.Kind == Float32 {
		return float64(math.Float32frombits(binary.NativeEndian.Uint32(c.data[row*4:])))
	}
	return math.Float64frombits(binary.NativeEndian.Uint64(c.data[row*8:]))
}

// Bytes returns the value of row of a variable column, without copying.
func (c *Column) Bytes(row int) []byte { return c.data[c.ends[row]:c.ends[row+1]] }

// Raw returns the memory of the column: values, ends of variable values, and the
// validity bits (nil: no NULL).
func (c *Column) Raw() (data []byte, ends []uint32, valid []uint64) {
	return c.data, c.ends, c.valid
}

// AppendFixed appends rows of fixed-size values as they lie in memory, all valid
// but those with a 0 bit in valid (nil: none). The batch must be empty.
func (c *Column) AppendFixed(data []byte, valid []uint64) {
	c.data = append(c.data, data...)
	if valid != nil {
		c.valid = append(make([]uint64, 0, MaxRows/64), valid...)
	}
}

// SetRows declares the number of rows after AppendFixed.
func (b *Batch) SetRows(n int) { b.rows = n }

const batchHeader, columnHeader = 8, 8

// Encode appends the batch to dst, whose length must be a multiple of 8.
func (b *Batch) Encode(dst []byte) []byte {
	dst = binary.NativeEndian.AppendUint32(dst, uint32(b.rows))
	dst = binary.NativeEndian.AppendUint32(dst, uint32(len(b.Columns)))
	words := (b.rows + 63) / 64
	for i := range b.Columns {
		c := &b.Columns[i]
		var flags byte
		if c.valid != nil {
			flags = 1
		}
		if c.Type.List {
			flags |= 2
		}
		dst = append(dst, byte(c.Type.Kind), c.Type.Width, c.Type.Scale, flags)
		dst = binary.NativeEndian.AppendUint32(dst, uint32(len(c.data)))
		if c.valid != nil {
			dst = append(dst, asBytes(c.valid[:words])...)
		}
		if c.ends != nil {
			dst = pad(append(dst, asBytes(c.ends)...))
		}
		dst = pad(append(dst, c.data...))
	}
	return dst
}

// DecodeBatch reads a batch; its columns point into p, which must be 8-aligned.
func DecodeBatch(p []byte) (*Batch, error) {
	if len(p) < batchHeader || len(p)%8 != 0 {
		return nil, errBatch
	}
	rows, columns := binary.NativeEndian.Uint32(p), binary.NativeEndian.Uint32(p[4:])
	p = p[batchHeader:]
	if rows > MaxRows || int(columns) > len(p)/columnHeader {
		return nil, errBatch
	}
	b := &Batch{Columns: make([]Column, columns), rows: int(rows)}
	for i := range b.Columns {
		var err error
		if p, err = b.Columns[i].decode(p, int(rows)); err != nil {
			return nil, fmt.Errorf("column %d: %w", i, err)
		}
	}
	if len(p) != 0 {
		return nil, errBatch
	}
	return b, nil
}

func (c *Column) decode(p []byte, rows int) ([]byte, error) {
	if len(p) < columnHeader {
		return nil, errBatch
	}
	c.Type = Type{Kind: Kind(p[0]), Width: p[1], Scale: p[2], List: p[3]&2 != 0}
	flags, size := p[3], int(binary.NativeEndian.Uint32(p[4:]))
	p = p[columnHeader:]
	if !c.Type.Valid() || c.Type.Kind == Unknown || flags > 3 {
		return nil, errBatch
	}
	if flags&1 != 0 {
		n := (rows + 63) / 64 * 8
		if n > len(p) {
			return nil, errBatch
		}
		c.valid = asWords[uint64](p[:n])
		p = p[n:]
	}
	if c.Type.Variable() {
		n := (rows + 1) * 4
		if padded(n) > len(p) {
			return nil, errBatch
		}
		c.ends = asWords[uint32](p[:n])
		p = p[padded(n):]
		if err := checkEnds(c.ends, size); err != nil {
			return nil, err
		}
	} else if size != rows*c.Type.Size() {
		return nil, errBatch
	}
	if padded(size) > len(p) {
		return nil, errBatch
	}
	c.data = p[:size]
	return p[padded(size):], nil
}

func checkEnds(ends []uint32, size int) error {
	var last uint32
	for _, e := range ends {
		if e < last {
			return errBatch
		}
		last = e
	}
	if ends[0] != 0 || int(last) != size {
		return errBatch
	}
	return nil
}

func padded(n int) int { return (n + 7) &^ 7 }

func pad(p []byte) []byte {
	for len(p)%8 != 0 {
		p = append(p, 0)
	}
	return p
}

func asBytes[T uint32 | uint64](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}

func asWords[T uint32 | uint64](p []byte) []T {
	var zero T
	if len(p) == 0 {
		return make([]T, 0)
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&p[0])), len(p)/int(unsafe.Sizeof(zero)))
}

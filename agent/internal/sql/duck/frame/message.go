package frame

import (
	"encoding/binary"
	"errors"
)

var errMessage = errors.New("malformed message")

// Config is what a worker is told first.
type Config struct {
	Threads     int
	MemoryBytes int64
	SpillDir    string
	SpillBytes  int64
}

// Statement is the payload of Run.
type Statement struct {
	SQL      string
	TimeZone string
	Tables   []Shape // by slot
	Params   []Type  // by number - 1; Unknown: to be found out
	// Args is the encoded batch of one row of arguments; nil only describes.
	Args []byte
}

// Shape is what the worker knows of a table.
type Shape struct {
	Rows    int64
	InOrder bool // its rows have an order, which one thread keeps
	Columns []Field
}

// Field is a named type.
type Field struct {
	Name string
	Type Type
}

// Description is the payload of Described.
type Description struct {
	Columns []Field // nil if some parameter's type is Unknown
	Params  []Type
}

// Opened is the payload of ScanOpen.
type Opened struct {
	Scan    uint32
	Slot    uint32
	Credits uint32
	Columns []uint32
}

// Failure is the payload of Failed.
type Failure struct {
	Class   uint32 // duckdb_error_type
	Message string
}

// Encode returns the payload of Run.
func (s *Statement) Encode() []byte {
	var e encoder
	e.string(s.SQL)
	e.string(s.TimeZone)
	e.uint(uint64(len(s.Tables)))
	for i := range s.Tables {
		e.uint(uint64(s.Tables[i].Rows))
		e.buf = append(e.buf, flag(s.Tables[i].InOrder))
		e.fields(s.Tables[i].Columns)
	}
	e.types(s.Params)
	if s.Args == nil {
		return append(e.buf, 0)
	}
	e.buf = pad(append(e.buf, 1))
	return append(e.buf, s.Args...)
}

// DecodeStatement reads the payload of Run.
func DecodeStatement(p []byte) (*Statement, error) {
	d := decoder{buf: p}
	s := &Statement{SQL: d.string(), TimeZone: d.string()}
	for range d.count(2) {
		s.Tables = append(s.Tables, Shape{Rows: int64(d.uint()), InOrder: d.byte() == 1, Columns: d.fields()})
	}
	s.Params = d.types()
	execute := d.byte()
	if d.err == nil && execute == 1 {
		at := padded(len(p) - len(d.buf))
		if at > len(p) {
			return nil, errMessage
		}
		s.Args, d.buf = p[at:], nil
	}
	return s, d.end()
}

// Encode returns the payload of Described.
func (x *Description) Encode() []byte {
	var e encoder
	e.fields(x.Columns)
	e.types(x.Params)
	return e.buf
}

// DecodeDescription reads the payload of Described.
func DecodeDescription(p []byte) (*Description, error) {
	d := decoder{buf: p}
	x := &Description{Columns: d.fields(), Params: d.types()}
	return x, d.end()
}

// Encode returns the payload of ScanOpen.
func (o *Opened) Encode() []byte {
	var e encoder
	e.uint(uint64(o.Scan))
	e.uint(uint64(o.Slot))
	e.uint(uint64(o.Credits))
	e.uint(uint64(len(o.Columns)))
	for _, c := range o.Columns {
		e.uint(uint64(c))
	}
	return e.buf
}

// DecodeOpened reads the payload of ScanOpen.
func DecodeOpened(p []byte) (*Opened, error) {
	d := decoder{buf: p}
	o := &Opened{Scan: d.uint32(), Slot: d.uint32(), Credits: d.uint32()}
	for range d.count(1) {
		o.Columns = append(o.Columns, d.uint32())
	}
	return o, d.end()
}

// Encode returns the payload of Failed.
func (f *Failure) Encode() []byte {
	var e encoder
	e.uint(uint64(f.Class))
	e.string(f.Message)
	return e.buf
}

// DecodeFailure reads the payload of Failed.
func DecodeFailure(p []byte) (*Failure, error) {
	d := decoder{buf: p}
	f := &Failure{Class: d.uint32(), Message: d.string()}
	return f, d.end()
}

// EncodeNumbers returns the payload of ScanCredit (scan, credits) and ScanClose (scan).
func EncodeNumbers(n ...uint32) []byte {
	var e encoder
	for _, x := range n {
		e.uint(uint64(x))
	}
	return e.buf
}

// DecodeNumbers reads what EncodeNumbers wrote into n.
func DecodeNumbers(p []byte, n ...*uint32) error {
	d := decoder{buf: p}
	for _, x := range n {
		*x = d.uint32()
	}
	return d.end()
}

// EncodeScanFailed returns the payload of ScanFailed.
func EncodeScanFailed(scan uint32, message string) []byte {
	var e encoder
	e.uint(uint64(scan))
	e.string(message)
	return e.buf
}

// DecodeScanFailed reads the payload of ScanFailed.
func DecodeScanFailed(p []byte) (scan uint32, message string, err error) {
	d := decoder{buf: p}
	scan, message = d.uint32(), d.string()
	return scan, message, d.end()
}

// EncodeScanRows appends the payload of ScanRows to dst, which must be empty.
func EncodeScanRows(dst []byte, scan uint32, last bool, b *Batch) []byte {
	var flag uint32
	if last {
		flag = 1
	}
	dst = binary.NativeEndian.AppendUint32(dst, scan)
	dst = binary.NativeEndian.AppendUint32(dst, flag)
	return b.Encode(dst)
}

// DecodeScanRows reads the payload of ScanRows.
func DecodeScanRows(p []byte) (scan uint32, last bool, b *Batch, err error) {
	if len(p) < 8 {
		return 0, false, nil, errMessage
	}
	b, err = DecodeBatch(p[8:])
	return binary.NativeEndian.Uint32(p), binary.NativeEndian.Uint32(p[4:]) == 1, b, err
}

// EncodeList appends a list value: its elements as Column.Value has them, nil for NULL.
func EncodeList(dst []byte, elements []*string) []byte {
	e := encoder{buf: dst}
	e.uint(uint64(len(elements)))
	for _, t := range elements {
		if t == nil {
			e.uint(0)
			continue
		}
		e.uint(1)
		e.string(*t)
	}
	return e.buf
}

// DecodeList reads what EncodeList wrote.
func DecodeList(p []byte) ([]*string, error) {
	d := decoder{buf: p}
	elements := make([]*string, 0, min(len(p), 16))
	for range d.count(1) {
		if d.uint() == 0 {
			elements = append(elements, nil)
			continue
		}
		s := d.string()
		elements = append(elements, &s)
	}
	return elements, d.end()
}

type encoder struct{ buf []byte }

func (e *encoder) uint(v uint64)   { e.buf = binary.AppendUvarint(e.buf, v) }
func (e *encoder) string(s string) { e.uint(uint64(len(s))); e.buf = append(e.buf, s...) }
func (e *encoder) typ(t Type)      { e.buf = append(e.buf, byte(t.Kind), t.Width, t.Scale, flag(t.List)) }

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func (e *encoder) types(l []Type) {
	e.uint(uint64(len(l)))
	for _, t := range l {
		e.typ(t)
	}
}

func (e *encoder) fields(l []Field) {
	e.uint(uint64(len(l)))
	for _, f := range l {
		e.string(f.Name)
		e.typ(f.Type)
	}
}

type decoder struct {
	buf []byte
	err error
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.buf)
	if n <= 0 {
		d.err, d.buf = errMessage, nil
		return 0
	}
	d.buf = d.buf[n:]
	return v
}

func (d *decoder) uint32() uint32 { return uint32(d.uint()) }

// count reads the length of a list whose elements take at least size bytes.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.buf)/size) {
		d.err, d.buf = errMessage, nil
		return 0
	}
	return int(n)
}

func (d *decoder) byte() byte {
	if len(d.buf) == 0 {
		d.err = errMessage
		return 0
	}
	v := d.buf[0]
	d.buf = d.buf[1:]
	return v
}

func (d *decoder) string() string {
	n := d.count(1)
	s := string(d.buf[:n])
	d.buf = d.buf[n:]
	return s
}

func (d *decoder) typ() Type {
	t := Type{Kind: Kind(d.byte()), Width: d.byte(), Scale: d.byte(), List: d.byte() == 1}
	if !t.Valid() {
		d.err = errMessage
	}
	return t
}

func (d *decoder) types() (l []Type) {
	for range d.count(4) {
		l = append(l, d.typ())
	}
	return l
}

func (d *decoder) fields() (l []Field) {
	for range d.count(5) {
		l = append(l, Field{Name: d.string(), Type: d.typ()})
	}
	return l
}

func (d *decoder) end() error {
	if d.err == nil && len(d.buf) != 0 {
		return errMessage
	}
	return d.err
}

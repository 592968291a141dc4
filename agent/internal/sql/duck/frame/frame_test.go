package frame

import (
	"bytes"
	"math"
	"net"
	"reflect"
	"testing"
)

func allKinds() []Type {
	types := []Type{{Kind: Int32, List: true}}
	for k := Bool; k < kinds; k++ {
		if k == Decimal {
			for _, width := range []uint8{4, 9, 18, 38} {
				types = append(types, Type{Kind: Decimal, Width: width, Scale: 2})
			}
			continue
		}
		types = append(types, Type{Kind: k})
	}
	return types
}

// sample has rows of every type, each third value NULL.
func sample(rows int) *Batch {
	b := NewBatch(allKinds())
	for row := range rows {
		for i := range b.Columns {
			if (row+i)%3 == 0 {
				b.Null(i)
				continue
			}
			switch t := b.Columns[i].Type; {
			case t.Variable():
				b.String(i, "value of column")
			case t.Kind == Float32 || t.Kind == Float64:
				b.Float(i, float64(row)/2)
			case t.Kind == Bool:
				b.Bool(i, row%2 == 0)
			case t.Kind == Interval:
				b.Interval(i, int32(row), -1, math.MinInt64)
			case t.Kind == UUID:
				b.UUID(i, [16]byte{0: byte(row), 15: 7})
			default:
				b.Int(i, int64(-row))
			}
		}
		b.FinishRow()
	}
	return b
}

func TestBatchRoundTrip(t *testing.T) {
	for _, rows := range []int{0, 1, 63, 64, 65, MaxRows} {
		in := sample(rows)
		out, err := DecodeBatch(in.Encode(nil))
		if err != nil {
			t.Fatalf("%d rows: %v", rows, err)
		}
		if out.Rows() != rows || len(out.Columns) != len(in.Columns) {
			t.Fatalf("%d rows, %d columns", out.Rows(), len(out.Columns))
		}
		for i := range in.Columns {
			for row := range rows {
				compareValues(t, &in.Columns[i], &out.Columns[i], row)
			}
		}
	}
}

func compareValues(t *testing.T, a, b *Column, row int) {
	t.Helper()
	if a.Type != b.Type || a.IsNull(row) != b.IsNull(row) {
		t.Fatalf("%v row %d: null %v, %v", a.Type, row, a.IsNull(row), b.IsNull(row))
	}
	var equal bool
	switch {
	case a.Type.Variable():
		equal = bytes.Equal(a.Bytes(row), b.Bytes(row))
	case a.Type.Size() == 16:
		ah, al := a.Int128(row)
		bh, bl := b.Int128(row)
		equal = ah == bh && al == bl
	default:
		equal = a.Int(row) == b.Int(row)
	}
	if !equal {
		t.Fatalf("%v row %d differs", a.Type, row)
	}
}

func TestBatchResetForgets(t *testing.T) {
	b := sample(10)
	b.Reset()
	if b.Rows() != 0 || b.Full() {
		t.Fatal(b.Rows())
	}
	if out, err := DecodeBatch(b.Encode(nil)); err != nil || out.Rows() != 0 {
		t.Fatal(err)
	}
}

func TestMessages(t *testing.T) {
	s := &Statement{
		SQL: "select 1", TimeZone: "UTC",
		Tables: []Shape{{Rows: 5, Columns: []Field{{"a", Type{Kind: Int64}}, {"b", Type{Kind: Decimal, Width: 10, Scale: 2}}}}, {}},
		Params: []Type{{}, {Kind: Text, List: true}},
	}
	for _, args := range [][]byte{nil, sample(1).Encode(nil)} {
		s.Args = args
		got, err := DecodeStatement(s.Encode())
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Fatalf("%+v, %v, want %+v", got, err, s)
		}
	}
	d := &Description{Columns: s.Tables[0].Columns, Params: s.Params}
	if got, err := DecodeDescription(d.Encode()); err != nil || !reflect.DeepEqual(got, d) {
		t.Fatalf("%+v, %v", got, err)
	}
	o := &Opened{Scan: 1, Slot: 2, Credits: 3, Columns: []uint32{4, 5}}
	if got, err := DecodeOpened(o.Encode()); err != nil || !reflect.DeepEqual(got, o) {
		t.Fatalf("%+v, %v", got, err)
	}
	f := &Failure{Class: 24, Message: "no"}
	if got, err := DecodeFailure(f.Encode()); err != nil || !reflect.DeepEqual(got, f) {
		t.Fatalf("%+v, %v", got, err)
	}
	id, last, b, err := DecodeScanRows(EncodeScanRows(nil, 9, true, sample(3)))
	if id != 9 || !last || err != nil || b.Rows() != 3 {
		t.Fatal(id, last, err)
	}
}

func TestConn(t *testing.T) {
	a, b := net.Pipe()
	x, y := NewConn(a), NewConn(b)
	defer x.Close()
	defer y.Close()
	large := sample(MaxRows).Encode(nil)
	go func() {
		_ = x.Send(Done, nil)
		_ = x.Send(Rows, large)
	}()
	if tag, p, err := y.Receive(); tag != Done || len(p) != 0 || err != nil {
		t.Fatal(tag, p, err)
	}
	if tag, p, err := y.Receive(); tag != Rows || !bytes.Equal(p, large) || err != nil {
		t.Fatal(tag, len(p), err)
	}
}

func FuzzDecodeBatch(f *testing.F) {
	f.Add(sample(3).Encode(nil))
	f.Add(sample(0).Encode(nil))
	f.Fuzz(func(t *testing.T, p []byte) {
		b, err := DecodeBatch(append(make([]byte, 0, len(p)+8), p...))
		if err != nil {
			return
		}
		for i := range b.Columns { // every value can be read
			c := &b.Columns[i]
			for row := range b.Rows() {
				c.IsNull(row)
				switch {
				case c.Type.Variable():
					c.Bytes(row)
				case c.Type.Size() == 16:
					c.Int128(row)
				default:
					c.Int(row)
				}
			}
		}
	})
}

func FuzzDecodeMessages(f *testing.F) {
	s := Statement{SQL: "x", Tables: []Shape{{Columns: []Field{{"a", Type{Kind: Bool}}}}}, Params: []Type{{Kind: Text}}, Args: sample(1).Encode(nil)}
	f.Add(s.Encode())
	f.Add(EncodeList(nil, []*string{nil, &s.SQL}))
	f.Fuzz(func(_ *testing.T, p []byte) {
		_, _ = DecodeStatement(p)
		_, _ = DecodeDescription(p)
		_, _ = DecodeOpened(p)
		_, _ = DecodeFailure(p)
		_, _, _ = DecodeScanFailed(p)
		_, _ = DecodeList(p)
		var n uint32
		_ = DecodeNumbers(p, &n)
	})
}

package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

var errTest = errors.New("malformed test")

func TestFields(t *testing.T) {
	b := []byte{7}
	b = binary.AppendUvarint(b, 300)
	b = binary.BigEndian.AppendUint32(b, 1<<31)
	b = binary.BigEndian.AppendUint64(b, 1<<63)
	b = AppendBytes(b, "name")
	b = append(binary.AppendUvarint(b, 2), 1, 2)
	r := Read(b, errTest)
	if r.Byte() != 7 || r.UpTo(300) != 300 || r.Uint32() != 1<<31 || r.Uint64() != 1<<63 || string(r.Bytes()) != "name" {
		t.Error("fields are not what was appended")
	}
	if n := r.Count(1); n != 2 || !bytes.Equal(r.Raw(2), []byte{1, 2}) || r.End() != nil {
		t.Errorf("%d records, %v", n, r.Err())
	}
}

// TestFaults: each is the caller's error, the first one sticks, and what follows
// is zero.
func TestFaults(t *testing.T) {
	for name, read := range map[string]func(*Reader){
		"no byte":           func(r *Reader) { r.Raw(3); r.Byte() },
		"a number cut off":  func(r *Reader) { r.Raw(2); r.Uvarint() },
		"four bytes":        func(r *Reader) { r.Uint32() },
		"eight bytes":       func(r *Reader) { r.Uint64() },
		"a long length":     func(r *Reader) { r.Bytes() },
		"too many records":  func(r *Reader) { r.Count(1) },
		"a number too high": func(r *Reader) { r.UpTo(4) },
		"bytes left":        func(r *Reader) { r.Byte(); _ = r.End() },
	} {
		r := Read([]byte{5, 1, 0x80}, errTest)
		read(&r)
		first := r.Err()
		if !errors.Is(first, errTest) {
			t.Errorf("%s: %v", name, first)
		}
		if r.Byte() != 0 || r.Uvarint() != 0 || r.Uint64() != 0 || r.Bytes() != nil || r.Count32(1) != 0 || r.Len() != 0 {
			t.Errorf("%s: something is read after it", name)
		}
		if r.Fail("another"); !errors.Is(r.End(), first) {
			t.Errorf("%s: then %v", name, r.Err())
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte{1, 2, 3}, []byte{0, 1, 2, 3, 4, 5})
	f.Fuzz(func(t *testing.T, b, script []byte) {
		r := Read(b, errTest)
		for _, op := range script {
			switch op % 6 {
			case 0:
				r.Byte()
			case 1:
				r.Uvarint()
			case 2:
				r.Uint64()
			case 3:
				r.Bytes()
			case 4:
				if n := r.Count(3); n*3 > r.Len() {
					t.Errorf("%d records of 3 bytes in %d", n, r.Len())
				}
			case 5:
				r.Count32(1)
			}
		}
		if r.Len() > len(b) {
			t.Errorf("%d of %d bytes are left", r.Len(), len(b))
		}
	})
}

package copyrows

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// signature begins data in the binary format.
var signature = []byte("PGCOPY\n\xff\r\n\x00") //nolint:gochecknoglobals // never changed

// bytesOf takes n bytes; ok is false if there are not so many.
func (r *Reader) bytesOf(n int) (b []byte, ok bool, err error) {
	for len(r.buf)-r.pos < n {
		if more, err := r.fill(); err != nil || !more {
			return nil, false, err
		}
	}
	b = r.buf[r.pos : r.pos+n]
	r.pos += n
	return b, true, nil
}

// number takes an integer of 4 bytes.
func (r *Reader) number() (v int32, ok bool, err error) {
	b, ok, err := r.bytesOf(4)
	if !ok {
		return 0, false, err
	}
	return int32(binary.BigEndian.Uint32(b)), true, nil
}

func (r *Reader) binaryHeader() error {
	b, ok, err := r.bytesOf(len(signature))
	if err != nil {
		return err
	}
	if !ok || !bytes.Equal(b, signature) {
		return badFormat("COPY file signature not recognized")
	}
	flags, ok, err := r.number()
	switch {
	case err != nil:
		return err
	case !ok:
		return badFormat("invalid COPY file header (missing flags)")
	case flags&(1<<16) != 0:
		return badFormat("invalid COPY file header (WITH OIDS)")
	case flags>>16 != 0:
		return badFormat("unrecognized critical flags in COPY file header")
	}
	more, ok, err := r.number()
	switch {
	case err != nil:
		return err
	case !ok, more < 0:
		return badFormat("invalid COPY file header (missing length)")
	}
	for ; more > 0; more-- {
		if _, ok, err := r.bytesOf(1); err != nil {
			return err
		} else if !ok {
			return badFormat("invalid COPY file header (wrong length)")
		}
	}
	return nil
}

// nextBinary is Next of the binary format.
func (r *Reader) nextBinary() ([]datum.Datum, error) {
	if !r.begun {
		r.begun = true
		if err := r.binaryHeader(); err != nil {
			return nil, err
		}
	}
	r.line++
	b, ok, err := r.bytesOf(2)
	if err != nil {
		return nil, err
	}
	if !ok { // without a trailer, as protocol 3 has it
		r.line--
		return nil, io.EOF
	}
	count := int16(binary.BigEndian.Uint16(b))
	if count == -1 {
		if _, more, err := r.bytesOf(1); err != nil {
			return nil, err
		} else if more {
			return nil, badFormat("received copy data after EOF marker")
		}
		return nil, io.EOF
	}
	if int(count) != len(r.columns) {
		return nil, badFormat("row field count is %d, expected %d", count, len(r.columns))
	}
	for i := range r.columns {
		r.at = &r.columns[i]
		if err := r.takeBinary(i); err != nil {
			return nil, err
		}
	}
	r.at = nil
	return r.row, nil
}

func (r *Reader) takeBinary(i int) error {
	c := &r.columns[i]
	size, ok, err := r.number()
	switch {
	case err != nil:
		return err
	case !ok:
		return badFormat("unexpected EOF in COPY data")
	case size == -1:
		r.row[i] = datum.MakeNull(c.Type)
		return nil
	case size < 0:
		return badFormat("invalid field size")
	case size > maxRowBytes:
		return &syntax.Error{Code: "54000", Message: "a value of COPY is longer than a row may be"}
	}
	b, ok, err := r.bytesOf(int(size))
	if err != nil {
		return err
	}
	if !ok {
		return badFormat("unexpected EOF in COPY data")
	}
	v, err := datum.ParseBinary(c.Type, b)
	if err == nil {
		v, err = datum.ApplyModifier(v, c.Modifier, false)
	}
	r.row[i] = v
	return err //nolint:wrapcheck // it is what the client is told
}

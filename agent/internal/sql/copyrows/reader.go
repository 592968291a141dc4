package copyrows

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// maxRowBytes bounds what one row takes in the data: more could not be stored, even if
// each of its bytes was written as an escape of four.
const maxRowBytes = 16 << 20

// Column is what one of the values of a row becomes.
type Column struct {
	Name     string
	Type     datum.Type
	Modifier int32
	// NotNull takes what looks like a null for a text, Null a quoted text for a null, and
	// Quoted writes quotes around every value.
	NotNull, Null, Quoted bool
}

// Reader reads rows.
type Reader struct {
	options *syntax.CopyOptions
	columns []Column
	by      *datum.Reading
	// more gives another piece of the data, or io.EOF; it is used until the next call.
	more func() ([]byte, error)

	buf  []byte
	pos  int  // of what was not read yet
	over bool // more has given all

	eol     eol
	line    int64
	shown   []byte // the line; nil: it is not known
	ended   bool   // by a mark in the data
	begun   bool
	values  []field
	scratch []byte
	row     []datum.Datum
	// at is the column that is read, nil: none, and value what it holds, if hasValue.
	at       *Column
	value    []byte
	hasValue bool
}

// eol is how lines end.
type eol int

const (
	eolUnknown eol = iota
	eolNewline
	eolReturn
	eolBoth
)

// field is a value of a line, in scratch.
type field struct {
	from, to int
	null     bool
}

// NewReader reads rows of the columns from the pieces that more gives.
func NewReader(o *syntax.CopyOptions, columns []Column, by *datum.Reading, more func() ([]byte, error)) *Reader {
	return &Reader{options: o, columns: columns, by: by, more: more, row: make([]datum.Datum, len(columns))}
}

// Next returns the next row, or io.EOF. The slice is used again.
func (r *Reader) Next() ([]datum.Datum, error) {
	r.at, r.shown = nil, nil
	if r.options.Format == syntax.CopyBinary {
		return r.nextBinary()
	}
	if !r.begun {
		if r.begun = true; r.options.Header {
			if err := r.header(); err != nil {
				return nil, err
			}
		}
	}
	if err := r.fields(); err != nil {
		return nil, err
	}
	if len(r.values) > len(r.columns) {
		return nil, badFormat("extra data after last expected column")
	}
	for i := range r.columns {
		if i >= len(r.values) {
			r.at = nil
			return nil, badFormat("missing data for column %q", r.columns[i].Name)
		}
		if err := r.take(i); err != nil {
			return nil, err
		}
	}
	r.at = nil
	return r.row, nil
}

// take makes the value of a column of its field.
func (r *Reader) take(i int) error {
	c, f := &r.columns[i], &r.values[i]
	text, null := r.scratch[f.from:f.to], f.null
	switch {
	case null && c.NotNull:
		text, null = []byte(r.options.Null), false
	case !null && c.Null && string(text) == r.options.Null:
		null = true
	}
	r.at, r.value, r.hasValue = c, text, !null
	if null {
		r.row[i] = datum.MakeNull(c.Type)
		return nil
	}
	v, err := r.by.Parse(c.Type, string(text))
	if err == nil {
		v, err = datum.ApplyModifier(v, c.Modifier, false)
	}
	r.row[i] = v
	return err //nolint:wrapcheck // it is what the client is told
}

// Line is the number of the last row's line, or of the row in binary.
func (r *Reader) Line() int64 { return r.line }

// Where says where the reader is, as PostgreSQL's errors do.
func (r *Reader) Where() string {
	where := fmt.Sprintf("line %d", r.line)
	switch {
	case r.line == 0:
		return ""
	case r.at != nil && r.options.Format == syntax.CopyBinary:
		return where + ", column " + r.at.Name
	case r.at != nil && !r.hasValue:
		return where + ", column " + r.at.Name + ": null input"
	case r.at != nil:
		return where + ", column " + r.at.Name + `: "` + clip(r.value) + `"`
	case r.shown != nil:
		return where + `: "` + clip(r.shown) + `"`
	}
	return where
}

// clip shortens what is shown of the data.
func clip(b []byte) string {
	const most = 100
	if len(b) <= most {
		return strings.ToValidUTF8(string(b), "?")
	}
	n := most
	for n > 0 && !utf8.RuneStart(b[n]) {
		n--
	}
	return strings.ToValidUTF8(string(b[:n]), "?") + "..."
}

// header reads the line with the names.
func (r *Reader) header() error {
	if !r.options.Match {
		_, err := r.readLine()
		return err
	}
	if err := r.fields(); err != nil {
		return err
	}
	if len(r.values) != len(r.columns) {
		return badFormat("wrong number of fields in header line: got %d, expected %d", len(r.values), len(r.columns))
	}
	for i, f := range r.values {
		name, want := string(r.scratch[f.from:f.to]), r.columns[i].Name
		switch {
		case f.null:
			return badFormat("column name mismatch in header line field %d: got null value (%q), expected %q", i+1, r.options.Null, want)
		case name != want:
			return badFormat("column name mismatch in header line field %d: got %q, expected %q", i+1, name, want)
		}
	}
	return nil
}

// fields reads a line and takes it apart.
func (r *Reader) fields() error {
	line, err := r.readLine()
	if err != nil {
		return err
	}
	r.values, r.scratch = r.values[:0], r.scratch[:0]
	if len(r.columns) == 0 && len(line) == 0 {
		return nil
	}
	if r.options.Format == syntax.CopyCSV {
		return r.splitCSV(line)
	}
	return r.splitText(line)
}

// fill gets another piece; false: there is none.
func (r *Reader) fill() (bool, error) {
	if r.over {
		return false, nil
	}
	if len(r.buf)-r.pos > maxRowBytes {
		return false, &syntax.Error{Code: "54000", Message: fmt.Sprintf("a row of COPY may have at most %d MiB", maxRowBytes>>20)}
	}
	piece, err := r.more()
	if errors.Is(err, io.EOF) {
		r.over = true
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if r.pos > 0 {
		r.buf = r.buf[:copy(r.buf, r.buf[r.pos:])]
		r.pos = 0
	}
	r.buf = append(r.buf, piece...)
	return true, nil
}

// byteAt is the byte at an offset from pos; ok is false at the end of the data.
func (r *Reader) byteAt(i int) (c byte, ok bool, err error) {
	for r.pos+i >= len(r.buf) {
		if more, err := r.fill(); err != nil || !more {
			return 0, false, err
		}
	}
	return r.buf[r.pos+i], true, nil
}

// drain reads what comes behind the end of the data.
func (r *Reader) drain() error {
	for !r.over {
		r.pos = len(r.buf)
		if _, err := r.fill(); err != nil {
			return err
		}
	}
	return io.EOF
}

// readLine returns the next line, or io.EOF.
func (r *Reader) readLine() ([]byte, error) {
	r.shown = nil
	if r.ended {
		return nil, r.drain()
	}
	r.line++
	n, skip, err := r.lineEnd()
	if err != nil {
		r.shown = nil
		return nil, err
	}
	if n == 0 && skip == 0 {
		r.line--
		if r.ended {
			return nil, r.drain()
		}
		return nil, io.EOF
	}
	line := r.buf[r.pos : r.pos+n]
	if r.ended && n == 0 {
		r.line--
		return nil, r.drain()
	}
	r.pos += n + skip
	r.shown = line
	return line, checkText(line)
}

// checkText refuses what is no text.
func checkText(b []byte) error {
	for _, c := range b {
		if c == 0 || c >= utf8.RuneSelf {
			_, err := datum.ParseText(datum.Text, string(b), nil)
			if err == nil && bytes.IndexByte(b, 0) >= 0 {
				return &syntax.Error{Code: "22021", Message: `invalid byte sequence for encoding "UTF8": 0x00`}
			}
			return err //nolint:wrapcheck // it is what the client is told
		}
	}
	return nil
}

// scan is how far a line was read.
type scan struct {
	at      int
	quoted  bool // inside of quotes
	escaped bool // the byte before was an escape
}

// lineEnd finds the end of the line that begins at pos: it has n bytes, and skip follow
// that end it.
func (r *Reader) lineEnd() (n, skip int, err error) {
	s := scan{}
	csv := r.options.Format == syntax.CopyCSV
	for {
		c, ok, err := r.byteAt(s.at)
		if err != nil || !ok { // behind a backslash at the end there is nothing to escape
			return min(s.at, len(r.buf)-r.pos), 0, err
		}
		if csv {
			r.quoting(&s, c)
		}
		switch {
		case s.quoted && csv:
		case c == '\r':
			skip, err := r.atReturn(s.at)
			return s.at, skip, err
		case c == '\n':
			if r.eol == eolReturn || r.eol == eolBoth {
				return 0, 0, r.literal("newline", `\n`)
			}
			r.eol = eolNewline
			return s.at, 1, nil
		case c == '\\' && (!csv || s.at == 0):
			ends, skip, err := r.atBackslash(s.at)
			if err != nil || ends {
				r.ended = ends
				return s.at, skip, err
			}
			if !csv {
				s.at++ // whatever it is
			}
		}
		s.at++
	}
}

// quoting follows quotes.
func (r *Reader) quoting(s *scan, c byte) {
	quote, escape := r.options.Quote, r.options.Escape
	distinct := quote != escape
	if s.quoted && distinct && c == escape {
		s.escaped = !s.escaped
	}
	if c == quote && !s.escaped {
		s.quoted = !s.quoted
	}
	if !distinct || c != escape {
		s.escaped = false
	}
	if s.quoted && (c == '\n' && r.eol == eolNewline || c == '\r' && r.eol != eolNewline) { // as PostgreSQL counts
		r.line++
	}
}

// atReturn looks at a carriage return.
func (r *Reader) atReturn(at int) (skip int, err error) {
	switch r.eol {
	case eolReturn:
		return 1, nil
	case eolNewline:
		return 0, r.literal("carriage return", `\r`)
	}
	next, ok, err := r.byteAt(at + 1)
	switch {
	case err != nil:
		return 0, err
	case ok && next == '\n':
		r.eol = eolBoth
		return 2, nil
	case r.eol == eolBoth:
		return 0, r.literal("carriage return", `\r`)
	}
	r.eol = eolReturn
	return 1, nil
}

// literal is of an end of line that is none.
func (r *Reader) literal(what, written string) error {
	if r.options.Format == syntax.CopyCSV {
		e := badFormat("unquoted %s found in data", what)
		e.Hint = "Use quoted CSV field to represent " + what + "."
		return e
	}
	e := badFormat("literal %s found in data", what)
	e.Hint = `Use "` + written + `" to represent ` + what + "."
	return e
}

// atBackslash looks whether a backslash begins the mark of the data's end.
func (r *Reader) atBackslash(at int) (ends bool, skip int, err error) {
	csv := r.options.Format == syntax.CopyCSV
	next, ok, err := r.byteAt(at + 1)
	if err != nil || !ok || next != '.' {
		return false, 0, err
	}
	corrupt := func() (bool, int, error) {
		if csv {
			return false, 0, nil
		}
		return false, 0, badFormat("end-of-copy marker corrupt")
	}
	differs := func() (bool, int, error) {
		if csv {
			return false, 0, nil
		}
		return false, 0, badFormat("end-of-copy marker does not match previous newline style")
	}
	after := at + 2
	if r.eol == eolBoth {
		switch c, ok, err := r.byteAt(after); {
		case err != nil:
			return false, 0, err
		case !ok:
		case c == '\n':
			return differs()
		case c != '\r':
			return corrupt()
		}
		after++
	}
	c, ok, err := r.byteAt(after)
	switch {
	case err != nil:
		return false, 0, err
	case !ok:
		return true, len(r.buf) - r.pos - at, nil
	case c != '\r' && c != '\n':
		return corrupt()
	case r.eol == eolNewline && c != '\n', r.eol == eolBoth && c != '\n', r.eol == eolReturn && c != '\r':
		return differs()
	}
	return true, after + 1 - at, nil
}

// badFormat is what is wrong with the data.
func badFormat(format string, args ...any) *syntax.Error {
	return &syntax.Error{Code: "22P04", Message: fmt.Sprintf(format, args...)}
}

package copyrows

import (
	"bytes"
	"encoding/binary"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Writer writes rows.
type Writer struct {
	options *syntax.CopyOptions
	columns []Column
	style   *datum.Style
	value   []byte
}

// NewWriter writes rows of the columns, with values in the style.
func NewWriter(o *syntax.CopyOptions, columns []Column, style *datum.Style) *Writer {
	return &Writer{options: o, columns: columns, style: style}
}

// Begin appends what stands before the first row, if anything.
func (w *Writer) Begin(dst []byte) []byte {
	switch {
	case w.options.Format == syntax.CopyBinary:
		return append(append(dst, signature...), 0, 0, 0, 0, 0, 0, 0, 0)
	case !w.options.Header:
		return dst
	}
	for i, c := range w.columns {
		if i > 0 {
			dst = append(dst, w.options.Delimiter)
		}
		dst = w.appendText(dst, []byte(c.Name), false)
	}
	return append(dst, '\n')
}

// End appends what stands behind the last row.
func (w *Writer) End(dst []byte) []byte {
	if w.options.Format == syntax.CopyBinary {
		return append(dst, 0xff, 0xff)
	}
	return dst
}

// Row appends a row.
func (w *Writer) Row(dst []byte, row []datum.Datum) []byte {
	if w.options.Format == syntax.CopyBinary {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(row)))
		for i := range row {
			if row[i].Null {
				dst = append(dst, 0xff, 0xff, 0xff, 0xff)
				continue
			}
			at := len(dst)
			dst = datum.AppendBinary(append(dst, 0, 0, 0, 0), row[i])
			binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
		}
		return dst
	}
	for i := range row {
		if i > 0 {
			dst = append(dst, w.options.Delimiter)
		}
		if row[i].Null {
			dst = append(dst, w.options.Null...)
			continue
		}
		w.value = datum.AppendStyled(w.value[:0], row[i], w.style)
		dst = w.appendText(dst, w.value, i < len(w.columns) && w.columns[i].Quoted)
	}
	return append(dst, '\n')
}

func (w *Writer) appendText(dst, value []byte, quoted bool) []byte {
	if w.options.Format == syntax.CopyCSV {
		return w.appendCSV(dst, value, quoted)
	}
	for _, c := range value {
		switch {
		case c >= '\b' && c <= '\r':
			dst = append(dst, '\\', "btnvfr"[c-'\b'])
		case c == '\\' || c == w.options.Delimiter:
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func (w *Writer) appendCSV(dst, value []byte, quoted bool) []byte {
	o := w.options
	if !quoted {
		special := func(r rune) bool {
			return r == rune(o.Delimiter) || r == rune(o.Quote) || r == '\n' || r == '\r'
		}
		quoted = string(value) == o.Null || len(w.columns) == 1 && string(value) == `\.` || bytes.IndexFunc(value, special) >= 0
	}
	if !quoted {
		return append(dst, value...)
	}
	dst = append(dst, o.Quote)
	for _, c := range value {
		if c == o.Quote || c == o.Escape {
			dst = append(dst, o.Escape)
		}
		dst = append(dst, c)
	}
	return append(dst, o.Quote)
}

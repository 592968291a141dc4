package sqlshell

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
)

// session runs statements on one connection and shows what they give.
type session struct {
	e      *ctl.Env
	conn   *pgconn.PgConn
	timing bool
	format format
	out    io.Writer // of \o; nil: stdout
}

// row is one row of a result; it writes itself as a JSON object in the order of
// the columns.
type row struct {
	columns []pgconn.FieldDescription
	values  [][]byte
}

// MarshalJSON implements json.Marshaler.
func (r row) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, c := range r.columns {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(c.Name)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		v, err := value(c.DataTypeOID, r.values[i])
		if err != nil {
			return nil, err
		}
		b.Write(v)
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}

// value is the JSON form of a value that came as text.
func value(oid uint32, text []byte) ([]byte, error) {
	if text == nil {
		return []byte("null"), nil
	}
	switch oid {
	case pgtype.BoolOID:
		return []byte(strconv.FormatBool(string(text) == "t")), nil
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		return text, nil
	case pgtype.Float4OID, pgtype.Float8OID, pgtype.NumericOID:
		if f, err := strconv.ParseFloat(string(text), 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) && json.Valid(text) {
			return text, nil
		}
	case pgtype.JSONOID, pgtype.JSONBOID:
		if json.Valid(text) {
			return text, nil
		}
	}
	return json.Marshal(string(text))
}

// execute runs one statement and shows what it gives.
func (s *session) execute(ctx context.Context, text string) error {
	began := s.e.Now()
	results := s.conn.Exec(ctx, text)
	for results.NextResult() {
		r := results.ResultReader()
		columns := append([]pgconn.FieldDescription(nil), r.FieldDescriptions()...)
		var rows []row
		for r.NextRow() {
			values := make([][]byte, len(columns))
			for i, v := range r.Values() {
				if v != nil {
					values[i] = append([]byte{}, v...)
				}
			}
			rows = append(rows, row{columns, values})
		}
		tag, err := r.Close()
		if err != nil {
			break // Close of all results says it too
		}
		if err := s.show(columns, rows, tag); err != nil {
			return errors.Join(err, results.Close())
		}
	}
	if err := results.Close(); err != nil {
		return sqlError(err, text)
	}
	if s.timing {
		s.e.Term.Say("time: %.3f ms", float64(s.e.Now().Sub(began).Microseconds())/1000)
	}
	return nil
}

// query runs one of the shell's own statements and returns its rows as text.
func (s *session) query(ctx context.Context, text string) ([][]string, error) {
	results, err := s.conn.Exec(ctx, text).ReadAll()
	if err != nil {
		return nil, sqlError(err, text)
	}
	var out [][]string
	for _, r := range results {
		for _, values := range r.Rows {
			line := make([]string, len(values))
			for i, v := range values {
				line[i] = string(v)
			}
			out = append(out, line)
		}
	}
	return out, nil
}

func (s *session) show(columns []pgconn.FieldDescription, rows []row, tag pgconn.CommandTag) error {
	out := s.e.Flags.Output
	if len(columns) == 0 {
		s.e.Term.Say("%s", tag)
		return nil
	}
	streams := *s.e.Term
	if s.out != nil {
		streams.Out, streams.OutTTY = s.out, false
	}
	if out.Text() && s.format != (format{sep: s.format.sep}) {
		if text := s.format.text(columns, rows); text != "" {
			_, err := io.WriteString(streams.Out, text)
			return err
		}
		out.NoHeaders = s.format.tuples
	}
	l := render.List[row]{Kind: "RowList", Items: rows, Meta: render.Meta{Complete: true, Missing: []uint32{}, AsOf: render.AsOf{Time: s.e.Now().UTC()}}}
	l.Name = func(r row) string { return string(r.values[0]) }
	for i, c := range columns {
		l.Columns = append(l.Columns, render.Column[row]{
			Head: c.Name, Right: rightAligned(c.DataTypeOID) && out.Text(), Cell: func(r row) string { return string(r.values[i]) },
		})
	}
	if err := l.Print(&streams, out); err != nil {
		return err
	}
	if out.Text() && !s.format.tuples {
		s.e.Term.Say("(%s)", render.Plural(len(rows), "row"))
	}
	return nil
}

func rightAligned(oid uint32) bool {
	switch oid {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.Float4OID, pgtype.Float8OID, pgtype.NumericOID:
		return true
	}
	return false
}

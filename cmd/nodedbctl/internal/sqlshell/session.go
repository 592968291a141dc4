package sqlshell

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// execute runs text, which may hold several statements, and shows each result.
func (s *session) execute(ctx context.Context, text string) error {
	call, cancel := s.e.Wait(ctx)
	defer cancel()
	began := s.e.Now()
	results := s.conn.Exec(call, text)
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
		if ctx.Err() != nil {
			return ctl.Silent(ctl.Interrupted)
		}
		return sqlError(err)
	}
	if s.timing {
		s.e.Term.Say("time: %s", render.Duration(s.e.Now().Sub(began)))
	}
	return nil
}

func (s *session) show(columns []pgconn.FieldDescription, rows []row, tag pgconn.CommandTag) error {
	out := s.e.Flags.Output
	if len(columns) == 0 {
		s.e.Term.Say("%s", tag)
		return nil
	}
	l := render.List[row]{Kind: "RowList", Items: rows, Meta: render.Meta{Complete: true, Missing: []uint32{}, AsOf: render.AsOf{Time: s.e.Now().UTC()}}}
	l.Name = func(r row) string { return string(r.values[0]) }
	for i, c := range columns {
		l.Columns = append(l.Columns, render.Column[row]{
			Head: c.Name, Right: rightAligned(c.DataTypeOID) && out.Text(), Cell: func(r row) string { return string(r.values[i]) },
		})
	}
	if err := l.Print(s.e.Term, out); err != nil {
		return err
	}
	if out.Text() {
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

const shellHelp = `statements end with ;
  \timing  say how long each took, or no longer
  \q       quit`

// shell reads statements from stdin. A failed one does not end it where a
// person types; in a pipe it does.
func (s *session) shell(ctx context.Context) error {
	asking := s.e.Term.CanAsk()
	if !asking {
		text, err := io.ReadAll(s.e.Term.In)
		if err != nil {
			return fmt.Errorf("read statements: %w", err)
		}
		return s.execute(ctx, string(text))
	}
	s.e.Term.Say("NodeDB. \\? for help, \\q to quit.")
	var pending strings.Builder
	for ctx.Err() == nil {
		prompt := "nodedb=> "
		if pending.Len() > 0 {
			prompt = "nodedb-> "
		}
		if _, err := io.WriteString(s.e.Term.Err, prompt); err != nil {
			return err
		}
		line, err := s.e.Term.ReadLine()
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read statement: %w", err)
		}
		word := strings.TrimSpace(line)
		switch {
		case errors.Is(err, io.EOF) && word == "" || word == `\q`:
			return nil
		case word == `\timing`:
			s.timing = !s.timing
		case strings.HasPrefix(word, `\`):
			s.e.Term.Say("%s", shellHelp)
		default:
			pending.WriteString(line + "\n")
			if !strings.HasSuffix(word, ";") {
				continue
			}
			if err := s.execute(ctx, pending.String()); err != nil {
				ctl.Report(s.e.Term, err)
			}
			pending.Reset()
		}
	}
	return nil
}

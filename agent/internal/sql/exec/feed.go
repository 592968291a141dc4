package exec

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Feed gives the rows of a COPY: parameters of an INSERT, row by row.
type Feed interface {
	// Next returns another row and its line, or io.EOF. The slice is used again.
	Next() (row []datum.Datum, line int64, err error)
	// Where is what rows have to be that are written; nil: all are.
	Where() queryplan.Expr
	// Excluded says that the row that was given last is none of these, Wrote that so many
	// more are written.
	Excluded()
	Wrote(rows int)
	// At has an error say that it is of the row that was given last, AtLine that it is of
	// that of a line.
	At(err error) error
	AtLine(err error, line int64) error
}

const (
	// fedRows and fedBytes bound the rows of a COPY that are held before they are written.
	fedRows  = 1000
	fedBytes = 1 << 20
)

// fed are rows of a COPY that are written together.
type fed struct {
	rows  []proposed
	lines []int64
	bytes int
}

func (f *fed) add(p proposed, line int64) {
	f.rows, f.lines = append(f.rows, p), append(f.lines, line)
	f.bytes += rowBytes(p.row)
}

func (f *fed) full() bool { return len(f.rows) >= fedRows || f.bytes >= fedBytes }

// insertFed writes the rows of a COPY, which is in a transaction, as they come.
func (r *Run) insertFed(ctx context.Context, ins *queryplan.Insert) (n int64, err error) {
	if r.Triggers != nil {
		r.Triggers.written = map[string]bool{}
	}
	var part fed
	for over := false; !over; {
		p, line, err := r.fedRow(ins)
		switch over = errors.Is(err, io.EOF); {
		case over:
		case err != nil:
			return 0, err
		case p.row == nil: // it is not wanted
			continue
		default:
			part.add(p, line)
		}
		if !over && !part.full() && (r.Triggers == nil || !r.Triggers.Reads) || len(part.rows) == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if _, _, err := r.insertInTx(ctx, ins, part.rows); err != nil {
			if line := r.lineOf(ins, &part, err); line > 0 {
				err = r.Feed.AtLine(err, line)
			}
			return 0, err
		}
		n += int64(len(part.rows))
		r.Feed.Wrote(len(part.rows))
		part = fed{rows: part.rows[:0], lines: part.lines[:0]}
	}
	return n, r.settleKeys(ctx)
}

// fedRow makes the next row of a COPY; it has no row if that is not to be written.
func (r *Run) fedRow(ins *queryplan.Insert) (p proposed, line int64, err error) {
	args, line, err := r.Feed.Next()
	if err != nil {
		return p, line, err
	}
	if p, err = r.proposeFed(ins, args); err != nil {
		err = r.Feed.At(err)
	}
	return p, line, err
}

func (r *Run) proposeFed(ins *queryplan.Insert, args []datum.Datum) (p proposed, err error) {
	r.Env.Args = args
	row, err := r.evalRow(ins.Rows[0])
	if err != nil {
		return p, err
	}
	if where := r.Feed.Where(); where != nil {
		ok, err := r.accepts(where, row)
		if err == nil && !ok {
			r.Feed.Excluded()
		}
		if err != nil || !ok {
			return p, err
		}
	}
	if r.Triggers != nil {
		next, ok, err := r.Triggers.Before(cluster.OnInsert, nil, row)
		if err != nil || !ok {
			return p, err
		}
		row = next
	}
	if err := r.complete(ins.Table, ins.Rules, row); err != nil {
		return p, err
	}
	p.row = row
	p.key, err = ins.Table.EncodeKey(row)
	return p, err
}

// lineOf is the line of the row that an error about a key is about; 0: nobody knows.
func (r *Run) lineOf(ins *queryplan.Insert, f *fed, err error) int64 {
	var e *syntax.Error
	if !errors.As(err, &e) || e.Code != "23505" {
		return 0
	}
	// The row that comes last is the one that is there already, if it came before it, too.
	for i, p := range slices.Backward(f.rows) {
		if e.Constraint == ins.Table.KeyName() {
			columns, values := ins.Table.DecodeKeyText(p.key)
			if e.Detail == keyExists(columns, values) {
				return f.lines[i]
			}
			continue
		}
		entries, err := r.entriesOf(ins.Entries, p.row, p.key)
		if err != nil {
			return 0
		}
		for j := range entries {
			if v := entries[j].violation(); entries[j].unique && v.Constraint == e.Constraint && v.Detail == e.Detail {
				return f.lines[i]
			}
		}
	}
	return 0
}

package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// Source feeds the slow path with the rows of collections, at the snapshot of a
// Run. System gives the rows of any other table.
type Source struct {
	Run *Run
	// Guards are conditions on the rows of tables: others are not shown to the engine.
	Guards map[queryplan.Guarded]queryplan.Expr
	// Session is what guards are computed in. Several scans ask it at once.
	Session *queryplan.Session
	System  func(ctx context.Context, spec duck.ScanSpec) (duck.Scan, error)

	planned sync.Once
	joined  *queryplan.KeyJoins // nil: no table is joined by keys
	ahead   map[int][]part      // the rows of slots, where they were read
}

// Scan begins to read a table.
func (s *Source) Scan(ctx context.Context, spec duck.ScanSpec) (duck.Scan, error) {
	table, ok := spec.Table.Ref.(*catalog.Table)
	if !ok {
		return s.System(ctx, spec)
	}
	out := s.tableScan(spec.Table, spec.Columns)
	if s.joins(ctx, spec.All) {
		return out, s.openJoined(ctx, out, spec.Slot)
	}
	access, err := queryplan.ConstrainedAccess(table, constraints(spec.Constraints), out.wanted)
	if err != nil {
		return nil, err
	}
	return out, out.open(ctx, &access)
}

func (s *Source) tableScan(of *duck.Table, columns []int) *tableScan {
	table := of.Ref.(*catalog.Table) //nolint:forcetypeassert // others are not read here
	return &tableScan{run: s.Run, session: s.Session, guard: s.guard(of), table: table, wanted: s.wanted(of, columns), columns: columns,
		row: make([]datum.Datum, len(table.Columns)), out: make([]datum.Datum, len(columns))}
}

// guard is the condition on the rows of a table that is read by somebody's rights; nil: none.
func (s *Source) guard(of *duck.Table) queryplan.Expr {
	table := of.Ref.(*catalog.Table) //nolint:forcetypeassert // as above
	return s.Guards[queryplan.Guarded{Table: table.ObjectID(), Role: of.Rights}]
}

// wanted are the columns of a table that a scan needs.
func (s *Source) wanted(of *duck.Table, columns []int) []bool {
	out := make([]bool, len(of.Columns))
	for _, c := range columns {
		out[c] = true
	}
	if guard := s.guard(of); guard != nil {
		queryplan.Columns(guard, out)
	}
	return out
}

// constraints translates what the slow path found.
func constraints(in []duck.Constraint) []queryplan.Constraint {
	var out []queryplan.Constraint
	for _, c := range in {
		var op string
		switch c.Op {
		case duck.OpEQ, duck.OpIn:
			op = "="
		case duck.OpLT:
			op = "<"
		case duck.OpLE:
			op = "<="
		case duck.OpGT:
			op = ">"
		case duck.OpGE:
			op = ">="
		default:
			continue
		}
		out = append(out, queryplan.Constraint{Column: c.Column, Op: op, Values: c.Values})
	}
	return out
}

// tableScan reads a collection for the slow path.
type tableScan struct {
	run     *Run
	table   *catalog.Table
	decoder *catalog.Decoder
	columns []int
	guard   queryplan.Expr // nil: all rows are shown
	session *queryplan.Session
	env     queryplan.Env // of guard
	wanted  []bool
	ways    []queryplan.Access // that were not begun yet
	rows    Rows               // nil: they are read by key
	keys    [][]byte           // that were not read yet
	parts   []part             // that were read ahead
	batch   []kv.Row
	held    int64 // bytes of memory, for batch
	row     []datum.Datum
	out     []datum.Datum
}

func (s *tableScan) open(ctx context.Context, a *queryplan.Access) error {
	s.decoder = s.decoderOf(a)
	// The scans of a statement run at once: none may write to the Run.
	env := s.run.Env.Copy()
	s.env = env
	s.env.Session = s.session
	if a.Index != nil {
		run := *s.run
		run.Env = &env
		var err error
		s.rows, err = run.byIndex(ctx, a, kv.ScanRequest{})
		return err
	}
	if a.ByKey() {
		keys, err := a.Keys(&env)
		s.keys = keys
		return err
	}
	start, end, empty, err := a.Span(&env)
	if err != nil || empty {
		return err
	}
	rows, err := s.run.scan(ctx, s.table, kv.ScanRequest{Start: start, End: end})
	if err == nil {
		s.rows = &tidyScan{Rows: rows}
	}
	return err
}

func (s *tableScan) decoderOf(a *queryplan.Access) *catalog.Decoder {
	if a.Covering {
		return a.Index.Index.NewDecoder(s.wanted)
	}
	return s.table.NewDecoder(s.wanted)
}

// Fill appends rows to the batch.
func (s *tableScan) Fill(ctx context.Context, b *duck.Batch) (done bool, err error) {
	for !b.Full() {
		if len(s.batch) == 0 && len(s.parts) > 0 {
			s.decoder, s.batch = s.decoderOf(&s.parts[0].way), s.parts[0].rows
			s.parts = s.parts[1:]
			continue
		}
		if len(s.batch) == 0 {
			if s.batch, err = s.next(ctx); errors.Is(err, io.EOF) {
				if len(s.ways) == 0 {
					return true, nil
				}
				if err = s.openNext(ctx); err != nil {
					return false, err
				}
			} else if err != nil {
				return false, fmt.Errorf("scan %q: %w", s.table.Name(), err)
			}
			continue
		}
		r := s.batch[0]
		s.batch = s.batch[1:]
		if len(s.columns) > 0 || s.guard != nil {
			if err := s.decoder.Decode(r.Key, r.Value, s.row); err != nil {
				return false, err
			}
		}
		if s.guard != nil {
			s.env.Row = s.row
			if v, err := s.guard.Eval(&s.env); err != nil {
				return false, err
			} else if v.Null || !v.Bool() {
				continue
			}
		}
		for i, c := range s.columns {
			s.out[i] = s.row[c]
		}
		if err := b.Append(s.out); err != nil {
			return false, err
		}
	}
	return false, nil
}

// next returns more rows, perhaps none, or io.EOF.
func (s *tableScan) next(ctx context.Context) ([]kv.Row, error) {
	if s.rows != nil {
		return s.rows.Next(ctx)
	}
	s.run.Memory.Shrink(s.held)
	s.held = 0
	if len(s.keys) == 0 {
		return nil, io.EOF
	}
	part := s.keys[:min(len(s.keys), keyBatch)]
	s.keys = s.keys[len(part):]
	rows, err := s.run.get(ctx, s.table, part)
	rows = slices.DeleteFunc(rows, func(r kv.Row) bool { return r.Value == nil })
	for _, r := range rows {
		s.held += r.Size()
	}
	return rows, err
}

// openNext begins with what is read next.
func (s *tableScan) openNext(ctx context.Context) error {
	if s.rows != nil {
		s.rows.Close()
		s.rows = nil
	}
	way := s.ways[0]
	s.ways = s.ways[1:]
	return s.open(ctx, &way)
}

// Close ends the reading.
func (s *tableScan) Close() {
	if s.rows != nil {
		s.rows.Close()
	}
}

package exec

import (
	"context"
	"errors"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/aggregate"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// TooManyGroupsError says that there is no memory for the groups of a Select: the slow path
// keeps them on disk. Nothing was emitted.
type TooManyGroupsError struct{ Cause error }

func (e *TooManyGroupsError) Error() string { return fmt.Sprintf("too many groups: %v", e.Cause) }

func (e *TooManyGroupsError) Unwrap() error { return e.Cause }

// adder adds rows up into groups.
type adder struct {
	env      queryplan.Env
	decoder  *catalog.Decoder // nil: nothing of the rows is needed
	filter   queryplan.Expr   // nil: all rows count
	grouping *queryplan.Grouping
	groups   *aggregate.Groups
	by       []datum.Datum
}

func newAdder(g *queryplan.Grouping, d *catalog.Decoder, filter queryplan.Expr, env queryplan.Env) *adder {
	a := &adder{env: env, filter: filter, grouping: g, groups: aggregate.NewGroups(g.Types(), g.Functions), by: make([]datum.Datum, len(g.By))}
	if !d.Nothing() {
		a.decoder = d
	}
	return a
}

// none is what functions without an argument are given.
var none datum.Datum //nolint:gochecknoglobals // it never changes

// Add takes a stored row, or an entry of an index.
func (a *adder) Add(key, value []byte) error {
	if a.decoder != nil {
		if err := a.decoder.Decode(key, value, a.env.Row); err != nil {
			return err
		}
	}
	if a.filter != nil {
		if v, err := a.filter.Eval(&a.env); err != nil || !v.Bool() {
			return err
		}
	}
	g := a.grouping
	for i, e := range g.By {
		var err error
		if a.by[i], err = e.Eval(&a.env); err != nil {
			return err
		}
	}
	states := a.groups.Of(a.by)
	for i := range g.Functions {
		if err := a.function(i, &states[i]); err != nil {
			return err
		}
	}
	return nil
}

// function has one function take the row.
func (a *adder) function(i int, s *aggregate.State) error {
	g := a.grouping
	if f := g.Filters[i]; f != nil {
		if v, err := f.Eval(&a.env); err != nil || !v.Bool() {
			return err
		}
	}
	if g.Args[i] == nil {
		return g.Functions[i].Add(s, &none)
	}
	v, err := g.Args[i].Eval(&a.env)
	if err != nil {
		return err
	}
	return g.Functions[i].Add(s, &v)
}

// What a node holds of groups before it gives them to the gateway.
const (
	partialGroups = 4096
	partialBytes  = 1 << 20
)

// Full reports whether there are as many groups as a node holds.
func (a *adder) Full() bool {
	return a.groups.Len() >= partialGroups || a.groups.Size() >= partialBytes
}

// Flush gives the groups away.
func (a *adder) Flush(emit func(key, value []byte)) {
	a.groups.Each(emit)
	a.groups.Reset()
}

// group runs a Select that adds rows up.
func (r *Run) group(ctx context.Context, p *projector) error {
	s := p.plan
	env := r.Env.Copy()
	env.Row = make([]datum.Datum, len(s.Table.Columns))
	sum := newAdder(s.Group, s.Decoder, s.Filter, env)
	held := &heldGroups{groups: sum.groups, memory: r.Memory}
	err := error(&kv.ProgramError{})
	if s.Group.Ends != nil {
		err = r.ends(ctx, s, sum.groups.Of(nil))
	} else if program := r.program(s); program != nil {
		err = r.gather(ctx, s, program, held)
	}
	var failed *kv.ProgramError
	if errors.As(err, &failed) { // or there is none
		sum.groups.Reset()
		err = r.sum(ctx, s, sum, held)
	}
	if err != nil {
		return err
	}
	if len(s.Group.By) == 0 {
		sum.groups.Of(nil)
	}
	return r.groups(ctx, p, sum.groups)
}

// ends has each function take the one row that is all it needs.
func (r *Run) ends(ctx context.Context, s *queryplan.Select, states []aggregate.State) error {
	if len(s.Group.Ends) > 1 {
		if err := r.Pin(ctx); err != nil {
			return err
		}
	}
	for i, end := range s.Group.Ends {
		sub := *r
		sub.Emit = func(row []datum.Datum) error { return s.Group.Functions[i].Add(&states[i], &row[0]) }
		if _, err := sub.Select(ctx, end); err != nil {
			return err
		}
	}
	return nil
}

// program is what is sent to the nodes that have the rows of a Select; nil: they give all.
func (r *Run) program(s *queryplan.Select) []byte {
	if s.Program == nil || r.wrote(s) {
		return nil
	}
	return s.Program.With(r.Env)
}

// wrote reports whether the transaction has written what s reads, so that the nodes do not
// have all of it.
func (r *Run) wrote(s *queryplan.Select) bool {
	table := s.Table
	if s.Access.Index != nil {
		table = s.Access.Index.Index.Entries
	}
	if r.Tx == nil || r.Tx.tables[table.ID()] == nil {
		return false
	}
	return len(r.Tx.tables[table.ID()].rows) > 0
}

// gather has the nodes add up, and puts together what they give.
func (r *Run) gather(ctx context.Context, s *queryplan.Select, program []byte, held *heldGroups) error {
	return r.access(ctx, s.Table, &s.Access, kv.ScanRequest{Program: program}, func(part kv.Row) (bool, error) {
		if err := held.groups.Merge(part.Key, part.Value); err != nil {
			return false, err
		}
		return true, held.hold()
	})
}

// sum adds the rows up here.
func (r *Run) sum(ctx context.Context, s *queryplan.Select, sum *adder, held *heldGroups) error {
	access := r.access
	if s.Apart {
		access = r.accessApart
	}
	return access(ctx, s.Table, &s.Access, kv.ScanRequest{}, func(row kv.Row) (bool, error) {
		if err := sum.Add(row.Key, row.Value); err != nil {
			return false, err
		}
		return true, held.hold()
	})
}

// heldGroups are groups whose memory is counted.
type heldGroups struct {
	groups *aggregate.Groups
	memory *budget.Account
	held   int64
}

// heldStep is of how much more memory is asked for at once.
const heldStep = 64 << 10

func (h *heldGroups) hold() error {
	if h.groups.Size() <= h.held {
		return nil
	}
	step := max(h.groups.Size()-h.held, heldStep)
	if err := h.memory.Grow(step); err != nil {
		return &TooManyGroupsError{Cause: err}
	}
	h.held += step
	return nil
}

// groups emits what the Select says of groups.
func (r *Run) groups(ctx context.Context, p *projector, groups *aggregate.Groups) error {
	s := p.plan
	row := make([]datum.Datum, len(s.Group.By)+len(s.Group.Functions))
	for i := range groups.Len() {
		if err := groups.Row(i, row); err != nil {
			return err
		}
		if ok, err := r.accepts(s.Group.Having, row); err != nil {
			return err
		} else if !ok {
			continue
		}
		if len(s.Sort) > 0 {
			if err := p.keep(row, kv.Row{}); err != nil {
				return err
			}
		} else if more, err := p.row(row); err != nil || !more {
			return err
		}
	}
	return p.sorted(ctx, nil)
}

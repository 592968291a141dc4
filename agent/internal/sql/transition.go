package sql

import (
	"context"
	"time"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
)

// transitionTable is what a statement in the body of a trigger names that stands for rows
// which have been written: the plan outlives them.
type transitionTable struct{ name string }

// transition is such a table while the trigger is carried out.
type transition struct {
	table *duck.Table
	rows  [][]datum.Datum
}

// transitionSchema is where the engine knows transition tables.
const transitionSchema = "nd_transition"

// written are the rows that a statement has written by one kind of event, as they were and as
// they are.
type writtenRows struct{ was, next [][]datum.Datum }

// collect notes a row for the transition tables of triggers.
func (f *firing) collect(memory *budget.Account, event string, was, next []datum.Datum) error {
	if !f.collects(event) {
		return nil
	}
	if err := memory.Grow(exec.HeldRow(was) + exec.HeldRow(next) + firedBytes); err != nil {
		return err
	}
	if f.written == nil {
		f.written = map[string]*writtenRows{}
	}
	rows := f.written[event]
	if rows == nil {
		rows = &writtenRows{}
		f.written[event] = rows
	}
	if was != nil {
		rows.was = append(rows.was, was)
	}
	if next != nil {
		rows.next = append(rows.next, next)
	}
	return nil
}

// collects reports whether a trigger names the rows of an event.
func (f *firing) collects(event string) bool {
	for _, t := range f.triggers {
		if (t.OldTable != "" || t.NewTable != "") && f.on(t, event) {
			return true
		}
	}
	return false
}

// transitions are the tables that the body of a trigger names; rows may be nil.
func (c *compiledTrigger) transitions(rows *writtenRows) map[string]*transition {
	if rows == nil {
		rows = &writtenRows{}
	}
	out := map[string]*transition{}
	for name, list := range map[string][][]datum.Datum{c.desc.OldTable: rows.was, c.desc.NewTable: rows.next} {
		if name == "" {
			continue
		}
		t := &transition{table: &duck.Table{Schema: transitionSchema, Name: name, Ref: &transitionTable{name}}}
		for i, typ := range c.shape.types {
			t.table.Columns = append(t.table.Columns, duck.TableColumn{Name: c.shape.names[i], Type: typ, Modifier: c.shape.modifier(i)})
		}
		for _, row := range list {
			shown := make([]datum.Datum, len(c.visible))
			for i, column := range c.visible {
				shown[i] = row[column]
			}
			t.rows = append(t.rows, shown)
		}
		out[name] = t
	}
	return out
}

// transition is the table of the trigger that is being carried out; nil: there is none of the
// name.
func (s *Session) transition(schema, name string) *transition {
	if schema != "" {
		return nil
	}
	return s.transitions[name]
}

// naming has the tables of a trigger be there until it is called.
func (s *Session) naming(tables map[string]*transition) (leave func()) {
	was := s.transitions
	s.transitions = tables
	return func() { s.transitions = was }
}

// deferredFire is a constraint trigger that waits for COMMIT, or for SET CONSTRAINTS.
type deferredFire struct {
	row firedRow
	at  time.Time
}

// deferRow has a constraint trigger wait; false: it is fired at the statement's end.
func (s *Session) deferRow(row firedRow, at time.Time) (bool, error) {
	t := row.trigger.desc
	if !t.Constraint || !s.deferring.defers(t.Deferral()) {
		return false, nil
	}
	if err := s.memory.Grow(exec.HeldRow(row.was) + exec.HeldRow(row.next)); err != nil {
		return false, err
	}
	s.deferredFires = append(s.deferredFires, deferredFire{row, at})
	return true, nil
}

// fireDeferred fires what has waited of some constraint triggers, and what comes to that
// meanwhile.
func (s *Session) fireDeferred(ctx context.Context, now func(cluster.Deferral) bool) error {
	for i := 0; i < len(s.deferredFires); {
		d := s.deferredFires[i]
		if !now(d.row.trigger.desc.Deferral()) {
			i++
			continue
		}
		rest := make([]deferredFire, 0, len(s.deferredFires)-1)
		s.deferredFires = append(append(rest, s.deferredFires[:i]...), s.deferredFires[i+1:]...)
		if _, err := d.row.trigger.fire(ctx, &occasion{session: s, at: d.at, event: d.row.event, was: d.row.was, next: d.row.next}); err != nil {
			return err
		}
	}
	return nil
}

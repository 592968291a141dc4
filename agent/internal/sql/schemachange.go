package sql

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

const (
	// schemaRows is how many rows a schema change takes at once.
	schemaRows = 2048
	// schemaPart is for how long it works before it says how far it is, and schemaFence
	// for how long it waits at most for those who write by an older version.
	schemaPart, schemaFence = 2 * time.Second, 30 * time.Second
)

// schemaChange is a part of a schema change under way.
type schemaChange struct {
	server *Server
	op     *cluster.Operation
	what   *cluster.TableChange
	object *cluster.Object
}

// Change satisfies operation.SchemaChanger. What the table becomes was published with the
// operation, in a state in which those who write maintain it and nobody relies on it. When
// no range takes writes any more of those who do not know it, the rows that are there are
// looked at; then everybody may rely on it, or it is taken back.
func (s *Server) Change(ctx context.Context, op *cluster.Operation) (operation.SchemaProgress, error) {
	c := &schemaChange{server: s, op: op, what: op.Spec.Change}
	c.object = s.catalog.View().Objects[c.what.Table]
	switch {
	case op.State == cluster.OpCancelling:
		return c.takeBack(ctx, cluster.OpCancelled, cmp.Or(op.Why, "cancelled"), nil)
	case c.object == nil:
		return c.ended(cluster.OpFailed, fmt.Sprintf("table %q was dropped", c.what.Name),
			&cluster.Failure{Code: "42P01", Message: fmt.Sprintf("relation %q does not exist", c.what.Name)}), nil
	case op.Phase == operation.PhaseValidate:
		return c.validate(ctx)
	case op.Phase == operation.PhasePublish:
		return c.publish(ctx)
	}
	return c.fence(ctx)
}

func (c *schemaChange) at(phase, note string, cursor []byte, rows uint64) operation.SchemaProgress {
	return operation.SchemaProgress{Phase: phase, Note: note, Cursor: cursor, Rows: rows, State: cluster.OpRunning}
}

func (c *schemaChange) ended(state cluster.OperationState, why string, f *cluster.Failure) operation.SchemaProgress {
	return operation.SchemaProgress{State: state, Why: why, Rows: c.op.Rows, Failure: f}
}

// fence has all ranges refuse writes by versions that do not have what is to come.
func (c *schemaChange) fence(ctx context.Context) (operation.SchemaProgress, error) {
	ctx, cancel := context.WithTimeout(ctx, schemaFence)
	defer cancel()
	version := cluster.SchemaVersion{Collection: c.object.ID, Version: c.object.Version}
	if err := c.server.cfg.DB.Raise(ctx, c.object.Collection.Pool, []cluster.SchemaFence{{SchemaVersion: version}}); err != nil {
		return operation.SchemaProgress{}, fmt.Errorf("have all ranges ask for version %d: %w", version.Version, err)
	}
	return c.at(operation.PhaseValidate, "", nil, 0), nil
}

// validate looks at some rows. Those that are written from now on are as they have to be,
// so that each may be read at a time of its own.
func (c *schemaChange) validate(ctx context.Context) (operation.SchemaProgress, error) {
	v, err := c.validator()
	if err != nil {
		return operation.SchemaProgress{}, err
	}
	cursor, rows := c.op.Cursor, c.op.Rows
	for until := time.Now().Add(schemaPart); ; {
		last, n, failure, err := v.some(ctx, cursor)
		switch rows += uint64(n); {
		case err != nil:
			return operation.SchemaProgress{}, fmt.Errorf("look at the rows: %w", err)
		case failure != nil:
			c.op.Rows = rows
			return c.takeBack(ctx, cluster.OpFailed, failure.Message, failure)
		case n < schemaRows:
			return c.at(operation.PhasePublish, "", nil, rows), nil
		}
		if cursor = append(bytes.Clone(last), 0); time.Now().After(until) {
			return c.at(operation.PhaseValidate, fmt.Sprintf("%d rows are as they have to be", rows), cursor, rows), nil
		}
	}
}

// validator looks whether rows are as a schema change has them be.
type validator struct {
	server  *Server
	table   *catalog.Table
	env     *queryplan.Env
	notNull []int // of table.Columns
	checks  []queryplan.Check
	row     []datum.Datum
}

func (c *schemaChange) validator() (*validator, error) {
	schema := c.server.catalog.View().Objects[c.object.Parent]
	t, err := catalog.NewTable(c.object, schema)
	if err != nil {
		return nil, err
	}
	v := &validator{server: c.server, table: t, row: make([]datum.Datum, len(t.Columns))}
	now := c.server.cfg.Now()
	v.env = &queryplan.Env{Now: now, Statement: now, Session: &queryplan.Session{}}
	for i := range t.Columns {
		if t.Columns[i].Unproven && slices.Contains(c.what.NotNull, t.Columns[i].ID) {
			v.notNull = append(v.notNull, i)
		}
	}
	rules, err := queryplan.RulesOf(t)
	if err != nil {
		return nil, err
	}
	for _, k := range rules.Checks {
		if d, ok := t.Desc.Collection.Check(k.Name); ok && slices.Contains(c.what.Checks, d.ID) {
			v.checks = append(v.checks, k)
		}
	}
	return v, nil
}

// some looks at the next rows from cursor on; last is the key of the last of n. A failure
// is what is wrong with one.
func (v *validator) some(ctx context.Context, cursor []byte) (last []byte, n int, failure *cluster.Failure, err error) {
	it, err := v.server.cfg.DB.Scan(ctx, kv.ScanRequest{Pool: v.table.Pool(), Collection: v.table.ID(), Start: cursor, Ordered: true, Limit: schemaRows})
	if err != nil {
		return nil, 0, nil, err
	}
	defer it.Close()
	for {
		batch, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return last, n, nil, nil
		}
		if err != nil {
			return nil, n, nil, err
		}
		for i := range batch {
			last, n = batch[i].Key, n+1
			if err := v.table.DecodeRow(batch[i].Key, batch[i].Value, v.row); err != nil {
				return nil, n, nil, err
			}
			if failure, err = v.look(); failure != nil || err != nil {
				return nil, n, failure, err
			}
		}
	}
}

// look says what is wrong with the row.
func (v *validator) look() (*cluster.Failure, error) {
	name := v.table.Name()
	schema := v.table.Schema().Name
	for _, i := range v.notNull {
		if v.row[i].Null {
			column := v.table.Columns[i].Name
			return &cluster.Failure{Code: "23502", Message: fmt.Sprintf("column %q of relation %q contains null values", column, name), Schema: schema, Table: name, Column: column}, nil
		}
	}
	v.env.Row = v.row
	for _, k := range v.checks {
		ok, err := k.Value.Eval(v.env)
		if err != nil {
			e := AsError(err)
			return &cluster.Failure{Code: e.Code, Message: e.Message, Detail: e.Detail}, nil
		}
		if !ok.Null && !ok.Bool() {
			return &cluster.Failure{Code: "23514", Message: fmt.Sprintf("check constraint %q of relation %q is violated by some row", k.Name, name), Schema: schema, Table: name, Constraint: k.Name}, nil
		}
	}
	return nil, nil //nolint:nilnil // nothing is wrong
}

// publish has everybody rely on what is true by now.
func (c *schemaChange) publish(ctx context.Context) (operation.SchemaProgress, error) {
	err := c.alter(ctx, func(rows *cluster.Collection) {
		for i := range rows.Columns {
			if slices.Contains(c.what.NotNull, rows.Columns[i].ID) {
				rows.Columns[i].NotNullState = ""
			}
		}
		for i := range rows.Checks {
			if slices.Contains(c.what.Checks, rows.Checks[i].ID) {
				rows.Checks[i].State = ""
			}
		}
	})
	if err != nil {
		return operation.SchemaProgress{}, fmt.Errorf("publish the table: %w", err)
	}
	return c.ended(cluster.OpSucceeded, fmt.Sprintf("%d rows are as they have to be", c.op.Rows), nil), nil
}

// takeBack has the table be as if nothing had been asked for. Who writes by a version in
// between keeps rules that hold no more, which harms nothing.
func (c *schemaChange) takeBack(ctx context.Context, state cluster.OperationState, why string, f *cluster.Failure) (operation.SchemaProgress, error) {
	err := c.alter(ctx, func(rows *cluster.Collection) {
		added := func(id cluster.ColumnID) bool { return slices.Contains(c.what.Added, id) }
		for i := range rows.Columns {
			if col := &rows.Columns[i]; col.NotNullState != "" && slices.Contains(c.what.NotNull, col.ID) {
				col.NotNull, col.NotNullState = false, ""
			}
		}
		rows.Columns = slices.DeleteFunc(rows.Columns, func(col cluster.Column) bool { return added(col.ID) })
		rows.Checks = slices.DeleteFunc(rows.Checks, func(k cluster.Check) bool {
			return k.State != "" && slices.Contains(c.what.Checks, k.ID) || slices.ContainsFunc(k.Columns, added)
		})
	})
	if err != nil {
		return operation.SchemaProgress{}, fmt.Errorf("take the change of the table back: %w", err)
	}
	return c.ended(state, why, f), nil
}

// alter changes the table as it is now, unless it is no more or nothing changes.
func (c *schemaChange) alter(ctx context.Context, change func(*cluster.Collection)) error {
	s := c.server
	for {
		view := s.catalog.View()
		o := view.Objects[c.what.Table]
		if o == nil {
			return nil
		}
		schema := view.Objects[o.Parent]
		next, rows := *o, *o.Collection
		rows.Columns, rows.Checks = slices.Clone(rows.Columns), slices.Clone(rows.Checks)
		change(&rows)
		if next.Collection = &rows; rows.SameElements(o.Collection) {
			return nil
		}
		_, err := s.catalog.Propose(ctx, metastate.Command{By: "coordinator", Via: "operation", ChangeObjects: &metastate.ChangeObjects{
			Seen: []metastate.SeenObject{{ID: schema.ID, Version: schema.Version}, {ID: o.ID, Version: o.Version}}, Put: []cluster.Object{next},
		}})
		var refusal *metastate.Refusal
		switch pending := errors.As(err, &refusal) && refusal.Code == metastate.CodePending; {
		case pending:
			if err := s.cfg.DB.Settle(ctx, refusal); err != nil {
				return fmt.Errorf("wait for a transaction that changes the same table: %w", err)
			}
		case !catalog.Overtaken(err) || ctx.Err() != nil:
			return err
		}
	}
}

package catalog

import (
	"context"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Schedule finds a schedule.
func (s Scope) Schedule(name syntax.Name) (*cluster.Object, bool) {
	return s.within(cluster.ScheduleNames, name)
}

// Schedules are all of the database, by name.
func (s Scope) Schedules() []*cluster.Object {
	return s.objects(func(o *cluster.Object) bool { return o.Schedule != nil && s.inDatabase(o) })
}

// FindSchedule is Schedule with an error.
func (s Scope) FindSchedule(name syntax.Name) (*cluster.Object, error) {
	o, _, err := s.toSchedule(name, false)
	return o, err
}

// toSchedule finds a schedule that is to change; nil without an error: IF EXISTS has found
// none.
func (s Scope) toSchedule(name syntax.Name, ifExists bool) (*cluster.Object, []Notice, error) {
	o, ok := s.Schedule(name)
	switch {
	case ok:
		return o, nil, nil
	case ifExists:
		return nil, []Notice{{Code: "00000", Message: fmt.Sprintf("schedule %q does not exist, skipping", name.Name)}}, nil
	}
	return nil, nil, &syntax.Error{Code: "42704", Message: fmt.Sprintf("schedule %q does not exist", written(name)), Position: name.Position}
}

// takenSchedule refuses a name that another schedule has.
func (s Scope) takenSchedule(schema *cluster.Object, name string) error {
	if _, taken := s.find(schema.ID, cluster.ScheduleNames, name); taken {
		return &syntax.Error{Code: "42710", Message: fmt.Sprintf("schedule %q already exists", name)}
	}
	return nil
}

// CreateSchedule makes a schedule in the draft of scope; existed says that IF NOT EXISTS
// found one.
func (c *Catalog) CreateSchedule(ctx context.Context, in Scope, stmt *syntax.CreateSchedule, made *cluster.Schedule, by string) (next *Draft, existed bool, err error) {
	if err := checkName(stmt.Name.Name, stmt.Name.Position); err != nil {
		return nil, false, err
	}
	schema, err := in.creationSchema(stmt.Name)
	if err != nil {
		return nil, false, err
	}
	if err := in.takenSchedule(schema, stmt.Name.Name); err != nil {
		if stmt.IfNotExists {
			return in.Draft, true, nil
		}
		return nil, false, err
	}
	o := &cluster.Object{Parent: schema.ID, Kind: cluster.KindSchedule, Name: stmt.Name.Name, Owner: by, Schedule: made}
	if o.ID, err = c.NewID(ctx); err != nil {
		return nil, false, err
	}
	next = in.Draft.clone()
	next.rest(schema)
	next.add(o)
	return next, false, nil
}

// AlterSchedule changes a schedule in the draft of scope.
func (c *Catalog) AlterSchedule(in Scope, stmt *syntax.AlterSchedule, change func(*cluster.Schedule) error) (*Draft, []Notice, error) {
	o, notices, err := in.toSchedule(stmt.Name, stmt.IfExists)
	if o == nil {
		return in.Draft, notices, err
	}
	next, made := *o, *o.Schedule
	if err := change(&made); err != nil {
		return nil, nil, err
	}
	next.Schedule = &made
	return in.change(o, &next), nil, nil
}

// DropSchedules drops schedules in the draft of scope. Nothing needs one.
func (c *Catalog) DropSchedules(in Scope, stmt *syntax.DropSchedule) (*Draft, Dropped, error) {
	var told Dropped
	next := in.Draft.clone()
	in.Draft = next
	for _, name := range stmt.Names {
		o, _, err := in.toSchedule(name, stmt.IfExists)
		switch {
		case err != nil:
			return nil, told, err
		case o == nil:
			told.Missing = append(told.Missing, name.Name)
		default:
			next.drop(o)
		}
	}
	return next, told, nil
}

// RenameSchedule gives a schedule another name.
func (c *Catalog) RenameSchedule(in Scope, stmt *syntax.Rename) (*Draft, []Notice, error) {
	o, notices, err := in.toSchedule(stmt.Target.Name, stmt.IfExists)
	if o == nil {
		return in.Draft, notices, err
	}
	if err := checkName(stmt.To, 0); err != nil {
		return nil, nil, err
	}
	if schema, ok := in.Object(o.Parent); ok {
		if err := in.takenSchedule(schema, stmt.To); err != nil {
			return nil, nil, err
		}
	}
	next := *o
	next.Name = stmt.To
	return in.change(o, &next), nil, nil
}

// MoveSchedule moves a schedule to another schema.
func (c *Catalog) MoveSchedule(in Scope, stmt *syntax.SetSchema) (*Draft, []Notice, error) {
	o, notices, err := in.toSchedule(stmt.Target.Name, stmt.IfExists)
	if o == nil {
		return in.Draft, notices, err
	}
	schema, err := in.schema(stmt.To, "move to")
	if err != nil {
		return nil, nil, err
	}
	if schema.ID == o.Parent {
		return in.Draft, nil, nil
	}
	if err := in.takenSchedule(schema, o.Name); err != nil {
		return nil, nil, err
	}
	next := *o
	next.Parent = schema.ID
	return in.change(o, &next), nil, nil
}

// OwnSchedule gives a schedule to another owner, who runs it from then on.
func (c *Catalog) OwnSchedule(in Scope, name syntax.Name, ifExists bool, owner string) (*Draft, []Notice, error) {
	o, notices, err := in.toSchedule(name, ifExists)
	if o == nil {
		return in.Draft, notices, err
	}
	next := *o
	own(&next, owner)
	return in.change(o, &next), nil, nil
}

package catalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// newType puts a new domain or enum into the draft of scope.
func (c *Catalog) newType(ctx context.Context, in Scope, name syntax.Name, o *cluster.Object) (next *Draft, array cluster.ObjectID, err error) {
	if err := checkName(name.Name, name.Position); err != nil {
		return nil, 0, err
	}
	schema, err := in.creationSchema(name)
	if err != nil {
		return nil, 0, err
	}
	if in.takenType(schema.ID, name.Name) {
		return nil, 0, &syntax.Error{Code: "42710", Message: fmt.Sprintf("type %q already exists", name.Name)}
	}
	if o.ID, err = c.NewID(ctx); err != nil {
		return nil, 0, err
	}
	if array, err = c.NewID(ctx); err != nil {
		return nil, 0, err
	}
	o.Parent, o.Name = schema.ID, name.Name
	next = in.Draft.clone()
	next.rest(schema)
	return next, array, nil
}

// takenType reports whether a type has the name; each relation is one, too.
func (s Scope) takenType(schema cluster.ObjectID, name string) bool {
	_, ok := s.find(schema, cluster.TypeNames, name)
	return ok || s.taken(schema, name)
}

// CreateEnum makes an enum in the draft of scope.
func (c *Catalog) CreateEnum(ctx context.Context, in Scope, stmt *syntax.CreateEnum, by string) (*Draft, error) {
	o := &cluster.Object{Kind: cluster.KindEnum, Owner: by, Enum: &cluster.Enum{NextLabel: 1}}
	next, array, err := c.newType(ctx, in, stmt.Name, o)
	if err != nil {
		return nil, err
	}
	o.Enum.Array = array
	for i, name := range stmt.Values {
		if err := checkLabel(name); err != nil {
			return nil, err
		}
		if labelled(o.Enum, name) >= 0 {
			return nil, &syntax.Error{Code: "23505", Message: `duplicate key value violates unique constraint "pg_enum_typid_label_index"`,
				Detail: fmt.Sprintf("Key (enumtypid, enumlabel)=(%d, %s) already exists.", OID(o.ID), name)}
		}
		o.Enum.Labels = append(o.Enum.Labels, cluster.EnumLabel{ID: o.Enum.NextLabel, Name: name, Order: float64(i + 1)})
		o.Enum.NextLabel++
	}
	next.add(o)
	return next, nil
}

func checkLabel(name string) error {
	if len(name) > maxName {
		return &syntax.Error{Code: "42602", Message: fmt.Sprintf("invalid enum label %q", name), Detail: fmt.Sprintf("Labels must be %d bytes or less.", maxName)}
	}
	return nil
}

// labelled is the place of a label, -1 if there is none.
func labelled(e *cluster.Enum, name string) int {
	return slices.IndexFunc(e.Labels, func(l cluster.EnumLabel) bool { return l.Name == name })
}

// AlterEnum adds or renames a value of an enum.
func (c *Catalog) AlterEnum(in Scope, stmt *syntax.AlterEnum) (*Draft, []Notice, error) {
	o, ok := in.UserType(stmt.Name)
	switch {
	case !ok:
		return nil, nil, noType(stmt.Name)
	case o.Enum == nil:
		return nil, nil, &syntax.Error{Code: "42809", Message: o.Name + " is not an enum"}
	}
	if err := checkLabel(stmt.Value); err != nil {
		return nil, nil, err
	}
	next, enum := *o, *o.Enum
	next.Enum, enum.Labels = &enum, slices.Clone(enum.Labels)
	if labelled(&enum, stmt.Value) >= 0 {
		if stmt.IfNotExists {
			return in.Draft, []Notice{{Code: "42710", Message: fmt.Sprintf("enum label %q already exists, skipping", stmt.Value)}}, nil
		}
		return nil, nil, &syntax.Error{Code: "42710", Message: fmt.Sprintf("enum label %q already exists", stmt.Value)}
	}
	if stmt.Old != "" {
		i := labelled(&enum, stmt.Old)
		if i < 0 {
			return nil, nil, noLabel(stmt.Old)
		}
		enum.Labels[i].Name = stmt.Value
		return in.change(o, &next), nil, nil
	}
	if err := addLabel(&enum, stmt); err != nil {
		return nil, nil, err
	}
	return in.change(o, &next), nil, nil
}

func noLabel(name string) error {
	return &syntax.Error{Code: "22023", Message: fmt.Sprintf("%q is not an existing enum label", name)}
}

// addLabel gives an enum another value. Its order is between those of its neighbours,
// which keep theirs: keys hold them.
func addLabel(e *cluster.Enum, stmt *syntax.AlterEnum) error {
	at := len(e.Labels)
	if stmt.Neighbour != "" {
		if at = labelled(e, stmt.Neighbour); at < 0 {
			return noLabel(stmt.Neighbour)
		}
		if stmt.After {
			at++
		}
	}
	label := cluster.EnumLabel{ID: e.NextLabel, Name: stmt.Value}
	switch n := len(e.Labels); {
	case n == 0:
		label.Order = 1
	case at == n:
		label.Order = e.Labels[n-1].Order + 1
	case at == 0:
		label.Order = e.Labels[0].Order - 1
	default:
		before, after := e.Labels[at-1].Order, e.Labels[at].Order
		if label.Order = before + (after-before)/2; label.Order <= before || label.Order >= after {
			return &syntax.Error{Code: "54000", Message: fmt.Sprintf("there is no more room between %q and %q", e.Labels[at-1].Name, e.Labels[at].Name),
				Hint: "Make another type with the values in their order, and copy the rows."}
		}
	}
	e.NextLabel++
	e.Labels = slices.Insert(e.Labels, at, label)
	return nil
}

// ChangeType gives a domain or an enum another name, owner or schema.
func (c *Catalog) ChangeType(in Scope, target syntax.Target, change func(o *cluster.Object) error) (*Draft, error) {
	o, ok := in.UserType(target.Name)
	switch {
	case !ok:
		return nil, noType(target.Name)
	case target.Kind == syntax.KindDomain && o.Domain == nil:
		return nil, &syntax.Error{Code: "42809", Message: o.Name + " is not a domain"}
	}
	next := *o
	if err := change(&next); err != nil {
		return nil, err
	}
	if next.Name != o.Name || next.Parent != o.Parent {
		if err := checkName(next.Name, 0); err != nil {
			return nil, err
		}
		if in.takenType(next.Parent, next.Name) {
			return nil, &syntax.Error{Code: "42710", Message: fmt.Sprintf("type %q already exists", next.Name)}
		}
	}
	return in.change(o, &next), nil
}

// DropTypes drops domains and enums in the draft of scope, with CASCADE the columns of
// them.
func (c *Catalog) DropTypes(in Scope, stmt *syntax.DropType) (*Draft, Dropped, error) {
	var told Dropped
	next := in.Draft.clone()
	in.Draft = next
	gone := map[cluster.ObjectID]*cluster.Object{}
	first := ""
	for _, name := range stmt.Names {
		o, ok := in.UserType(name)
		switch {
		case !ok && stmt.IfExists:
			told.Missing = append(told.Missing, name.Name)
			continue
		case !ok:
			return nil, told, noType(syntax.Name{Schema: name.Schema, Name: name.Name})
		case stmt.Domain && o.Domain == nil:
			return nil, told, &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is not a domain", o.Name)}
		case first == "":
			first = "type " + o.Name
		}
		gone[o.ID] = o
		next.drop(o)
	}
	what := first
	if len(gone) > 1 {
		what = ""
	}
	cascades, err := in.settleNeeds(next, &going{objects: gone, what: what, cascade: stmt.Cascade})
	told.Cascades = cascades
	return next, told, err
}

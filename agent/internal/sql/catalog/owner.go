package catalog

import (
	"fmt"
	"maps"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// own gives an object to another owner, and with it what the first one has granted.
func own(o *cluster.Object, owner string) {
	from := o.Owner
	if o.Owner = owner; o.ACL != nil {
		acl := o.ACL.Owned(from, owner)
		o.ACL = &acl
	}
	if o.Collection == nil {
		return
	}
	rows := *o.Collection
	rows.Columns = slices.Clone(rows.Columns)
	for i := range rows.Columns {
		if rows.Columns[i].ACL != nil {
			rows.Columns[i].ACL = rows.Columns[i].ACL.Owned(from, owner)
		}
	}
	o.Collection = &rows
}

// ReassignOwned gives what roles own in the database, and the databases, to another in the
// draft of scope.
func (c *Catalog) ReassignOwned(in Scope, by []string, to string) *Draft {
	for _, o := range in.objects(func(o *cluster.Object) bool { return slices.Contains(by, o.Owner) && in.here(o) }) {
		next := *o
		own(&next, to)
		in.Draft = in.change(o, &next)
	}
	return in.Draft
}

// here reports whether an object is a database, or in the scope's.
func (s Scope) here(o *cluster.Object) bool {
	return o.Kind == cluster.KindDatabase || o.Parent == s.Database || s.inDatabase(o)
}

// DropOwned drops what roles own in the database, and what they were granted in it, in the
// draft of scope. With cascade goes what needs that.
func (c *Catalog) DropOwned(in Scope, by []string, cascade bool) (*Draft, Dropped, error) {
	var told Dropped
	next := in.Draft.clone()
	gone := &going{objects: map[cluster.ObjectID]*cluster.Object{}, cascade: cascade}
	owned := in.objects(func(o *cluster.Object) bool {
		return slices.Contains(by, o.Owner) && o.Kind != cluster.KindDatabase && in.here(o)
	})
	for _, o := range owned {
		for _, o := range append(in.ownedBy(o.ID, 0), o) {
			gone.objects[o.ID] = o
		}
	}
	for _, o := range owned {
		if o.Kind != cluster.KindSchema {
			continue
		}
		for _, inside := range in.contents(o.ID) {
			if gone.objects[inside.ID] == nil && !cascade {
				return nil, told, &syntax.Error{Code: "2BP01", Message: "cannot drop desired object(s) because other objects depend on them",
					Detail: fmt.Sprintf("%s %s depends on schema %s", inside.Kind, in.visibleName(inside), o.Name), Hint: "Use DROP ... CASCADE to drop the dependent objects too."}
			}
			if gone.objects[inside.ID] == nil {
				told.Cascades = append(told.Cascades, string(inside.Kind)+" "+in.visibleName(inside))
				gone.objects[inside.ID] = inside
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(gone.objects)) {
		next.drop(gone.objects[id])
	}
	in.Draft = next
	for _, o := range in.objects(func(o *cluster.Object) bool { return in.here(o) }) {
		if changed := without(o, by); changed != nil {
			next.alter(in, o, changed)
		}
	}
	cascades, err := in.settleNeeds(next, gone)
	told.Cascades = append(told.Cascades, cascades...)
	return next, told, err
}

// without is an object without what roles were granted; nil: they were granted nothing.
func without(o *cluster.Object, roles []string) *cluster.Object {
	named := o.Roles()
	if !slices.ContainsFunc(roles, func(r string) bool { return r != o.Owner && slices.Contains(named, r) }) {
		return nil
	}
	out := *o
	acl := out.Access()
	for _, r := range roles {
		if r == o.Owner {
			continue
		}
		if o.ACL != nil {
			acl = acl.Without(r, o.Owner)
			out.ACL = &acl
		}
		out.Defaults = slices.DeleteFunc(slices.Clone(out.Defaults), func(d cluster.DefaultPrivileges) bool { return d.Role == r })
		for i := range out.Defaults {
			out.Defaults[i].ACL = out.Defaults[i].ACL.Without(r, out.Defaults[i].Role)
		}
	}
	if o.Collection != nil {
		rows := *o.Collection
		rows.Columns = slices.Clone(rows.Columns)
		for i := range rows.Columns {
			for _, r := range roles {
				if rows.Columns[i].ACL != nil && r != o.Owner {
					rows.Columns[i].ACL = rows.Columns[i].ACL.Without(r, o.Owner)
				}
			}
		}
		rows.Policies = slices.Clone(rows.Policies)
		for i := range rows.Policies {
			p := &rows.Policies[i]
			p.Roles = slices.DeleteFunc(slices.Clone(p.Roles), func(r string) bool { return slices.Contains(roles, r) })
		}
		// A policy for nobody else goes with its roles.
		rows.Policies = slices.DeleteFunc(rows.Policies, func(p cluster.Policy) bool { return len(p.Roles) == 0 })
		out.Collection = &rows
	}
	return &out
}

// OwnFunction gives a function to another owner.
func (c *Catalog) OwnFunction(in Scope, t syntax.Target, owner string) (*Draft, error) {
	return c.ChangeFunction(in, t, func(o *cluster.Object) error {
		own(o, owner)
		return nil
	})
}

package catalog

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// PolicyDDL is what statements about policies ask beside the catalog.
type PolicyDDL struct {
	Roles []string // resolved; "" is PUBLIC
	// Check refuses what cannot be computed.
	Check func(*Table, *cluster.Policy) error
}

// CreatePolicy makes a policy of a table in the draft of scope.
func (c *Catalog) CreatePolicy(in Scope, stmt *syntax.CreatePolicy, ddl PolicyDDL) (*Draft, error) {
	o, err := in.toSecure(stmt.Table)
	if err != nil {
		return nil, err
	}
	if err := checkName(stmt.Name, 0); err != nil {
		return nil, err
	}
	switch {
	case policyIndex(o.Collection, stmt.Name) >= 0:
		return nil, &syntax.Error{Code: "42710", Message: fmt.Sprintf("policy %q for table %q already exists", stmt.Name, o.Name)}
	case stmt.Command == "INSERT" && stmt.Using != "":
		return nil, &syntax.Error{Code: "42601", Message: "only WITH CHECK expression allowed for INSERT"}
	case (stmt.Command == "SELECT" || stmt.Command == "DELETE") && stmt.Check != "":
		return nil, &syntax.Error{Code: "42601", Message: "WITH CHECK cannot be applied to SELECT or DELETE"}
	}
	p := cluster.Policy{Name: stmt.Name, Command: stmt.Command, Restrictive: stmt.Restrictive, Roles: ddl.Roles}
	if err := in.policySays(o, &p, stmt.Using, stmt.Check, ddl); err != nil {
		return nil, err
	}
	a := newAlteration(o)
	a.rows.Policies = append(slices.Clone(a.rows.Policies), p)
	slices.SortFunc(a.rows.Policies, func(a, b cluster.Policy) int { return cmp.Compare(a.Name, b.Name) })
	next := in.change(o, a.object)
	return next, in.need(next, a.object)
}

// AlterPolicy changes a policy in the draft of scope.
func (c *Catalog) AlterPolicy(in Scope, stmt *syntax.AlterPolicy, ddl PolicyDDL) (*Draft, error) {
	o, err := in.toSecure(stmt.Table)
	if err != nil {
		return nil, err
	}
	i := policyIndex(o.Collection, stmt.Name)
	if i < 0 {
		return nil, noPolicy(o, stmt.Name)
	}
	p := o.Collection.Policies[i]
	switch {
	case p.Command == "INSERT" && stmt.Using != "":
		return nil, &syntax.Error{Code: "42601", Message: "only WITH CHECK expression allowed for INSERT"}
	case (p.Command == "SELECT" || p.Command == "DELETE") && stmt.Check != "":
		return nil, &syntax.Error{Code: "42601", Message: "WITH CHECK cannot be applied to SELECT or DELETE"}
	}
	if len(ddl.Roles) > 0 {
		p.Roles = ddl.Roles
	}
	if err := in.policySays(o, &p, stmt.Using, stmt.Check, ddl); err != nil {
		return nil, err
	}
	a := newAlteration(o)
	a.rows.Policies = slices.Clone(a.rows.Policies)
	a.rows.Policies[i] = p
	next := in.change(o, a.object)
	return next, in.need(next, a.object)
}

// DropPolicy drops a policy in the draft of scope; missing says that IF EXISTS did not
// find it.
func (c *Catalog) DropPolicy(in Scope, stmt *syntax.DropPolicy) (next *Draft, missing bool, err error) {
	o, err := in.toSecure(stmt.Table)
	if err != nil {
		return in.Draft, stmt.IfExists, err
	}
	i := policyIndex(o.Collection, stmt.Name)
	switch {
	case i < 0 && stmt.IfExists:
		return in.Draft, true, nil
	case i < 0:
		return nil, false, noPolicy(o, stmt.Name)
	}
	a := newAlteration(o)
	a.rows.Policies = slices.Delete(slices.Clone(a.rows.Policies), i, i+1)
	next = in.change(o, a.object)
	return next, false, in.need(next, a.object)
}

// toSecure finds the table that a policy is of.
func (s Scope) toSecure(name syntax.Name) (*cluster.Object, error) {
	o, ok := s.Relation(name)
	switch {
	case !ok:
		return nil, noTable(name, "")
	case o.Collection == nil:
		return nil, &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is not a table", o.Name), Position: name.Position}
	}
	return o, nil
}

// policySays gives a policy its expressions, of which "" are as they were.
func (s Scope) policySays(o *cluster.Object, p *cluster.Policy, using, check string, ddl PolicyDDL) error {
	var err error
	for _, e := range []struct {
		to   *string
		text string
	}{{&p.Using, using}, {&p.Check, check}} {
		if e.text == "" {
			continue
		}
		if *e.to, err = syntax.BareColumns(e.text, o.Name); err != nil {
			return err
		}
	}
	t, err := s.table(o)
	if err != nil {
		return err
	}
	for _, text := range []*string{&p.Using, &p.Check} {
		if *text == "" || s.Bind == nil {
			continue
		}
		if *text, err = s.Bind(s, t, *text); err != nil {
			return err
		}
	}
	return ddl.Check(t, p)
}

func policyIndex(rows *cluster.Collection, name string) int {
	return slices.IndexFunc(rows.Policies, func(p cluster.Policy) bool { return p.Name == name })
}

func noPolicy(o *cluster.Object, name string) error {
	return &syntax.Error{Code: "42704", Message: fmt.Sprintf("policy %q for table %q does not exist", name, o.Name)}
}

// secure is ENABLE, DISABLE, FORCE and NO FORCE ROW LEVEL SECURITY.
func (a *alteration) secure(action *syntax.RowSecurity) {
	a.changed = true
	if action.Enable != nil {
		a.rows.RowSecurity = *action.Enable
	}
	if action.Force != nil {
		a.rows.ForceRowSecurity = *action.Force
	}
}

// inPolicies refuses to drop columns that policies name; with cascade the policies go.
func (a *alteration) inPolicies(isGone func(cluster.ColumnID) bool, cascade bool) error {
	var kept []cluster.Policy
	for _, p := range a.rows.Policies {
		named := ""
		for _, text := range []string{p.Using, p.Check} {
			if text == "" {
				continue
			}
			names, err := syntax.ExpressionColumns(text)
			if err != nil {
				return err
			}
			for _, name := range names {
				if c, ok := a.rows.Column(name); ok && isGone(c.ID) {
					named = name
				}
			}
		}
		switch {
		case named == "":
			kept = append(kept, p)
		case cascade:
			a.notice("00000", "drop cascades to policy %s on table %s", p.Name, a.object.Name)
		default:
			return &syntax.Error{Code: "2BP01", Message: fmt.Sprintf("cannot drop column %s of table %s because other objects depend on it", named, a.object.Name),
				Detail: fmt.Sprintf("policy %s on table %s depends on column %s of table %s", p.Name, a.object.Name, named, a.object.Name), Hint: "Use DROP ... CASCADE to drop the dependent objects too."}
		}
	}
	a.rows.Policies = kept
	return nil
}

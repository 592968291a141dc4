package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Granting is who grants or revokes what to whom; names are resolved.
type Granting struct {
	Stmt *syntax.Grant
	By   *Rights
	// To are the grantees; "" is PUBLIC.
	To []string
}

// Grant carries out GRANT and REVOKE in the draft of scope.
func (c *Catalog) Grant(in Scope, g Granting) (*Draft, []Notice, error) {
	objects, err := in.granted(g.Stmt)
	if err != nil {
		return nil, nil, err
	}
	next := in.Draft
	var notices []Notice
	for _, o := range objects {
		in.Draft = next
		current, ok := in.Object(o.ID) // the same object may stand there twice
		if !ok {
			continue
		}
		changed, told, err := g.change(current)
		if err != nil {
			return nil, nil, err
		}
		notices = append(notices, told...)
		if changed != nil {
			next = in.change(current, changed)
		}
	}
	return next, notices, nil
}

// granted are the objects that a GRANT is about.
func (s Scope) granted(stmt *syntax.Grant) ([]*cluster.Object, error) {
	if len(stmt.AllIn) > 0 {
		var out []*cluster.Object
		for _, name := range stmt.AllIn {
			schema, ok := s.Schema(name)
			if !ok {
				return nil, &syntax.Error{Code: "3F000", Message: fmt.Sprintf("schema %q does not exist", name)}
			}
			for _, o := range s.contents(schema.ID) {
				if isGranted(o, stmt.Kind) {
					out = append(out, o)
				}
			}
		}
		return out, nil
	}
	var out []*cluster.Object
	for _, t := range stmt.Objects {
		o, err := s.grantTarget(t)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// isGranted reports whether ALL ... IN SCHEMA of a kind means the object.
func isGranted(o *cluster.Object, kind syntax.Kind) bool {
	switch kind {
	case syntax.KindTable:
		return o.Kind != cluster.KindSequence && o.Kind != cluster.KindSchedule && o.Kind != cluster.KindFunction && o.Kind != cluster.KindDomain && o.Kind != cluster.KindEnum && o.Kind != cluster.KindComposite
	case syntax.KindSequence:
		return o.Kind == cluster.KindSequence
	case syntax.KindFunction, syntax.KindProcedure, syntax.KindRoutine:
		return o.Function != nil && (kind == syntax.KindRoutine || o.Function.Procedure == (kind == syntax.KindProcedure))
	}
	return false
}

// grantTarget finds one object of a GRANT.
func (s Scope) grantTarget(t syntax.Target) (*cluster.Object, error) {
	switch t.Kind {
	case syntax.KindDatabase:
		return s.FindDatabase(t.Name.Name)
	case syntax.KindSchema:
		if o, ok := s.Schema(t.Name.Name); ok {
			return o, nil
		}
		return nil, &syntax.Error{Code: "3F000", Message: fmt.Sprintf("schema %q does not exist", t.Name.Name)}
	case syntax.KindTable:
		if o, ok := s.Relation(t.Name); ok {
			return o, nil
		}
		return nil, &syntax.Error{Code: "42P01", Message: fmt.Sprintf("relation %q does not exist", written(t.Name))}
	case syntax.KindSequence:
		o, ok := s.Relation(t.Name)
		switch {
		case !ok:
			return nil, &syntax.Error{Code: "42P01", Message: fmt.Sprintf("relation %q does not exist", written(t.Name))}
		case o.Sequence == nil:
			return nil, &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is not a sequence", t.Name.Name)}
		}
		return o, nil
	case syntax.KindFunction, syntax.KindProcedure, syntax.KindRoutine:
		return s.FindFunction(t)
	}
	return nil, syntax.Unsupported("GRANT ON "+string(t.Kind), "")
}

// change is an object after the grants; nil: nothing changes.
func (g *Granting) change(o *cluster.Object) (*cluster.Object, []Notice, error) {
	whole, columns, err := g.wanted(o)
	if err != nil {
		return nil, nil, err
	}
	out := *o
	var notices []Notice
	if whole != 0 {
		acl, told, err := g.apply(o.Access(), o, whole, true)
		if err != nil {
			return nil, nil, err
		}
		notices = append(notices, told...)
		out.ACL = &acl
		if g.Stmt.Revoke && o.Collection != nil {
			// Of a table goes what was granted on its columns, too.
			if all := whole & cluster.ColumnPrivileges; all != 0 {
				columns = slices.Clone(columns)
				for i := range o.Collection.Columns {
					columns = append(columns, columnGrant{o.Collection.Columns[i].ID, all, true})
				}
			}
		}
	}
	if len(columns) > 0 {
		rows := *o.Collection
		rows.Columns = slices.Clone(rows.Columns)
		out.Collection = &rows
	}
	for _, one := range columns {
		column, _ := out.Collection.ColumnByID(one.id)
		acl, told, err := g.apply(column.ACL, o, one.privileges, !one.along)
		if err != nil {
			return nil, nil, err
		}
		if !one.along {
			notices = append(notices, told...)
		}
		if column.ACL = acl; len(acl) == 0 {
			column.ACL = nil
		}
	}
	return &out, notices, nil
}

// columnGrant is of one column; along: because of one on the table.
type columnGrant struct {
	id         cluster.ColumnID
	privileges cluster.Privileges
	along      bool
}

// wanted reads the privileges that are granted on the object, and on its columns.
func (g *Granting) wanted(o *cluster.Object) (whole cluster.Privileges, columns []columnGrant, err error) {
	all := cluster.AllPrivileges(o.Kind)
	kind := o.Kind
	if len(g.Stmt.Privileges) == 0 {
		return all, nil, nil
	}
	for _, p := range g.Stmt.Privileges {
		one := all
		if len(p.Columns) > 0 {
			one = cluster.ColumnPrivileges
		}
		if p.Name != "" {
			named, ok := cluster.PrivilegeNamed(p.Name)
			if !ok || named&all == 0 {
				return 0, nil, &syntax.Error{Code: "0LP01", Message: fmt.Sprintf("invalid privilege type %s for %s", strings.ToUpper(p.Name), grantKind(kind, g.Stmt.Kind))}
			}
			if one = named; len(p.Columns) > 0 && named&cluster.ColumnPrivileges == 0 {
				return 0, nil, &syntax.Error{Code: "0LP01", Message: fmt.Sprintf("invalid privilege type %s for column", strings.ToUpper(p.Name))}
			}
		}
		if len(p.Columns) == 0 {
			whole |= one
			continue
		}
		if o.Collection == nil {
			return 0, nil, &syntax.Error{Code: "0LP01", Message: "column privileges are only valid for relations"}
		}
		for _, name := range p.Columns {
			column, ok := o.Collection.Column(name)
			if !ok || column.Hidden {
				return 0, nil, &syntax.Error{Code: "42703", Message: fmt.Sprintf("column %q of relation %q does not exist", name, o.Name)}
			}
			columns = append(columns, columnGrant{id: column.ID, privileges: one})
		}
	}
	return whole, columns, nil
}

// grantKind is what PostgreSQL calls a kind of objects of a GRANT.
func grantKind(kind cluster.ObjectKind, said syntax.Kind) string {
	if said == syntax.KindTable {
		return "relation"
	}
	return string(kind)
}

// apply grants or revokes privileges in one ACL of an object. Without tell nobody minds
// that there is nothing to revoke.
func (g *Granting) apply(acl cluster.ACL, o *cluster.Object, want cluster.Privileges, tell bool) (cluster.ACL, []Notice, error) {
	grantor, options := g.grantor(acl, o, want)
	var notices []Notice
	if options == 0 && tell {
		held := g.By.Held(o, ^cluster.Privileges(0)) | acl.Holds(g.By.in, ^cluster.Privileges(0))
		if held == 0 {
			return nil, nil, Denied(o)
		}
	}
	if options != want && tell {
		notices = append(notices, g.warning(o, options))
	}
	want = options
	if want == 0 {
		return acl, notices, nil
	}
	for _, to := range g.To {
		if to == "" && g.Stmt.GrantOption && !g.Stmt.Revoke {
			return nil, nil, &syntax.Error{Code: "0LP01", Message: "grant options can only be granted to roles"}
		}
		item := cluster.ACLItem{Grantee: to, Grantor: grantor, Privileges: want}
		var err error
		if g.Stmt.Revoke {
			acl, err = acl.Revoke(item, g.Stmt.GrantOption, o.Owner, g.Stmt.Cascade)
		} else {
			if g.Stmt.GrantOption {
				item.Options = want
			}
			acl, err = acl.Grant(item, o.Owner)
		}
		switch {
		case errors.Is(err, cluster.ErrDependent):
			return nil, nil, &syntax.Error{Code: "2BP01", Message: "dependent privileges exist", Hint: "Use CASCADE to revoke them too."}
		case err != nil:
			return nil, nil, &syntax.Error{Code: "0LP01", Message: err.Error()}
		}
	}
	return acl, notices, nil
}

// grantor is in whose name is granted: the owner's, if the role has its privileges, else
// that of the role with most of the options. options are those that it has of want.
func (g *Granting) grantor(acl cluster.ACL, o *cluster.Object, want cluster.Privileges) (string, cluster.Privileges) {
	if g.By.Owns(o) {
		return o.Owner, want
	}
	best, most := g.By.Role, acl.Options(g.By.Role, o.Owner, want)&want
	if o.ACL != nil {
		most |= o.ACL.Options(g.By.Role, o.Owner, want) & want
	}
	for _, item := range acl {
		if item.Grantee == "" || !g.By.in(item.Grantee) {
			continue
		}
		if has := acl.Options(item.Grantee, o.Owner, want) & want; count(has) > count(most) {
			best, most = item.Grantee, has
		}
	}
	return best, most
}

func count(p cluster.Privileges) int { return len(p.Names()) }

// warning is told when fewer privileges are granted than were asked for.
func (g *Granting) warning(o *cluster.Object, options cluster.Privileges) Notice {
	what, verb, code := "no privileges were", "granted", "01007"
	if options != 0 {
		what = "not all privileges were"
		if g.Stmt.Revoke {
			what = "not all privileges could be"
		}
	} else if g.Stmt.Revoke {
		what = "no privileges could be"
	}
	if g.Stmt.Revoke {
		verb, code = "revoked", "01006"
	}
	return Notice{Code: code, Message: fmt.Sprintf("%s %s for %q", what, verb, o.Name)}
}

// DefaultGranting is ALTER DEFAULT PRIVILEGES; names are resolved.
type DefaultGranting struct {
	Granting
	Roles   []string // whose objects it is about
	Schemas []string // none: all of the database
}

// defaultKinds are what it can be said of.
var defaultKinds = map[syntax.Kind]cluster.ObjectKind{syntax.KindTable: cluster.KindTable, syntax.KindSequence: cluster.KindSequence, syntax.KindSchema: cluster.KindSchema,
	syntax.KindFunction: cluster.KindFunction, syntax.KindRoutine: cluster.KindFunction}

// AlterDefaults carries out ALTER DEFAULT PRIVILEGES in the draft of scope.
func (c *Catalog) AlterDefaults(in Scope, g DefaultGranting) (*Draft, error) {
	kind, ok := defaultKinds[g.Stmt.Kind]
	if !ok {
		return nil, syntax.Unsupported("ALTER DEFAULT PRIVILEGES ON "+string(g.Stmt.Kind)+"S", "")
	}
	if kind == cluster.KindSchema && len(g.Schemas) > 0 {
		return nil, &syntax.Error{Code: "0LP01", Message: "cannot use IN SCHEMA clause when using GRANT/REVOKE ON SCHEMAS"}
	}
	var holders []*cluster.Object
	if len(g.Schemas) == 0 {
		database, ok := in.Object(in.Database)
		if !ok {
			return nil, noDatabase("")
		}
		holders = append(holders, database)
	}
	for _, name := range g.Schemas {
		schema, ok := in.Schema(name)
		if !ok {
			return nil, &syntax.Error{Code: "3F000", Message: fmt.Sprintf("schema %q does not exist", name)}
		}
		holders = append(holders, schema)
	}
	next := in.Draft
	for _, holder := range holders {
		for _, role := range g.Roles {
			in.Draft = next
			current, _ := in.Object(holder.ID)
			changed, err := g.changeDefaults(current, role, kind)
			if err != nil {
				return nil, err
			}
			next = in.change(current, changed)
		}
	}
	return next, nil
}

// changeDefaults changes what is said of a role's objects of a kind.
func (g *DefaultGranting) changeDefaults(holder *cluster.Object, role string, kind cluster.ObjectKind) (*cluster.Object, error) {
	global := holder.Kind == cluster.KindDatabase
	acl := cluster.ACL{}
	if global {
		acl = cluster.DefaultACL(kind, role)
	}
	if d := holder.DefaultsFor(role, kind); d != nil {
		acl = d.ACL
	}
	// The grants are as on an object of the kind whose owner the role is.
	like := &cluster.Object{Kind: kind, Owner: role, Name: string(kind)}
	if kind == cluster.KindTable {
		like.Collection = &cluster.Collection{}
	}
	whole, columns, err := g.wanted(like)
	if err != nil {
		return nil, err
	}
	if len(columns) > 0 {
		return nil, &syntax.Error{Code: "0LP01", Message: "default privileges cannot be set for columns"}
	}
	owner := *g
	owner.By = &Rights{Role: role, Super: true}
	if acl, _, err = owner.apply(acl, like, whole, false); err != nil {
		return nil, err
	}
	out := *holder
	out.Defaults = slices.DeleteFunc(slices.Clone(out.Defaults), func(d cluster.DefaultPrivileges) bool { return d.Role == role && d.Kind == kind })
	plain := !global && len(acl) == 0 || global && slices.Equal(acl, cluster.DefaultACL(kind, role))
	if !plain {
		out.Defaults = append(out.Defaults, cluster.DefaultPrivileges{Role: role, Kind: kind, ACL: acl})
	}
	return &out, nil
}

// born gives an object that is made the privileges that default ones say.
func (s Scope) born(o *cluster.Object) {
	kind := o.Kind
	var all, schema *cluster.DefaultPrivileges
	parent, ok := s.Object(o.Parent)
	if !ok {
		return
	}
	if parent.Kind == cluster.KindSchema {
		schema = parent.DefaultsFor(o.Owner, kind)
		if parent, ok = s.Object(parent.Parent); !ok {
			return
		}
	}
	if all = parent.DefaultsFor(o.Owner, kind); all == nil && schema == nil {
		return
	}
	acl := cluster.DefaultACL(kind, o.Owner)
	if all != nil {
		acl = slices.Clone(all.ACL)
	}
	if schema != nil {
		for _, item := range schema.ACL {
			if next, err := acl.Grant(item, o.Owner); err == nil {
				acl = next
			}
		}
	}
	o.ACL = &acl
}

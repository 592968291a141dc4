package catalog

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Rights are what a role may do: what it, and the roles whose privileges it has, were
// granted and own. They hold for one version of the roles.
type Rights struct {
	Role    string
	Super   bool // nothing is refused
	Version uint64
	user    *metastate.User // nil: the role was dropped
	roles   map[string]bool
}

// RightsOf returns what the role may do.
func RightsOf(view *metastate.View, role string) *Rights {
	u := view.Users[role]
	out := &Rights{Role: role, Super: u.Superuser(), Version: view.RolesVersion(), user: u, roles: map[string]bool{}}
	if u != nil {
		out.roles = view.Inherited(role)
	}
	return out
}

// Has reports whether the privileges of another role are among them.
func (r *Rights) Has(role string) bool { return r.Super || r.roles[role] }

// User is the role itself; nil if it was dropped.
func (r *Rights) User() *metastate.User { return r.user }

// Owns reports whether the role may do what an object's owner may.
func (r *Rights) Owns(o *cluster.Object) bool { return r.Has(o.Owner) }

// Held are those of the privileges on an object that the role has.
func (r *Rights) Held(o *cluster.Object, want cluster.Privileges) cluster.Privileges {
	switch {
	case r.Super:
		return want
	case o.ACL != nil:
		return o.ACL.Holds(r.in, want)
	case r.roles[o.Owner]:
		return want & cluster.AllPrivileges(o.Kind)
	case o.Kind == cluster.KindDatabase:
		return want & (cluster.Temporary | cluster.Connect) // as DefaultACL has it
	case o.Kind == cluster.KindFunction:
		return want & cluster.Execute // the same
	}
	return 0
}

// May reports whether the role has all of the privileges.
func (r *Rights) May(o *cluster.Object, want cluster.Privileges) bool { return r.Held(o, want) == want }

// MayColumn reports whether the role has the privileges on a column, by it or by the
// whole table.
func (r *Rights) MayColumn(o *cluster.Object, column cluster.ColumnID, want cluster.Privileges) bool {
	held := r.Held(o, want)
	if held != want && o.Collection != nil {
		if c, ok := o.Collection.ColumnByID(column); ok {
			held |= c.ACL.Holds(r.in, want)
		}
	}
	return held == want
}

// MayGrant reports whether the role may grant the privilege on the object, or on the column.
func (r *Rights) MayGrant(o *cluster.Object, column cluster.ColumnID, p cluster.Privileges) bool {
	options := func(acl cluster.ACL) bool {
		for i := range acl {
			if acl[i].Options&p != 0 && r.in(acl[i].Grantee) {
				return true
			}
		}
		return false
	}
	if options(o.Access()) {
		return true
	}
	if o.Collection == nil {
		return false
	}
	c, ok := o.Collection.ColumnByID(column)
	return ok && options(c.ACL)
}

// MayAny reports whether the role has the privileges on the table or on one of its columns.
func (r *Rights) MayAny(o *cluster.Object, want cluster.Privileges) bool {
	if r.May(o, want) {
		return true
	}
	if o.Collection == nil {
		return false
	}
	for i := range o.Collection.Columns {
		if o.Collection.Columns[i].ACL.Holds(r.in, want) == want {
			return true
		}
	}
	return false
}

func (r *Rights) in(role string) bool { return r.roles[role] }

// Denied is the refusal of what needs a privilege on an object.
func Denied(o *cluster.Object) *syntax.Error {
	return &syntax.Error{Code: "42501", Message: fmt.Sprintf("permission denied for %s %s", kindName(o), o.Name)}
}

// NotOwner is the refusal of what an object's owner may.
func NotOwner(o *cluster.Object) *syntax.Error {
	return &syntax.Error{Code: "42501", Message: fmt.Sprintf("must be owner of %s %s", kindName(o), o.Name)}
}

// kindName is what errors call an object's kind.
func kindName(o *cluster.Object) string { return kindWord(o.Kind) }

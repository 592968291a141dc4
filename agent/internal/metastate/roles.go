package metastate

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Membership says that a role is a member of another.
type Membership struct {
	Role    string `json:"role"`
	Admin   bool   `json:"admin,omitempty"` // WITH ADMIN OPTION
	Grantor string `json:"grantor,omitempty"`
}

// Superuser reports whether nothing is refused to the role for want of privileges.
func (u *User) Superuser() bool { return u != nil && u.AdminRole == lastAdmin }

// Member returns the role's membership in another.
func (u *User) Member(role string) (Membership, bool) {
	i := slices.IndexFunc(u.MemberOf, func(m Membership) bool { return m.Role == role })
	if i < 0 {
		return Membership{}, false
	}
	return u.MemberOf[i], true
}

// RolesVersion rises with every change of a role.
func (v *View) RolesVersion() uint64 { return v.next.Roles }

// Inherited are the roles whose privileges a role has, itself included: those that it is a
// member of, by way of roles that inherit.
func (v *View) Inherited(role string) map[string]bool { return v.memberOf(role, true) }

// MemberOf are the roles that a role is a member of in any way, itself included: it may
// become them by SET ROLE.
func (v *View) MemberOf(role string) map[string]bool { return v.memberOf(role, false) }

func (v *View) memberOf(role string, inherit bool) map[string]bool {
	out := map[string]bool{role: true}
	for todo := []string{role}; len(todo) > 0; {
		u := v.Users[todo[0]]
		todo = todo[1:]
		if u == nil || inherit && u.NoInherit {
			continue
		}
		for _, m := range u.MemberOf {
			if !out[m.Role] {
				out[m.Role] = true
				todo = append(todo, m.Role)
			}
		}
	}
	return out
}

// AdminOf reports whether a role may give others membership in another: by ADMIN OPTION
// that it, or a role that it is a member of, has.
func (v *View) AdminOf(role, other string) bool {
	for name := range v.MemberOf(role) {
		if u := v.Users[name]; u != nil {
			if m, ok := u.Member(other); ok && m.Admin {
				return true
			}
		}
	}
	return false
}

const noRole = "role %q does not exist"

func (c *change) changeMember(in *ChangeMember, by string) Result {
	member, ok := c.view.Users[in.Member]
	if !ok {
		return refused(CodeNotFound, noRole, in.Member)
	}
	if _, ok := c.view.Users[in.Role]; !ok {
		return refused(CodeNotFound, noRole, in.Role)
	}
	if r := c.mayGrantRole(in, by); r != nil {
		return Result{Refusal: r}
	}
	u := *member
	u.MemberOf = slices.Clone(u.MemberOf)
	i := slices.IndexFunc(u.MemberOf, func(m Membership) bool { return m.Role == in.Role })
	switch {
	case in.Revoke && i < 0, in.Revoke && in.OnlyAdmin && !u.MemberOf[i].Admin:
		return Result{Existed: true}
	case in.Revoke && in.OnlyAdmin:
		u.MemberOf[i].Admin = false
	case in.Revoke:
		u.MemberOf = slices.Delete(u.MemberOf, i, i+1)
	case i >= 0 && (u.MemberOf[i].Admin || !in.Admin):
		return Result{Existed: true}
	case i >= 0:
		u.MemberOf[i].Admin, u.MemberOf[i].Grantor = true, in.Grantor
	case c.view.MemberOf(in.Role)[in.Member]:
		return refused(CodeCircle, "role %q is a member of role %q", in.Role, in.Member)
	default:
		u.MemberOf = append(u.MemberOf, Membership{Role: in.Role, Admin: in.Admin, Grantor: in.Grantor})
	}
	u.ChangedAt = c.now
	c.putUser(u)
	c.event(cluster.Event{Kind: cluster.EventUserChanged, Text: fmt.Sprintf("the roles of user %s were changed", u.Name)})
	return Result{}
}

// mayGrantRole refuses members to who may not give them.
func (c *change) mayGrantRole(in *ChangeMember, by string) *Refusal {
	if c.via != ViaSQL && c.via != ViaAdmin {
		return nil
	}
	actor, role := c.view.Users[by], c.view.Users[in.Role]
	switch {
	case actor.Superuser():
		return nil
	case role.Superuser():
		return refuse(CodeDenied, "must be superuser to alter superusers")
	case actor != nil && actor.CreateRole, c.view.AdminOf(by, in.Role):
		return nil
	}
	return refuse(CodeDenied, "must have admin option on role %q", in.Role)
}

// changeAttributes applies the parts of in that are set.
func (u *User) changeAttributes(in *ChangeUser) {
	for _, a := range []struct {
		to   *bool
		from *bool
	}{{&u.NoLogin, in.NoLogin}, {&u.NoInherit, in.NoInherit}, {&u.CreateDB, in.CreateDB}, {&u.CreateRole, in.CreateRole}, {&u.BypassRLS, in.BypassRLS}} {
		if a.from != nil {
			*a.to = *a.from
		}
	}
	if in.ValidUntil != nil {
		u.ValidUntil = in.ValidUntil.UTC()
	}
}

// Dependents are what names the role, and would be without it: PostgreSQL's DETAIL lists
// them.
func (v *View) Dependents(role string) []string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(v.Objects)) {
		out = append(out, v.dependsOn(v.Objects[id], role)...)
	}
	return out
}

// dependsOn says how an object depends on a role.
func (v *View) dependsOn(o *cluster.Object, role string) []string {
	var out []string
	name := string(o.Kind) + " " + o.Name
	if parent := v.Objects[o.Parent]; parent != nil && parent.Kind == cluster.KindSchema && parent.Name != "public" {
		name = string(o.Kind) + " " + parent.Name + "." + o.Name
	}
	if o.Owner == role {
		return append(out, "owner of "+name)
	}
	if o.ACL != nil && o.ACL.Mentions(role) {
		out = append(out, "privileges for "+name)
	}
	if o.Collection != nil {
		for i := range o.Collection.Columns {
			if column := &o.Collection.Columns[i]; column.ACL.Mentions(role) {
				out = append(out, fmt.Sprintf("privileges for column %s of %s", column.Name, name))
			}
		}
	}
	if o.Collection != nil {
		for i := range o.Collection.Policies {
			if p := &o.Collection.Policies[i]; slices.Contains(p.Roles, role) {
				out = append(out, fmt.Sprintf("target of policy %s on %s", p.Name, name))
			}
		}
	}
	for i := range o.Defaults {
		d := &o.Defaults[i]
		in := ""
		if o.Kind == cluster.KindSchema {
			in = " in schema " + o.Name
		}
		switch {
		case d.Role == role:
			out = append(out, fmt.Sprintf("owner of default privileges on new %ss belonging to role %s%s", d.Kind, d.Role, in))
		case d.ACL.Mentions(role):
			out = append(out, fmt.Sprintf("privileges for default privileges on new %ss belonging to role %s%s", d.Kind, d.Role, in))
		}
	}
	return out
}

// mentioned reports whether an object, or one that a transaction is about to change,
// names the role.
func (c *change) mentioned(role string) bool {
	for _, o := range c.view.Objects {
		if slices.Contains(o.Roles(), role) {
			return true
		}
	}
	for _, p := range c.view.Pending {
		for i := range p.Change.Put {
			if slices.Contains(p.Change.Put[i].Roles(), role) {
				return true
			}
		}
	}
	return false
}

// checkRoles refuses an object that names roles that are not there. A role that was there
// when the change was made may have been dropped meanwhile.
func (c *change) checkRoles(o *cluster.Object) *Refusal {
	for _, name := range o.Roles() {
		if name != "" && c.view.Users[name] == nil {
			return refuse(CodeStale, "%s %q: role %q was dropped meanwhile", o.Kind, o.Name, name)
		}
	}
	return nil
}

// forgetMembers ends the memberships in a role that is dropped.
func (c *change) forgetMembers(role string) {
	for _, name := range sortedKeys(c.view.Users) {
		u := *c.view.Users[name]
		if _, ok := u.Member(role); ok {
			u.MemberOf = slices.DeleteFunc(slices.Clone(u.MemberOf), func(m Membership) bool { return m.Role == role })
			c.putUser(u)
		}
	}
}

// PasswordValid reports whether the role's password may be used at now.
func (u *User) PasswordValid(now time.Time) bool {
	return u.ValidUntil.IsZero() || now.Before(u.ValidUntil)
}

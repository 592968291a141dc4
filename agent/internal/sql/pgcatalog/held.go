package pgcatalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// ofRoles are what functions that ask for a role's privileges look up. A role is n: and its
// name, or o: and its number.
func (in *Input) ofRoles(name string) []row {
	var out []row
	for i := range in.Roles {
		role := &in.Roles[i]
		for _, key := range roleKeys(role.Name, role.oid()) {
			switch name {
			case "nd_member":
				out = append(out, in.memberships(key, role)...)
			case "nd_held":
				out = append(out, in.held(key, in.RightsOf(role.Name))...)
			default:
				out = append(out, in.heldColumns(key, in.RightsOf(role.Name))...)
			}
		}
	}
	switch name { // what everybody has
	case "nd_held":
		out = append(out, in.held("n:public", in.RightsOf("public"))...)
	case "nd_held_column":
		out = append(out, in.heldColumns("n:public", in.RightsOf("public"))...)
	}
	return out
}

func roleKeys(name string, oid uint32) []string {
	return []string{"n:" + name, fmt.Sprintf("o:%d", oid)}
}

// memberships are what pg_has_role looks up, by role|role.
func (in *Input) memberships(key string, role *Role) []row {
	rights, members := in.RightsOf(role.Name), in.MemberOf(role.Name)
	var out []row
	for i := range in.Roles {
		of := &in.Roles[i]
		how := ","
		if rights.Has(of.Name) {
			how += "USAGE,"
		}
		if rights.Super || members[of.Name] {
			how += "MEMBER,"
		}
		if rights.Super || in.AdminOf(role.Name, of.Name) {
			how += "USAGE*,MEMBER*,"
		}
		for _, k := range roleKeys(of.Name, of.oid()) {
			out = append(out, row{"key": key + "|" + k, "how": how})
		}
	}
	for i, name := range syntax.AdminRoles {
		how := ","
		if rights.Super || role.AdminRole == name || slices.Contains(syntax.AdminRoles, role.AdminRole) && slices.Index(syntax.AdminRoles, role.AdminRole) > i {
			how += "USAGE,MEMBER,"
		}
		for _, k := range roleKeys(name, uint32(adminRoleOID+i)) {
			out = append(out, row{"key": key + "|" + k, "how": how})
		}
	}
	return out
}

// privilegeText lists privileges: what a role has, with a star what it may grant, and behind
// a tilde what it has on some column.
func privilegeText(rights *catalog.Rights, o *cluster.Object) string {
	text := ","
	all := cluster.AllPrivileges(o.Kind)
	for _, name := range rights.Held(o, all).Names() {
		text += name + ","
	}
	for _, name := range all.Names() {
		if p, _ := cluster.PrivilegeNamed(name); rights.Owns(o) || rights.MayGrant(o, 0, p) {
			text += name + "*,"
		}
	}
	for _, name := range cluster.ColumnPrivileges.Names() {
		if p, _ := cluster.PrivilegeNamed(name); (o.Collection != nil || o.View != nil) && rights.MayAny(o, p) {
			text += "~" + name + ","
		}
	}
	return text
}

// grantable are the objects on which there are privileges.
func (in *Input) grantable() []*cluster.Object {
	var out []*cluster.Object
	for _, t := range in.Tables {
		out = append(out, t.Desc)
	}
	for i := range in.Views {
		if !in.Views[i].materialized() { // which are among the tables
			out = append(out, in.Views[i].Desc)
		}
	}
	out = append(append(out, in.Schemas...), in.Databases...)
	for i := range in.Sequences {
		out = append(out, in.Sequences[i].Object)
	}
	for i := range in.Functions {
		out = append(out, in.Functions[i].Object)
	}
	return out
}

// held are what has_table_privilege(role, oid, privilege) and its like look up, by role|oid.
func (in *Input) held(key string, rights *catalog.Rights) []row {
	var out []row
	for _, o := range in.grantable() {
		out = append(out, row{"key": fmt.Sprintf("%s|%d", key, OID(o.ID)), "privileges": privilegeText(rights, o)})
	}
	for _, r := range readable() {
		out = append(out, row{"key": fmt.Sprintf("%s|%d", key, number(r["oid"])), "privileges": r["privileges"]})
	}
	return out
}

// readable are the schemas and the tables that are always there, and that all may read.
func readable() []row {
	var out []row
	for _, oid := range []uint32{catalogNamespace, informationNamespace, internalNamespace} {
		out = append(out, row{"oid": oid, "privileges": ",USAGE,"})
	}
	for _, t := range listed() {
		out = append(out, row{"oid": t.OID, "privileges": ",SELECT,~SELECT,"})
	}
	return out
}

// heldColumns are held of columns, by role|oid|number and role|oid|name.
func (in *Input) heldColumns(key string, rights *catalog.Rights) []row {
	var out []row
	add := func(oid uint32, at int, name, text string) {
		for _, column := range []string{fmt.Sprint(at), ":" + name} {
			out = append(out, row{"key": fmt.Sprintf("%s|%d|%s", key, oid, column), "privileges": text})
		}
	}
	for _, t := range in.Tables {
		for i, c := range t.Columns {
			if c.Hidden {
				continue
			}
			text := ","
			for _, name := range cluster.ColumnPrivileges.Names() {
				p, _ := cluster.PrivilegeNamed(name)
				if rights.MayColumn(t.Desc, c.ID, p) {
					text += name + ","
				}
				if rights.Owns(t.Desc) || rights.MayGrant(t.Desc, c.ID, p) {
					text += name + "*,"
				}
			}
			add(TableOID(t), i+1, c.Name, text)
		}
	}
	whole := map[uint32]string{}
	for i := range in.Views {
		if v := &in.Views[i]; !v.materialized() {
			whole[v.oid()] = strings.ReplaceAll(privilegeText(rights, v.Desc), "~", "")
		}
	}
	for _, r := range append(in.viewAttributes(), catalogAttributes()...) {
		oid, at, name := number(r["attrelid"]), r["attnum"], r["attname"]
		text, ok := whole[oid]
		if !ok {
			text = ",SELECT,"
		}
		n, _ := at.(int)
		s, _ := name.(string)
		add(oid, n, s, text)
	}
	return out
}

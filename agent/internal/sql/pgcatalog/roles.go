package pgcatalog

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Role is a role as the catalogs show it.
type Role struct {
	Name                                                   string
	Number                                                 cluster.WriterID
	Super, Inherit, CreateRole, CreateDB, Login, BypassRLS bool
	ConnectionLimit                                        int32 // -1: the default
	ValidUntil                                             time.Time
	// AdminRole is its role of the admin API, such as nodedb_operator; "": none.
	AdminRole string
	MemberOf  []Member
	// SessionSettings are what its sessions begin with, by database; 0: in all.
	SessionSettings map[cluster.ObjectID]map[string]string
}

// Member says what a role is a member of.
type Member struct {
	Role, Grantor string
	Admin         bool
}

// adminRoleOID is the first of the roles' that are granted for the admin API.
const adminRoleOID = 100

// adminRoles are the roles that are granted: they contain each other, and nobody
// logs in as one.
func adminRoles() []row {
	var out []row
	for i, name := range syntax.AdminRoles {
		out = append(out, row{"oid": uint32(adminRoleOID + i), "rolname": name, "rolinherit": true, "rolconnlimit": -1})
	}
	return out
}

func (in *Input) users() []row {
	var out []row
	for i := range in.Roles {
		u := &in.Roles[i]
		r := row{"oid": u.oid(), "rolname": u.Name, "rolinherit": u.Inherit, "rolcanlogin": u.Login, "rolconnlimit": int(u.ConnectionLimit),
			"rolcreaterole": u.CreateRole || u.Super, "rolcreatedb": u.CreateDB || u.Super, "rolsuper": u.Super, "rolbypassrls": u.BypassRLS || u.Super, "rolvaliduntil": u.ValidUntil,
			"rolpassword": "********", "rolconfig": assignments(u.SessionSettings[0])}
		out = append(out, r)
	}
	return out
}

// logins are the roles that log in, by the names that pg_user has.
func (in *Input) logins() []row {
	var out []row
	for i := range in.Roles {
		if u := &in.Roles[i]; u.Login {
			out = append(out, row{"usename": u.Name, "usesysid": u.oid(), "usecreatedb": u.CreateDB || u.Super, "usesuper": u.Super, "usebypassrls": u.BypassRLS || u.Super,
				"passwd": "********", "valuntil": u.ValidUntil, "useconfig": assignments(u.SessionSettings[0])})
		}
	}
	return out
}

// roleSettings are the rows of pg_db_role_setting.
func (in *Input) roleSettings() []row {
	var out []row
	add := func(database, role uint32, values map[string]string) {
		if len(values) > 0 {
			out = append(out, row{"setdatabase": database, "setrole": role, "setconfig": assignments(values)})
		}
	}
	for _, o := range in.Databases {
		add(OID(o.ID), 0, o.SessionSettings)
	}
	for i := range in.Roles {
		u := &in.Roles[i]
		add(0, u.oid(), u.SessionSettings[0])
		for _, o := range in.Databases {
			add(OID(o.ID), u.oid(), u.SessionSettings[o.ID])
		}
	}
	return out
}

// assignments are settings as name=value; nil: there are none.
func assignments(values map[string]string) any {
	if len(values) == 0 {
		return nil
	}
	out := make([]string, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		out = append(out, name+"="+values[name])
	}
	return out
}

// OID is that of the role.
func (r *Role) OID() uint32 { return r.oid() }

func (r *Role) oid() uint32 {
	if r.Name == "root" {
		return rootOID
	}
	return firstUserOID + constraintOffset + uint32(r.Number)
}

// roleOID is the OID of a role by its name; 0: of PUBLIC, or there is none.
func (in *Input) roleOID(name string) uint32 {
	if i, ok := in.role(name); ok {
		return in.Roles[i].oid()
	}
	return 0
}

func (in *Input) role(name string) (int, bool) {
	return slices.BinarySearchFunc(in.Roles, name, func(r Role, name string) int { return strings.Compare(r.Name, name) })
}

// members says which role is a member of which.
func (in *Input) members() []row {
	var out []row
	for i := range in.Roles {
		u := &in.Roles[i]
		if n := slices.Index(syntax.AdminRoles, u.AdminRole); n >= 0 {
			out = append(out, row{"roleid": uint32(adminRoleOID + n), "member": u.oid(), "grantor": uint32(rootOID), "admin_option": false})
		}
		for _, m := range u.MemberOf {
			out = append(out, row{"roleid": in.roleOID(m.Role), "member": u.oid(), "grantor": in.roleOID(m.Grantor), "admin_option": m.Admin})
		}
	}
	return out
}

// ownerOID is the OID of the user whose an object is.
func (in *Input) ownerOID(o *cluster.Object) uint32 {
	if oid := in.roleOID(o.Owner); oid != 0 {
		return oid
	}
	return rootOID
}

// access is the ACL of an object; null if it has none of its own.
func access(o *cluster.Object) any {
	if o.ACL == nil {
		return nil
	}
	return aclTexts(*o.ACL)
}

func aclTexts(acl cluster.ACL) []string {
	out := []string{}
	for _, item := range acl {
		out = append(out, item.Text())
	}
	return out
}

// columnAccess is the ACL of a column; null if there is none.
func columnAccess(t *catalog.Table, i int) any {
	if c, ok := t.Desc.Collection.Column(t.Columns[i].Name); ok && len(c.ACL) > 0 {
		return aclTexts(c.ACL)
	}
	return nil
}

// defaultACLs are the rows of pg_default_acl.
func (in *Input) defaultACLs() []row {
	kinds := map[cluster.ObjectKind]string{cluster.KindTable: "r", cluster.KindSequence: "S", cluster.KindSchema: "n"}
	var out []row
	holders := in.Schemas
	for _, o := range in.Databases {
		if o.ID == in.DatabaseID {
			holders = append(slices.Clone(holders), o)
		}
	}
	for _, o := range holders {
		namespace := OID(o.ID)
		if o.Kind == cluster.KindDatabase {
			namespace = 0
		}
		for i, d := range o.Defaults {
			out = append(out, row{"oid": OID(o.ID)*64 + uint32(i), "defaclrole": in.roleOID(d.Role), "defaclnamespace": namespace, "defaclobjtype": kinds[d.Kind], "defaclacl": aclTexts(d.ACL)})
		}
	}
	return out
}

// privilegeRows are those of information_schema's views of privileges: what the session's
// role has granted, or was granted.
func (in *Input) privilegeRows(columns bool) []row {
	var out []row
	for _, t := range in.Tables {
		add := func(acl cluster.ACL, of cluster.Privileges, r func() row) {
			for _, item := range acl {
				if item.Grantee != "" && !in.Rights.Has(item.Grantee) && !in.Rights.Has(item.Grantor) {
					continue
				}
				for _, name := range (item.Privileges & of).Names() {
					one := in.named(t, r())
					one["grantor"], one["grantee"], one["privilege_type"], one["is_grantable"], one["with_hierarchy"] = item.Grantor, "PUBLIC", name, "NO", "NO"
					if item.Grantee != "" {
						one["grantee"] = item.Grantee
					}
					if p, _ := cluster.PrivilegeNamed(name); item.Options&p != 0 || item.Grantee == t.Desc.Owner {
						one["is_grantable"] = "YES"
					}
					if name == "SELECT" {
						one["with_hierarchy"] = "YES"
					}
					out = append(out, one)
				}
			}
		}
		if !columns {
			add(t.Desc.Access(), ^cluster.Privileges(0), func() row { return row{} })
			continue
		}
		for i := range t.Columns {
			if t.Columns[i].Hidden {
				continue
			}
			named := func() row { return row{"column_name": t.Columns[i].Name} }
			add(t.Desc.Access(), cluster.ColumnPrivileges, named)
			if c, ok := t.Desc.Collection.Column(t.Columns[i].Name); ok {
				add(c.ACL, cluster.ColumnPrivileges, named)
			}
		}
	}
	return out
}

// seen reports whether information_schema shows a relation: the session's role has some
// privilege on it.
func (in *Input) seen(o *cluster.Object) bool {
	return in.Rights.Owns(o) || in.Rights.Held(o, ^cluster.Privileges(0)) != 0 || in.Rights.MayAny(o, cluster.Select) ||
		in.Rights.MayAny(o, cluster.Insert) || in.Rights.MayAny(o, cluster.Update) || in.Rights.MayAny(o, cluster.References)
}

// enabledRoles are the roles whose privileges the session's role has.
func (in *Input) enabledRoles(name string) []row {
	var out []row
	for i := range in.Roles {
		u := &in.Roles[i]
		if !in.Rights.Has(u.Name) {
			continue
		}
		if name == "enabled_roles" {
			out = append(out, row{"role_name": u.Name})
		}
		for _, m := range u.MemberOf {
			if name == "applicable_roles" {
				grantable := "NO"
				if m.Admin {
					grantable = "YES"
				}
				out = append(out, row{"grantee": u.Name, "role_name": m.Role, "is_grantable": grantable})
			}
		}
	}
	return out
}

// visible is the input with what information_schema shows to the session's role.
func (in *Input) visible() *Input {
	if in.Rights.Super {
		return in
	}
	out := *in
	out.Tables = slices.DeleteFunc(slices.Clone(in.Tables), func(t *catalog.Table) bool { return !in.seen(t.Desc) })
	out.Sequences = slices.DeleteFunc(slices.Clone(in.Sequences), func(s Sequence) bool { return !in.seen(s.Object) })
	return &out
}

// seesColumn reports whether the role has some privilege on a column.
func (in *Input) seesColumn(t *catalog.Table, name string) bool {
	if in.Rights.Owns(t.Desc) || in.Rights.Held(t.Desc, cluster.ColumnPrivileges) != 0 {
		return true
	}
	c, ok := t.Desc.Collection.Column(name)
	return ok && c.ACL.Holds(in.Rights.Has, cluster.ColumnPrivileges) != 0
}

// privileges is what has_table_privilege and its like look up by OID: the privileges that
// the session's role has, and behind a tilde those that it has on some column.
func (in *Input) privileges() []row {
	var out []row
	for _, o := range in.grantable() {
		out = append(out, row{"oid": OID(o.ID), "privileges": privilegeText(in.Rights, o)})
	}
	return append(out, readable()...)
}

// policies are the rows of pg_policy and pg_policies.
func (in *Input) policies(view bool) []row {
	commands := map[string]string{"ALL": "*", "SELECT": "r", "INSERT": "a", "UPDATE": "w", "DELETE": "d"}
	shown := func(text string) any {
		switch {
		case text == "":
			return nil
		case aCall.MatchString(text):
			return text
		}
		return "(" + text + ")"
	}
	var out []row
	for _, t := range in.Tables {
		for i, p := range t.Desc.Collection.Policies {
			if view {
				names, how := []string{}, "PERMISSIVE"
				for _, r := range p.Roles {
					if r == "" {
						r = "public"
					}
					names = append(names, r)
				}
				if p.Restrictive {
					how = "RESTRICTIVE"
				}
				out = append(out, row{"schemaname": t.Schema().Name, "tablename": t.Name(), "policyname": p.Name, "permissive": how, "roles": names,
					"cmd": p.Command, "qual": shown(p.Using), "with_check": shown(p.Check)})
				continue
			}
			oids := []int{}
			for _, r := range p.Roles {
				oids = append(oids, int(in.roleOID(r)))
			}
			out = append(out, row{"oid": defaultOID(t, i), "polname": p.Name, "polrelid": TableOID(t), "polcmd": commands[p.Command], "polpermissive": !p.Restrictive,
				"polroles": oids, "polqual": shown(p.Using), "polwithcheck": shown(p.Check)})
		}
	}
	return out
}

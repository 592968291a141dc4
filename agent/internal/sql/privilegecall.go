package sql

import (
	"fmt"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/pgcatalog"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// privilege is has_table_privilege and its like: null if there is no object of the OID.
func (s *Session) privilege(call queryplan.PrivilegeCall) (datum.Datum, error) {
	scope := s.scope()
	args, rights := call.Args, scope.Rights
	most := 3
	if call.Function == "has_column_privilege" {
		most = 4
	}
	if len(args) == most {
		name, err := s.roleOf(scope, args[0])
		if err != nil {
			return datum.Datum{}, err
		}
		rights, args = catalog.RightsOf(scope.View, name), args[1:]
	}
	wanted := args[len(args)-1].S
	if call.Function == "pg_has_role" {
		return s.hasRole(scope, rights, args[0], wanted)
	}
	o, err := s.privilegeObject(scope, call.Function, args[0])
	if o == nil {
		return datum.MakeNull(datum.Bool), err
	}
	column := cluster.ColumnID(0)
	if call.Function == "has_column_privilege" {
		if column, err = columnOf(o, args[1]); err != nil || column == 0 {
			return datum.MakeNull(datum.Bool), err
		}
	}
	for _, part := range strings.Split(wanted, ",") {
		name, option := strings.CutSuffix(strings.ToUpper(strings.TrimSpace(part)), " WITH GRANT OPTION")
		p, ok := cluster.PrivilegeNamed(name)
		if !ok {
			return datum.Datum{}, &Error{Code: "22023", Message: fmt.Sprintf("unrecognized privilege type: %q", strings.TrimSpace(part))}
		}
		if mayPrivilege(rights, call.Function, o, column, p, option) {
			return datum.MakeBool(true), nil
		}
	}
	return datum.MakeBool(false), nil
}

// mayPrivilege reports whether a role has one privilege, or with option may grant it.
func mayPrivilege(rights *catalog.Rights, function string, o *cluster.Object, column cluster.ColumnID, p cluster.Privileges, option bool) bool {
	switch {
	case option && rights.Owns(o):
		return true
	case option:
		return rights.MayGrant(o, column, p)
	case function == "has_column_privilege":
		return rights.MayColumn(o, column, p)
	case function == "has_any_column_privilege":
		return rights.MayAny(o, p)
	}
	return rights.May(o, p)
}

// roleOf finds a role by its name or OID.
func (s *Session) roleOf(scope catalog.Scope, arg datum.Datum) (string, error) {
	if arg.Type != datum.Text {
		for _, u := range scope.View.Users {
			if r := shownRole(u); int64(r.OID()) == arg.I {
				return u.Name, nil
			}
		}
		return "", &Error{Code: "42704", Message: fmt.Sprintf("role with OID %d does not exist", arg.I)}
	}
	if scope.View.Users[arg.S] == nil && arg.S != "public" {
		return "", &Error{Code: "42704", Message: fmt.Sprintf("role %q does not exist", arg.S)}
	}
	return arg.S, nil
}

func (s *Session) hasRole(scope catalog.Scope, rights *catalog.Rights, role datum.Datum, how string) (datum.Datum, error) {
	name, err := s.roleOf(scope, role)
	if err != nil {
		return datum.Datum{}, err
	}
	for _, part := range strings.Split(how, ",") {
		switch part = strings.ToUpper(strings.TrimSpace(part)); {
		case part == "USAGE" && rights.Has(name), part == "MEMBER" && (rights.Super || scope.View.MemberOf(rights.Role)[name]),
			strings.HasSuffix(part, " OPTION") && (rights.Super || scope.View.AdminOf(rights.Role, name)):
			return datum.MakeBool(true), nil
		case part != "USAGE" && part != "MEMBER" && !strings.HasSuffix(part, " OPTION"):
			return datum.Datum{}, &Error{Code: "22023", Message: fmt.Sprintf("unrecognized privilege type: %q", part)}
		}
	}
	return datum.MakeBool(false), nil
}

// privilegeObject finds what a call is about; nil: there is nothing of the OID.
func (s *Session) privilegeObject(scope catalog.Scope, function string, arg datum.Datum) (*cluster.Object, error) {
	if arg.Type != datum.Text {
		for _, id := range []cluster.ObjectID{cluster.ObjectID(arg.I - int64(pgcatalog.OID(0)))} {
			if o, ok := scope.Object(id); ok {
				return o, nil
			}
		}
		return nil, nil //nolint:nilnil // there is none
	}
	switch function {
	case "has_schema_privilege":
		if o, ok := scope.Schema(arg.S); ok {
			return o, nil
		}
		if system := systemObject(arg.S, "", cluster.KindSchema); system != nil {
			return system, nil
		}
		return nil, &Error{Code: "3F000", Message: fmt.Sprintf("schema %q does not exist", arg.S)}
	case "has_database_privilege":
		return scope.FindDatabase(arg.S)
	}
	name, err := syntax.RelationName(arg.S)
	if err != nil {
		return nil, err
	}
	o, ok := scope.Relation(name)
	switch {
	case !ok && systemObject(name.Schema, name.Name, cluster.KindTable) != nil:
		return systemObject(name.Schema, name.Name, cluster.KindTable), nil
	case !ok:
		return nil, noRelation(arg.S)
	case function == "has_sequence_privilege" && o.Sequence == nil:
		return nil, &Error{Code: "42809", Message: fmt.Sprintf("%q is not a sequence", o.Name)}
	}
	return o, nil
}

// systemObject stands for a schema or a table that is no object, and that all may read.
func systemObject(schema, name string, kind cluster.ObjectKind) *cluster.Object {
	catalogs, err := pgcatalog.Load()
	if err != nil {
		return nil
	}
	if kind == cluster.KindSchema {
		if schema != pgcatalog.Schema && schema != "information_schema" && schema != internalSchema {
			return nil
		}
		return &cluster.Object{Kind: kind, Name: schema, ACL: &cluster.ACL{{Privileges: cluster.Usage}}}
	}
	if _, ok := catalogs.Lookup(schema, name); !ok {
		return nil
	}
	return &cluster.Object{Kind: kind, Name: name, ACL: &cluster.ACL{{Privileges: cluster.Select}}, Collection: &cluster.Collection{}}
}

// columnOf finds a column by its name or number; 0: there is none of the number.
func columnOf(o *cluster.Object, arg datum.Datum) (cluster.ColumnID, error) {
	if o.Collection == nil {
		return 0, nil
	}
	if arg.Type != datum.Text {
		if i := arg.I - 1; i >= 0 && i < int64(len(o.Collection.Columns)) {
			return o.Collection.Columns[i].ID, nil
		}
		return 0, nil
	}
	c, ok := o.Collection.Column(arg.S)
	if !ok {
		return 0, &Error{Code: "42703", Message: fmt.Sprintf("column %q of relation %q does not exist", arg.S, o.Name)}
	}
	return c.ID, nil
}

package queryplan

import (
	"slices"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// PrivilegeCall is a call of has_table_privilege and its like.
type PrivilegeCall struct {
	Function string
	// Args are texts and OIDs (int8), as they were given.
	Args []datum.Datum
}

// privilegeFunctions answer whether a role has a privilege.
var privilegeFunctions = []string{"has_table_privilege", "has_column_privilege", "has_any_column_privilege", "has_schema_privilege",
	"has_database_privilege", "has_sequence_privilege", "pg_has_role"}

// privilegeCall compiles a call.
func privilegeCall(name string, args []Expr) (Expr, error) {
	most := 3
	if name == "has_column_privilege" {
		most = 4
	}
	if len(args) < most-1 || len(args) > most {
		return nil, errSlow
	}
	for i := range args {
		var err error
		switch t := args[i].Type(); {
		case t == datum.Unknown || t.IsString():
			args[i], err = convert(args[i], datum.Text, -1, datum.Assignment)
		case t.IsInt() || t == datum.OID:
			args[i], err = convert(args[i], datum.Int8, -1, datum.Assignment)
		default:
			return nil, errSlow
		}
		if err != nil {
			return nil, errSlow
		}
	}
	return &fn{typ: datum.Bool, args: args, volatile: true, strict: true, eval: func(env *Env, v []datum.Datum) (datum.Datum, error) {
		return env.Session.Privilege(PrivilegeCall{Function: name, Args: slices.Clone(v)})
	}}, nil
}

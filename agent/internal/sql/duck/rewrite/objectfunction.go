package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// objectFunction is a function of PostgreSQL's that tells of an object: a catalog has what
// it tells by its arguments, written one after the other.
type objectFunction struct {
	table, column string
	// args are the types of the arguments; a name stands for the number of what it names.
	args   []datum.Type
	result datum.Type
}

var (
	ofOID    = []datum.Type{datum.OID}
	ofClass  = []datum.Type{datum.Regclass}
	ofObject = []datum.Type{datum.OID, datum.OID, datum.Int4}
)

// objectFunctions are they by their names; what stands behind a point is a column of those that
// tell of several.
var objectFunctions = map[string]objectFunction{
	"pg_get_function_arg_default":          {"nd_argument", "definition", []datum.Type{datum.OID, datum.Int4}, datum.Text},
	"pg_sequence_last_value":               {"nd_sequence_value", "last_value", ofClass, datum.Int8},
	"pg_describe_object":                   {"nd_object", "description", ofObject, datum.Text},
	"row_security_active":                  {"nd_row_security", "active", ofClass, datum.Bool},
	"pg_index_column_has_property":         {"nd_property", "value", []datum.Type{datum.Regclass, datum.Int4, datum.Text}, datum.Bool},
	"pg_index_has_property":                {"nd_property", "value", []datum.Type{datum.Regclass, datum.Text}, datum.Bool},
	"pg_indexam_has_property":              {"nd_property", "value", []datum.Type{datum.OID, datum.Text}, datum.Bool},
	"pg_sequence_parameters.start_value":   {"pg_sequence", "seqstart", ofOID, datum.Int8},
	"pg_sequence_parameters.minimum_value": {"pg_sequence", "seqmin", ofOID, datum.Int8},
	"pg_sequence_parameters.maximum_value": {"pg_sequence", "seqmax", ofOID, datum.Int8},
	"pg_sequence_parameters.increment":     {"pg_sequence", "seqincrement", ofOID, datum.Int8},
	"pg_sequence_parameters.cycle_option":  {"pg_sequence", "seqcycle", ofOID, datum.Bool},
	"pg_sequence_parameters.cache_size":    {"pg_sequence", "seqcache", ofOID, datum.Int8},
	"pg_sequence_parameters.data_type":     {"pg_sequence", "seqtypid", ofOID, datum.OID},
	"pg_identify_object.type":              {"nd_object", "type", ofObject, datum.Text},
	"pg_identify_object.schema":            {"nd_object", "schema", ofObject, datum.Text},
	"pg_identify_object.name":              {"nd_object", "name", ofObject, datum.Text},
	"pg_identify_object.identity":          {"nd_object", "identity", ofObject, datum.Text},
}

// lookedUpByOID are the catalogs of which the first column is the number of an object, and the
// names of that.
var lookedUpByOID = map[string]string{"pg_sequence": "seqrelid"}

// tells is the call of an object function.
func (o *objectFunction) tells(r *rewriter, f *pg.FuncCall) (finish, error) {
	if len(f.Args) != len(o.args) {
		name, _, _ := strings.Cut(lastName(f.Funcname), ".")
		return nil, noFunction(f, name+"("+r.signature(f)+")")
	}
	r.objectArguments(f.Args, o.args)
	key := "key"
	if by, ok := lookedUpByOID[o.table]; ok {
		key = by
	}
	find, err := r.lookupBy(o.table, key, o.column)
	if err != nil || find == nil {
		return nil, cmpError(err, unsupported(f.Location, "%s", lastName(f.Funcname)))
	}
	return func(n *pg.Node) (*pg.Node, error) {
		args := n.GetFuncCall().Args
		if key != "key" {
			return find(args[0]), nil
		}
		return find(joined(args, o.args)), nil
	}, nil
}

// objectArguments has names that stand for objects' numbers be read as such, and gives
// parameters their types.
func (r *rewriter) objectArguments(args []*pg.Node, types []datum.Type) {
	for i, t := range types {
		_, isText := literal(args[i])
		if t.IsRegistry() && (isText || r.typeOf(args[i]).IsString()) {
			args[i] = registryNode(args[i], t)
			continue
		}
		r.paramIs(args[i], t)
	}
}

// registryNode is a name as the number of what it names.
func registryNode(name *pg.Node, t datum.Type) *pg.Node {
	return &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: name, TypeName: &pg.TypeName{Names: []*pg.Node{str(t.String())}, Typemod: -1, Location: -1}, Location: -1}}}
}

// joined are arguments one behind the other, null if one is; texts are in lower case, as names
// of properties are.
func joined(args []*pg.Node, types []datum.Type) *pg.Node {
	parts := make([]*pg.Node, len(args))
	for i, a := range args {
		if parts[i] = cast(a, "VARCHAR"); types[i] == datum.Text {
			parts[i] = call("lower", parts[i])
		}
	}
	return barred(parts...)
}

// barred are texts with a bar between each two.
func barred(parts ...*pg.Node) *pg.Node {
	out := parts[0]
	for _, p := range parts[1:] {
		for _, next := range []*pg.Node{text("|"), p} {
			out = pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("||")}, out, next, -1)
		}
	}
	return out
}

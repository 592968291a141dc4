package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// setsOf are the functions whose rows are the elements of what one of package builtin gives.
var setsOf = map[string]string{"regexp_split_to_table": "regexp_split_to_array", "string_to_table": "string_to_array", "regexp_matches": builtin.RegexpMatches}

// elementsOf are the rows of one of setsOf: arrays are written as json in what gives them.
func elementsOf(name string, list *pg.Node) *pg.Node {
	if name == "regexp_matches" {
		list = cast(cast(list, "JSON[]"), "VARCHAR[][]")
	}
	return call("unnest", list)
}

// setReturning are functions of several rows: what they become as a table function
// (or, within unnest, as an expression), and the names of their columns, if those
// are not that of the function or its alias.
var setReturning = map[string]func(f *pg.FuncCall) (*pg.Node, []string, error){
	"generate_series": func(f *pg.FuncCall) (*pg.Node, []string, error) { return call("generate_series", f.Args...), nil, nil },
	"unnest": func(f *pg.FuncCall) (*pg.Node, []string, error) {
		if len(f.Args) != 1 {
			return nil, nil, unsupported(f.Location, "unnest of several arrays")
		}
		return call("unnest", f.Args...), nil, nil
	},
	"generate_subscripts":       unnested("nd_subscripts"),
	"jsonb_array_elements":      unnestedJSON("document_elements", "value"),
	"json_array_elements":       unnestedWritten(builtin.JSONElements, "value"),
	"jsonb_array_elements_text": unnestedJSON("document_elements_text", "value"),
	"json_array_elements_text":  unnestedWritten(builtin.JSONElementsText, "value"),
	"jsonb_object_keys":         unnestedJSON("document_keys"),
	"jsonb_path_query":          unnestedJSON("document_path"),
	"json_object_keys":          unnestedWritten(builtin.JSONKeys),
	"pg_partition_ancestors": func(f *pg.FuncCall) (*pg.Node, []string, error) {
		relid := f.Args
		if len(relid) == 1 { // a string, too, is a regclass
			relid = []*pg.Node{cast(relid[0], "BIGINT")}
		}
		return call("unnest", call("list_value", relid...)), []string{"relid"}, nil
	},
	"_pg_expandarray": unnested("nd_expand_array"),
}

// unnestedWritten is a set of what a function of package builtin gives of a json.
func unnestedWritten(name string, cols ...string) func(f *pg.FuncCall) (*pg.Node, []string, error) {
	return func(f *pg.FuncCall) (*pg.Node, []string, error) {
		if len(f.Args) != 1 {
			return nil, nil, errorf("42883", f.Location, "function %s of %d arguments does not exist", lastName(f.Funcname), len(f.Args))
		}
		c := builtin.Resolve(name, []datum.Type{datum.JSON})
		list := call("nd_list_1", text(c.Signature("UTC")), cast(f.Args[0], "VARCHAR"))
		if c.Result.Elem() == datum.JSON {
			list = cast(list, "JSON[]")
		}
		return call("unnest", list), cols, nil
	}
}

func unnested(name string) func(f *pg.FuncCall) (*pg.Node, []string, error) {
	return func(f *pg.FuncCall) (*pg.Node, []string, error) {
		return call("unnest", call(name, f.Args...)), nil, nil
	}
}

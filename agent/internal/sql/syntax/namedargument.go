package syntax

import (
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// argumentNames are the arguments of PostgreSQL's functions that have names, each with what it
// is if a call leaves it out, by function.
var argumentNames = map[string][]string{ //nolint:gochecknoglobals // never changed
	"json_array_element":      {"from_json element_index"},
	"json_array_element_text": {"from_json element_index"},
	"json_object_field":       {"from_json field_name"},
	"json_object_field_text":  {"from_json field_name"},
	"json_array_elements":     {"from_json"}, "json_array_elements_text": {"from_json"},
	"jsonb_array_elements": {"from_json"}, "jsonb_array_elements_text": {"from_json"},
	"json_each": {"from_json"}, "json_each_text": {"from_json"}, "jsonb_each": {"from_json"}, "jsonb_each_text": {"from_json"},
	"jsonb_array_element":      {"from_json element_index"},
	"jsonb_array_element_text": {"from_json element_index"},
	"jsonb_object_field":       {"from_json field_name"},
	"jsonb_object_field_text":  {"from_json field_name"},
	"jsonb_set":                {"jsonb_in path replacement create_if_missing=true"},
	"jsonb_set_lax":            {"jsonb_in path replacement create_if_missing=true null_value_treatment=use_json_null"},
	"jsonb_insert":             {"jsonb_in path replacement insert_after=false"},
	"jsonb_path_exists":        {pathArguments}, "jsonb_path_match": {pathArguments}, "jsonb_path_query": {pathArguments},
	"jsonb_path_query_array": {pathArguments}, "jsonb_path_query_first": {pathArguments},
	"make_date":            {"year month day"},
	"make_time":            {"hour min sec"},
	"make_interval":        {"years=0 months=0 weeks=0 days=0 hours=0 mins=0 secs=0"},
	"make_timestamp":       {"year month mday hour min sec"},
	"make_timestamptz":     {"year month mday hour min sec", "year month mday hour min sec timezone"},
	"parse_ident":          {"str strict=true"},
	"pg_terminate_backend": {"pid timeout=0"},
}

const pathArguments = "target path vars={} silent=false"

// Positional are the arguments of a call that names some of those of one of PostgreSQL's
// functions, all in their order; ok is false if it names none, or others.
func Positional(f *pg.FuncCall) (args []*pg.Node, ok bool) {
	if !slices.ContainsFunc(f.GetArgs(), func(n *pg.Node) bool { return n.GetNamedArgExpr() != nil }) {
		return nil, false
	}
	name := f.Funcname[len(f.Funcname)-1].GetString_().GetSval()
	if len(f.Funcname) > 1 && f.Funcname[0].GetString_().GetSval() != "pg_catalog" {
		return nil, false
	}
	for _, names := range argumentNames[name] {
		if args, ok := positions(f, strings.Fields(names)); ok {
			return args, true
		}
	}
	return nil, false
}

func positions(f *pg.FuncCall, names []string) ([]*pg.Node, bool) {
	out := make([]*pg.Node, len(names))
	named := false
	for i, a := range f.Args {
		n := a.GetNamedArgExpr()
		if n != nil {
			named = true
			i = slices.IndexFunc(names, func(s string) bool { s, _, _ = strings.Cut(s, "="); return s == n.Name })
			a = n.Arg
		} else if named {
			return nil, false
		}
		if i < 0 || i >= len(names) || out[i] != nil {
			return nil, false
		}
		out[i] = a
	}
	for i := range out {
		if out[i] != nil {
			continue
		}
		_, without, ok := strings.Cut(names[i], "=")
		if !ok {
			return nil, false
		}
		out[i] = withoutArgument(without)
	}
	return out, true
}

// withoutArgument is the constant that stands for an argument that was left out.
func withoutArgument(s string) *pg.Node {
	if n, err := strconv.ParseInt(s, 10, 32); err == nil {
		return pg.MakeAConstIntNode(n, -1)
	}
	if b, err := strconv.ParseBool(s); err == nil {
		return &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Val: &pg.A_Const_Boolval{Boolval: &pg.Boolean{Boolval: b}}, Location: -1}}}
	}
	return pg.MakeAConstStrNode(s, -1)
}

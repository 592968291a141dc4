package jsonb

import (
	"fmt"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Function is a function of jsonb. It gives null for a null argument.
type Function struct {
	Name string
	Args []datum.Type
	// Optional is how many of Args may be left out at the end; they are nulls in Eval then.
	Optional int
	Result   datum.Type
	Eval     func(a []datum.Datum) (datum.Datum, error)
}

// functions are all of one name.
var functions = byName([]Function{
	{"jsonb_object_field", []datum.Type{datum.JSONB, datum.Text}, 0, datum.JSONB, func(a []datum.Datum) (datum.Datum, error) {
		return part(datum.JSONField(a[0].S, a[1].S))
	}},
	{"jsonb_object_field_text", []datum.Type{datum.JSONB, datum.Text}, 0, datum.Text, func(a []datum.Datum) (datum.Datum, error) {
		return partText(datum.JSONField(a[0].S, a[1].S))
	}},
	{"jsonb_array_element", []datum.Type{datum.JSONB, datum.Int4}, 0, datum.JSONB, func(a []datum.Datum) (datum.Datum, error) {
		return part(datum.JSONElement(a[0].S, int(a[1].I)))
	}},
	{"jsonb_array_element_text", []datum.Type{datum.JSONB, datum.Int4}, 0, datum.Text, func(a []datum.Datum) (datum.Datum, error) {
		return partText(datum.JSONElement(a[0].S, int(a[1].I)))
	}},
	{"jsonb_extract_path", []datum.Type{datum.JSONB, texts}, 0, datum.JSONB, func(a []datum.Datum) (datum.Datum, error) {
		return part(path(a[0].S, a[1]))
	}},
	{"jsonb_extract_path_text", []datum.Type{datum.JSONB, texts}, 0, datum.Text, func(a []datum.Datum) (datum.Datum, error) {
		return partText(path(a[0].S, a[1]))
	}},
	{"jsonb_contains", []datum.Type{datum.JSONB, datum.JSONB}, 0, datum.Bool, func(a []datum.Datum) (datum.Datum, error) {
		return datum.MakeBool(datum.JSONContains(a[0].S, a[1].S)), nil
	}},
	{"jsonb_contained", []datum.Type{datum.JSONB, datum.JSONB}, 0, datum.Bool, func(a []datum.Datum) (datum.Datum, error) {
		return datum.MakeBool(datum.JSONContains(a[1].S, a[0].S)), nil
	}},
	{"jsonb_exists", []datum.Type{datum.JSONB, datum.Text}, 0, datum.Bool, func(a []datum.Datum) (datum.Datum, error) {
		return datum.MakeBool(datum.JSONHas(a[0].S, a[1].S)), nil
	}},
	{"jsonb_exists_any", []datum.Type{datum.JSONB, texts}, 0, datum.Bool, func(a []datum.Datum) (datum.Datum, error) {
		return hasKeys(a, true)
	}},
	{"jsonb_exists_all", []datum.Type{datum.JSONB, texts}, 0, datum.Bool, func(a []datum.Datum) (datum.Datum, error) {
		return hasKeys(a, false)
	}},
	{"jsonb_concat", []datum.Type{datum.JSONB, datum.JSONB}, 0, datum.JSONB, func(a []datum.Datum) (datum.Datum, error) {
		return value(concat(a[0].S, a[1].S)), nil
	}},
	{"jsonb_delete", []datum.Type{datum.JSONB, datum.Text}, 0, datum.JSONB, func(a []datum.Datum) (datum.Datum, error) {
		return without(a[0].S, func(key string) bool { return key == a[1].S })
	}},
	{"jsonb_delete", []datum.Type{datum.JSONB, texts}, 0, datum.JSONB, func(a []datum.Datum) (datum.Datum, error) {
		return without(a[0].S, func(key string) bool { return names(a[1], key) })
	}},
	{"jsonb_delete", []datum.Type{datum.JSONB, datum.Int4}, 0, datum.JSONB, func(a []datum.Datum) (datum.Datum, error) {
		return withoutElement(a[0].S, int(a[1].I))
	}},
	{"jsonb_delete_path", []datum.Type{datum.JSONB, texts}, 0, datum.JSONB, func(a []datum.Datum) (datum.Datum, error) {
		return withoutPath(a[0].S, a[1])
	}},
	{"jsonb_set", []datum.Type{datum.JSONB, texts, datum.JSONB, datum.Bool}, 1, datum.JSONB, func(a []datum.Datum) (datum.Datum, error) {
		return set(a[0].S, a[1], a[2].S, len(a) < 4 || a[3].Bool())
	}},
	{"jsonb_insert", []datum.Type{datum.JSONB, texts, datum.JSONB, datum.Bool}, 1, datum.JSONB, func(a []datum.Datum) (datum.Datum, error) {
		return insert(a[0].S, a[1], a[2].S, len(a) == 4 && a[3].Bool())
	}},
	{"jsonb_pretty", []datum.Type{datum.JSONB}, 0, datum.Text, func(a []datum.Datum) (datum.Datum, error) {
		return datum.MakeText(string(pretty(nil, a[0].S, 0))), nil
	}},
	{"document_each_keys", []datum.Type{datum.JSONB}, 0, texts, func(a []datum.Datum) (datum.Datum, error) {
		return each(a[0].S, "jsonb_each", func(key, _ string) (datum.Datum, error) { return datum.MakeText(datum.JSONText(key)), nil })
	}},
	{"document_each", []datum.Type{datum.JSONB}, 0, datum.JSONB | datum.Array, func(a []datum.Datum) (datum.Datum, error) {
		return each(a[0].S, "jsonb_each", func(_, v string) (datum.Datum, error) { return part(v, true) })
	}},
	{"document_each_text", []datum.Type{datum.JSONB}, 0, texts, func(a []datum.Datum) (datum.Datum, error) {
		return each(a[0].S, "jsonb_each_text", func(_, v string) (datum.Datum, error) { return partText(v, true) })
	}},
	{"jsonb_typeof", []datum.Type{datum.JSONB}, 0, datum.Text, func(a []datum.Datum) (datum.Datum, error) {
		return datum.MakeText(datum.KindOfJSON(a[0].S).String()), nil
	}},
	{"jsonb_array_length", []datum.Type{datum.JSONB}, 0, datum.Int4, arrayLength},
	{"jsonb_strip_nulls", []datum.Type{datum.JSONB}, 0, datum.JSONB, func(a []datum.Datum) (datum.Datum, error) {
		return value(stripNulls(a[0].S)), nil
	}},
	{"jsonb_path_exists", pathArgs, 2, datum.Bool, func(a []datum.Datum) (datum.Datum, error) {
		return pathTruth(a, (*Path).Exists)
	}},
	{"jsonb_path_match", pathArgs, 2, datum.Bool, func(a []datum.Datum) (datum.Datum, error) {
		return pathTruth(a, (*Path).Match)
	}},
	{"jsonb_path_exists_opr", pathArgs[:2], 0, datum.Bool, func(a []datum.Datum) (datum.Datum, error) {
		return pathTruth(silently(a), (*Path).Exists)
	}},
	{"jsonb_path_match_opr", pathArgs[:2], 0, datum.Bool, func(a []datum.Datum) (datum.Datum, error) {
		return pathTruth(silently(a), (*Path).Match)
	}},
	{"jsonb_path_query_array", pathArgs, 2, datum.JSONB, func(a []datum.Datum) (datum.Datum, error) {
		p, vars, silent, err := pathOf(a)
		if err != nil {
			return datum.Datum{}, err
		}
		list, err := p.Query(a[0].S, vars, silent)
		return value(Array(list)), err
	}},
	{"jsonb_path_query_first", pathArgs, 2, datum.JSONB, func(a []datum.Datum) (datum.Datum, error) {
		p, vars, silent, err := pathOf(a)
		if err != nil {
			return datum.Datum{}, err
		}
		first, ok, err := p.First(a[0].S, vars, silent)
		if err != nil {
			return datum.Datum{}, err
		}
		return part(first, ok)
	}},
	{"document_elements", []datum.Type{datum.JSONB}, 0, datum.JSONB | datum.Array, func(a []datum.Datum) (datum.Datum, error) {
		return elements(a[0].S, part)
	}},
	{"document_elements_text", []datum.Type{datum.JSONB}, 0, texts, func(a []datum.Datum) (datum.Datum, error) {
		return elements(a[0].S, partText)
	}},
	{"document_keys", []datum.Type{datum.JSONB}, 0, texts, func(a []datum.Datum) (datum.Datum, error) {
		return keys(a[0].S)
	}},
	{"document_path", pathArgs, 2, datum.JSONB | datum.Array, func(a []datum.Datum) (datum.Datum, error) {
		p, vars, silent, err := pathOf(a)
		if err != nil {
			return datum.Datum{}, err
		}
		list, err := p.Query(a[0].S, vars, silent)
		values := make([]datum.Datum, len(list))
		for i, j := range list {
			values[i] = value(j)
		}
		return datum.MakeArray(datum.JSONB, values), err
	}},
	{"document_field", []datum.Type{datum.JSONB, texts}, 0, datum.JSONB, func(a []datum.Datum) (datum.Datum, error) {
		return field(a[0].S, a[1])
	}},
	{"document_number", []datum.Type{datum.JSONB}, 0, datum.Numeric, func(a []datum.Datum) (datum.Datum, error) {
		if datum.KindOfJSON(a[0].S) != datum.JSONNumber {
			return datum.MakeNull(datum.Numeric), nil
		}
		return datum.ParseText(datum.Numeric, a[0].S, nil)
	}},
	{"document_text", []datum.Type{datum.JSONB}, 0, datum.Text, func(a []datum.Datum) (datum.Datum, error) {
		return partText(a[0].S, true)
	}},
	{"document_bool", []datum.Type{datum.JSONB}, 0, datum.Bool, func(a []datum.Datum) (datum.Datum, error) {
		if datum.KindOfJSON(a[0].S) != datum.JSONBool {
			return datum.MakeNull(datum.Bool), nil
		}
		return datum.MakeBool(a[0].S == "true"), nil
	}},
	{"document_body", []datum.Type{datum.JSONB}, 0, datum.JSONB, func(a []datum.Datum) (datum.Datum, error) {
		return documentBody(a[0].S)
	}},
	{"document_id", []datum.Type{datum.JSONB}, 0, datum.Text, documentID},
	{"document_set", []datum.Type{datum.JSONB, texts, datum.JSONB}, 0, datum.JSONB, func(a []datum.Datum) (datum.Datum, error) {
		return setField(a[0].S, a[1], a[2].S)
	}},
	{"document_order", []datum.Type{datum.JSONB}, 0, datum.Bytea, func(a []datum.Datum) (datum.Datum, error) {
		key, err := datum.AppendKey(nil, a[0])
		return datum.MakeString(datum.Bytea, string(key)), err
	}},
})

const texts = datum.Text | datum.Array

func byName(list []Function) map[string][]Function {
	out := map[string][]Function{}
	for _, f := range list {
		out[f.Name] = append(out[f.Name], f)
	}
	return out
}

// Named returns the functions that are called name.
func Named(name string) []Function { return functions[name] }

// All goes through all functions, in no order.
func All(yield func(Function) bool) {
	for _, list := range functions {
		for _, f := range list {
			if !yield(f) {
				return
			}
		}
	}
}

// Operator returns the name of the function that an operator of jsonb is, by the type of
// its right side; "" if it is none.
func Operator(op string, right datum.Type) string {
	switch op {
	case "->":
		if right.IsInt() {
			return "jsonb_array_element"
		}
		return "jsonb_object_field"
	case "->>":
		if right.IsInt() {
			return "jsonb_array_element_text"
		}
		return "jsonb_object_field_text"
	default:
		return operators[op]
	}
}

var operators = map[string]string{ //nolint:gochecknoglobals // a table
	"#>": "jsonb_extract_path", "#>>": "jsonb_extract_path_text", "@>": "jsonb_contains", "<@": "jsonb_contained",
	"?": "jsonb_exists", "?|": "jsonb_exists_any", "?&": "jsonb_exists_all", "||": "jsonb_concat", "-": "jsonb_delete",
	"#-": "jsonb_delete_path", "@?": "jsonb_path_exists_opr", "@@": "jsonb_path_match_opr",
}

func value(j string) datum.Datum { return datum.MakeString(datum.JSONB, j) }

func part(j string, ok bool) (datum.Datum, error) {
	if !ok {
		return datum.MakeNull(datum.JSONB), nil
	}
	return value(j), nil
}

func partText(j string, ok bool) (datum.Datum, error) {
	if !ok {
		return datum.MakeNull(datum.Text), nil
	}
	if j, ok = datum.JSONAsText(j); !ok {
		return datum.MakeNull(datum.Text), nil
	}
	return datum.MakeText(j), nil
}

// path follows steps; a null among them leads nowhere.
func path(j string, steps datum.Datum) (string, bool) {
	list := make([]string, len(steps.A.Values))
	for i, v := range steps.A.Values {
		if v.Null {
			return "", false
		}
		list[i] = v.S
	}
	return datum.JSONPath(j, list)
}

// field is a field of a document: null where there is none, and where it is null.
func field(j string, steps datum.Datum) (datum.Datum, error) {
	v, ok := path(j, steps)
	return part(v, ok && v != "null")
}

func hasKeys(a []datum.Datum, enough bool) (datum.Datum, error) {
	for _, key := range a[1].A.Values {
		if !key.Null && datum.JSONHas(a[0].S, key.S) == enough {
			return datum.MakeBool(enough), nil
		}
	}
	return datum.MakeBool(!enough), nil
}

func arrayLength(a []datum.Datum) (datum.Datum, error) {
	switch datum.KindOfJSON(a[0].S) {
	case datum.JSONArray:
		return datum.MakeInt(datum.Int4, int64(datum.JSONLength(a[0].S))), nil
	case datum.JSONObject:
		return datum.Datum{}, fail("22023", "cannot get array length of a non-array")
	default:
		return datum.Datum{}, fail("22023", "cannot get array length of a scalar")
	}
}

// elements are those of an array, each as one part.
func elements(j string, one func(string, bool) (datum.Datum, error)) (datum.Datum, error) {
	switch datum.KindOfJSON(j) {
	case datum.JSONArray:
	case datum.JSONObject:
		return datum.Datum{}, fail("22023", "cannot extract elements from an object")
	default:
		return datum.Datum{}, fail("22023", "cannot extract elements from a scalar")
	}
	typ := datum.Text
	var values []datum.Datum
	for e := range datum.JSONElements(j) {
		v, err := one(e, true)
		if err != nil {
			return datum.Datum{}, err
		}
		typ = v.Type
		values = append(values, v)
	}
	return datum.MakeArray(typ, values), nil
}

func keys(j string) (datum.Datum, error) {
	switch datum.KindOfJSON(j) {
	case datum.JSONObject:
	case datum.JSONArray:
		return datum.Datum{}, fail("22023", "cannot call jsonb_object_keys on an array")
	default:
		return datum.Datum{}, fail("22023", "cannot call jsonb_object_keys on a scalar")
	}
	var values []datum.Datum
	for key := range datum.JSONFields(j) {
		values = append(values, datum.MakeText(datum.JSONText(key)))
	}
	return datum.MakeArray(datum.Text, values), nil
}

// documentID is the _id of a document that is to be stored; null: it has none.
func documentID(a []datum.Datum) (datum.Datum, error) {
	if datum.KindOfJSON(a[0].S) != datum.JSONObject {
		return datum.Datum{}, noDocument(a[0].S)
	}
	id, ok := datum.JSONField(a[0].S, "_id")
	switch {
	case !ok || id == "null":
		return datum.MakeNull(datum.Text), nil
	case datum.KindOfJSON(id) != datum.JSONString:
		return datum.Datum{}, fail("22023", "the _id of a document must be a string, not "+describe(id))
	}
	return datum.MakeText(datum.JSONText(id)), nil
}

// documentBody is a document without its _id.
func documentBody(j string) (datum.Datum, error) {
	if datum.KindOfJSON(j) != datum.JSONObject {
		return datum.Datum{}, noDocument(j)
	}
	if _, ok := datum.JSONField(j, "_id"); !ok {
		return value(j), nil
	}
	return without(j, func(key string) bool { return key == "_id" })
}

func noDocument(j string) error {
	return fail("22023", "a document must be an object, not "+describe(j))
}

func describe(j string) string {
	switch kind := datum.KindOfJSON(j); kind {
	case datum.JSONNull:
		return "null"
	case datum.JSONArray, datum.JSONObject:
		return fmt.Sprintf("an %s", kind)
	default:
		return fmt.Sprintf("a %s", kind)
	}
}

func fail(code, message string) error { return &datum.Error{Code: code, Message: message} }

// EngineName is what the SQL engine knows the function as, of n arguments.
func (f *Function) EngineName(n int) string {
	name := "nd_" + f.Name
	for _, t := range f.Args[1:n] {
		name += "_" + strings.TrimSuffix(t.String(), "[]")
		if t.IsArray() {
			name += "s"
		}
	}
	return name
}

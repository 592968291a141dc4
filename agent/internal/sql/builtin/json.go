package builtin

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/datum/jsonb"
)

const (
	texts1 = datum.Text | datum.Array
	jsons  = datum.JSON | datum.Array
)

// documents are functions of json, which stays as it was written, and those that make json
// or jsonb of arrays. Those of jsonb are package jsonb's.
var documents = []Function{
	{Name: JSONMembers, Args: []datum.Type{datum.JSON}, Result: texts1, Eval: ofMembers(datum.Text, func(f field) (datum.Datum, error) { return datum.MakeText(f.key), nil })},
	{Name: JSONValues, Args: []datum.Type{datum.JSON}, Result: jsons, Eval: ofMembers(datum.JSON, func(f field) (datum.Datum, error) { return one(string(f.value), datum.JSON) })},
	{Name: JSONValuesText, Args: []datum.Type{datum.JSON}, Result: texts1, Eval: ofMembers(datum.Text, func(f field) (datum.Datum, error) { return one(string(f.value), datum.Text) })},
	{Name: "json_array_length", Args: []datum.Type{datum.JSON}, Result: datum.Int4, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		list, ok := written(a[0].S)
		switch {
		case ok:
			return datum.MakeInt(datum.Int4, int64(len(list))), nil
		case kind(a[0].S) == '{':
			return datum.Datum{}, fail("22023", "cannot get array length of a non-array")
		}
		return datum.Datum{}, fail("22023", "cannot get array length of a scalar")
	}},
	{Name: "json_object_field", Args: []datum.Type{datum.JSON, datum.Text}, Result: datum.JSON, Eval: ofStep(datum.JSON)},
	{Name: "json_object_field_text", Args: []datum.Type{datum.JSON, datum.Text}, Result: datum.Text, Eval: ofStep(datum.Text)},
	{Name: "json_array_element", Args: []datum.Type{datum.JSON, datum.Int4}, Result: datum.JSON, Eval: ofStep(datum.JSON)},
	{Name: "json_array_element_text", Args: []datum.Type{datum.JSON, datum.Int4}, Result: datum.Text, Eval: ofStep(datum.Text)},
	{Name: "json_extract_path", Args: []datum.Type{datum.JSON, datum.Text}, Variadic: true, Result: datum.JSON, Eval: ofPath(datum.JSON)},
	{Name: "json_extract_path_text", Args: []datum.Type{datum.JSON, datum.Text}, Variadic: true, Result: datum.Text, Eval: ofPath(datum.Text)},
	{Name: JSONPath, Args: []datum.Type{datum.JSON, texts1}, Result: datum.JSON, Eval: ofPath(datum.JSON)},
	{Name: JSONPathText, Args: []datum.Type{datum.JSON, texts1}, Result: datum.Text, Eval: ofPath(datum.Text)},
	{Name: JSONRecord, Args: []datum.Type{datum.JSON}, Result: datum.JSON, Eval: asRecord},
	{Name: JSONRecord, Args: []datum.Type{datum.JSONB}, Result: datum.JSONB, Eval: asRecord},
	{Name: JSONRecords, Args: []datum.Type{datum.JSON}, Result: datum.JSON, Eval: asRecords},
	{Name: JSONRecords, Args: []datum.Type{datum.JSONB}, Result: datum.JSONB, Eval: asRecords},
	{Name: JSONArrayText, Args: []datum.Type{datum.JSON, datum.Bool}, Result: datum.Text, Eval: asArrayText},
	{Name: JSONArrayText, Args: []datum.Type{datum.JSONB, datum.Bool}, Result: datum.Text, Eval: asArrayText},
	{Name: JSONLimited, Args: []datum.Type{datum.Text, datum.Int4, datum.Text}, Result: datum.Text, Eval: limited},
	{Name: "json_strip_nulls", Args: []datum.Type{datum.JSON}, Result: datum.JSON, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		out, err := stripNulls(nil, a[0].S)
		return datum.MakeString(datum.JSON, string(out)), err
	}},
	{Name: "json_object", Args: []datum.Type{texts1}, Result: datum.JSON, Eval: ofPairs(datum.JSON)},
	{Name: "json_object", Args: []datum.Type{texts1, texts1}, Result: datum.JSON, Eval: ofKeys(datum.JSON)},
	{Name: "jsonb_object", Args: []datum.Type{texts1}, Result: datum.JSONB, Eval: ofPairs(datum.JSONB)},
	{Name: "jsonb_object", Args: []datum.Type{texts1, texts1}, Result: datum.JSONB, Eval: ofKeys(datum.JSONB)},
	{Name: "array_to_json", Args: []datum.Type{AnyArray, datum.Bool}, Result: datum.JSON, Zoned: true, Eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
		between := ","
		if a[1].Bool() {
			between = ",\n "
		}
		out := []byte{'['}
		for i, v := range rows(a[0]) {
			if i > 0 {
				out = append(out, between...)
			}
			if v.Null {
				out = append(out, "null"...)
			} else {
				out = datum.AppendAsJSON(out, v, env.Location)
			}
		}
		return datum.MakeString(datum.JSON, string(append(out, ']'))), nil
	}},
	{Name: "jsonb_set_lax", Args: []datum.Type{datum.JSONB, texts1, datum.JSONB, datum.Bool, datum.Text}, Optional: 2, Result: datum.JSONB, Nulls: true, Eval: setLax},
	{Name: JSONElements, Args: []datum.Type{datum.JSON}, Result: jsons, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return elements(a[0].S, "json_array_elements", datum.JSON)
	}},
	{Name: JSONElementsText, Args: []datum.Type{datum.JSON}, Result: texts1, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return elements(a[0].S, "json_array_elements_text", datum.Text)
	}},
	{Name: JSONKeys, Args: []datum.Type{datum.JSON}, Result: texts1, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		switch kind(a[0].S) {
		case '{':
		case '[':
			return datum.Datum{}, fail("22023", "cannot call json_object_keys on an array")
		default:
			return datum.Datum{}, fail("22023", "cannot call json_object_keys on a scalar")
		}
		return membersOf(a[0].S, datum.Text, func(f field) (datum.Datum, error) { return datum.MakeText(f.key), nil })
	}},
}

// membersOf is an array of what each field of an object gives.
func membersOf(j string, elem datum.Type, of func(field) (datum.Datum, error)) (datum.Datum, error) {
	fields, err := fieldsOf(j)
	out := make([]datum.Datum, len(fields))
	for i, f := range fields {
		if err == nil {
			out[i], err = of(f)
		}
	}
	return datum.MakeArray(elem, out), err
}

// ofMembers is membersOf for json_each and its like, with their errors.
func ofMembers(elem datum.Type, of func(field) (datum.Datum, error)) func(*Env, []datum.Datum) (datum.Datum, error) {
	return func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		switch kind(a[0].S) {
		case '{':
			return membersOf(a[0].S, elem, of)
		case '[':
			return datum.Datum{}, fail("22023", "cannot deconstruct an array as an object")
		}
		return datum.Datum{}, fail("22023", "cannot deconstruct a scalar")
	}
}

// JSONOperator is the function that an operator of json is, by the type of its right side;
// "" if it is none.
func JSONOperator(op string, right datum.Type) string {
	switch {
	case op == "->" && right.IsInt():
		return "json_array_element"
	case op == "->":
		return "json_object_field"
	case op == "->>" && right.IsInt():
		return "json_array_element_text"
	case op == "->>":
		return "json_object_field_text"
	case op == "#>":
		return JSONPath
	case op == "#>>":
		return JSONPathText
	}
	return ""
}

// The operators with paths, which no statement calls by these names.
const (
	JSONPath     = "json path"
	JSONPathText = "json path text"
)

// What a record, and each of several, is made of.
const (
	JSONRecord    = "json record"
	JSONRecords   = "json records"
	JSONArrayText = "json array text"
	JSONLimited   = "json limited text"
)

// What the set-returning functions of json give, as arrays: no names that statements have.
const (
	JSONElements     = "json elements"
	JSONElementsText = "json elements text"
	JSONKeys         = "json keys"
	JSONMembers      = "json members"
	JSONValues       = "json values"
	JSONValuesText   = "json values text"
)

// kind is the first character of a value.
func kind(j string) byte { return strings.TrimLeft(j, " \t\r\n")[0] }

// asRecord is an object that columns are made of, as json_to_record does.
func asRecord(_ *Env, a []datum.Datum) (datum.Datum, error) {
	switch kind(a[0].S) {
	case '{':
		return a[0], nil
	case '[':
		return datum.Datum{}, fail("22023", "cannot call populate_composite on an array")
	}
	return datum.Datum{}, fail("22023", "cannot call populate_composite on a scalar")
}

// asRecords is an element of what json_to_recordset makes rows of.
func asRecords(_ *Env, a []datum.Datum) (datum.Datum, error) {
	if kind(a[0].S) == '{' {
		return a[0], nil
	}
	return datum.Datum{}, fail("22023", "argument of %s_to_recordset must be an array of objects", a[0].Type.SQLName())
}

// written are the elements of an array, each as it was written.
func written(j string) (list []json.RawMessage, ok bool) {
	if kind(j) != '[' {
		return nil, false
	}
	return list, json.Unmarshal([]byte(j), &list) == nil
}

type field struct {
	key   string
	value json.RawMessage
}

// fieldsOf are the fields of an object in their order, those of equal keys, too.
func fieldsOf(j string) ([]field, error) {
	dec := json.NewDecoder(strings.NewReader(j))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	var out []field
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		f := field{}
		f.key, _ = key.(string)
		if err := dec.Decode(&f.value); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// characters are those of a string.
func characters(j string) (string, error) {
	var s string
	err := json.Unmarshal([]byte(j), &s)
	return s, err
}

// one is a value, as json or as its text.
func one(j string, as datum.Type) (datum.Datum, error) {
	switch {
	case as == datum.JSON:
		return datum.MakeString(datum.JSON, j), nil
	case j == "null":
		return datum.MakeNull(datum.Text), nil
	case j[0] == '"':
		s, err := characters(j)
		return datum.MakeText(s), err
	}
	return datum.MakeText(j), nil
}

// member is the value of a key of an object, the last of equal ones.
func member(j, key string) (out string, ok bool, err error) {
	if kind(j) != '{' {
		return "", false, nil
	}
	fields, err := fieldsOf(j)
	for _, f := range fields {
		if f.key == key {
			out, ok = string(f.value), true
		}
	}
	return out, ok, err
}

// element is one of an array, counted from 0, or from -1 at its end.
func element(j string, n int64) (string, bool) {
	list, _ := written(j)
	if n < 0 {
		n += int64(len(list))
	}
	if n < 0 || n >= int64(len(list)) {
		return "", false
	}
	return string(list[n]), true
}

func ofStep(as datum.Type) func(*Env, []datum.Datum) (datum.Datum, error) {
	return func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		var out string
		var ok bool
		var err error
		if a[1].Type == datum.Int4 {
			out, ok = element(a[0].S, a[1].I)
		} else {
			out, ok, err = member(a[0].S, a[1].S)
		}
		if err != nil || !ok {
			return datum.MakeNull(as), err
		}
		return one(out, as)
	}
}

// ofPath follows keys and numbers; a null leads nowhere.
func ofPath(as datum.Type) func(*Env, []datum.Datum) (datum.Datum, error) {
	return func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		steps := a[1:]
		if a[1].Type.IsArray() {
			steps = a[1].A.Values
		}
		at := strings.Trim(a[0].S, " \t\r\n")
		for _, step := range steps {
			if step.Null {
				return datum.MakeNull(as), nil
			}
			out, ok, err := member(at, step.S)
			if n, numErr := strconv.ParseInt(step.S, 10, 32); kind(at) == '[' && numErr == nil {
				out, ok = element(at, n)
			}
			if err != nil || !ok {
				return datum.MakeNull(as), err
			}
			at = out
		}
		return one(at, as)
	}
}

func elements(j, name string, as datum.Type) (datum.Datum, error) {
	list, ok := written(j)
	switch {
	case ok:
	case kind(j) == '{':
		return datum.Datum{}, fail("22023", "cannot call %s on a non-array", name)
	default:
		return datum.Datum{}, fail("22023", "cannot call %s on a scalar", name)
	}
	out := make([]datum.Datum, len(list))
	for i, e := range list {
		v, err := one(string(e), as)
		if err != nil {
			return datum.Datum{}, err
		}
		out[i] = v
	}
	return datum.MakeArray(as, out), nil
}

// stripNulls appends a value without the fields of objects that are null, and without space.
func stripNulls(dst []byte, j string) ([]byte, error) {
	var err error
	switch kind(j) {
	case '{':
		fields, err := fieldsOf(j)
		if err != nil {
			return nil, err
		}
		dst = append(dst, '{')
		some := false
		for _, f := range fields {
			if string(f.value) == "null" {
				continue
			}
			if some {
				dst = append(dst, ',')
			}
			some = true
			dst = append(append(dst, datum.QuoteJSON(f.key)...), ':')
			if dst, err = stripNulls(dst, string(f.value)); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case '[':
		list, _ := written(j)
		dst = append(dst, '[')
		for i, e := range list {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = stripNulls(dst, string(e)); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case '"':
		s, err := characters(j)
		return append(dst, datum.QuoteJSON(s)...), err
	}
	return append(dst, strings.Trim(j, " \t\r\n")...), nil
}

// ofPairs makes an object of keys and values by turns.
func ofPairs(as datum.Type) func(*Env, []datum.Datum) (datum.Datum, error) {
	return func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		list := a[0].A.Values
		switch dims := a[0].A.Dimensions(); {
		case len(dims) > 2:
			return datum.Datum{}, fail("2202E", "wrong number of array subscripts")
		case len(dims) == 2 && dims[1].Size != 2:
			return datum.Datum{}, fail("2202E", "array must have two columns")
		}
		if len(list)%2 != 0 {
			return datum.Datum{}, fail("2202E", "array must have even number of elements")
		}
		var keys, values []datum.Datum
		for i := 0; i < len(list); i += 2 {
			keys, values = append(keys, list[i]), append(values, list[i+1])
		}
		return object(as, keys, values)
	}
}

// ofKeys makes an object of keys and of values.
func ofKeys(as datum.Type) func(*Env, []datum.Datum) (datum.Datum, error) {
	return func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		if len(a[0].A.Dimensions()) > 1 || len(a[1].A.Dimensions()) > 1 {
			return datum.Datum{}, fail("2202E", "wrong number of array subscripts")
		}
		if len(a[0].A.Values) != len(a[1].A.Values) {
			return datum.Datum{}, fail("2202E", "mismatched array dimensions")
		}
		return object(as, a[0].A.Values, a[1].A.Values)
	}
}

func object(as datum.Type, keys, values []datum.Datum) (datum.Datum, error) {
	out := []byte{'{'}
	for i, key := range keys {
		if key.Null {
			return datum.Datum{}, fail("22004", "null value not allowed for object key")
		}
		if i > 0 {
			out = append(out, ", "...)
		}
		out = append(append(out, datum.QuoteJSON(key.S)...), " : "...)
		if values[i].Null {
			out = append(out, "null"...)
		} else {
			out = append(out, datum.QuoteJSON(values[i].S)...)
		}
	}
	out = append(out, '}')
	if as == datum.JSONB {
		return datum.NormalizeJSONB(out)
	}
	return datum.MakeString(datum.JSON, string(out)), nil
}

// setLax is jsonb_set, and what is asked for where the new value is null.
func setLax(_ *Env, a []datum.Datum) (datum.Datum, error) {
	null := datum.MakeNull(datum.JSONB)
	if a[0].Null || a[1].Null || len(a) > 3 && a[3].Null {
		return null, nil
	}
	how := "use_json_null"
	if len(a) > 4 {
		if a[4].Null {
			return datum.Datum{}, fail("22023", "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"")
		}
		how = a[4].S
	}
	call := func(name string, args ...datum.Datum) (datum.Datum, error) { return jsonb.Named(name)[0].Eval(args) }
	args := append([]datum.Datum(nil), a[:min(len(a), 4)]...)
	if !a[2].Null {
		return call("jsonb_set", args...)
	}
	switch how {
	case "raise_exception":
		return datum.Datum{}, fail("22004", "JSON value must not be null")
	case "use_json_null":
		args[2] = datum.MakeString(datum.JSONB, "null")
		return call("jsonb_set", args...)
	case "delete_key":
		return call("jsonb_delete_path", a[0], a[1])
	case "return_target":
		return a[0], nil
	}
	return datum.Datum{}, fail("22023", "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"")
}

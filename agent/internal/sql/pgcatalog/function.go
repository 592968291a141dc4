package pgcatalog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
)

// Function is a function or a procedure of the database.
type Function struct {
	*cluster.Object
	// Name has the schema in front, unless it is in the path.
	Name string
	Text catalog.FunctionText
	// Types are those of all parameters, Result that of what it gives; Defaults are the texts
	// of defaults, "" where there is none.
	Types    []ParameterType
	Result   ParameterType
	Defaults []string
}

// ParameterType is a type of a parameter.
type ParameterType struct {
	OID  uint32
	Name string // as people read it
	User bool   // somebody has made it
}

// The OIDs of languages.
const (
	internalLanguage = 12
	cLanguage        = 13
	sqlLanguage      = 14
	plpgsqlLanguage  = 13563
)

func languages() []row {
	out := []row{
		{"oid": internalLanguage, "lanname": "internal"}, {"oid": cLanguage, "lanname": "c"},
		{"oid": sqlLanguage, "lanname": "sql", "lanpltrusted": true}, {"oid": plpgsqlLanguage, "lanname": "plpgsql", "lanispl": true, "lanpltrusted": true},
	}
	for _, r := range out {
		r["lanowner"] = rootOID
	}
	return out
}

// ofFunctions are the rows of the catalogs that tell of functions.
func (in *Input) ofFunctions(name string) []row {
	switch name {
	case "pg_language":
		return languages()
	case "nd_function":
		return in.functionTexts()
	}
	return in.procs()
}

// modes are those of parameters as pg_proc has them.
var modes = map[string]string{cluster.ParameterIn: "i", cluster.ParameterOut: "o", cluster.ParameterInOut: "b", cluster.ParameterTable: "t"} //nolint:gochecknoglobals // never changed

// procs are the rows of pg_proc.
func (in *Input) procs() []row {
	var out []row
	for i := range in.Functions {
		out = append(out, in.proc(&in.Functions[i]))
	}
	return out
}

func (in *Input) proc(f *Function) row {
	o, fn := f.Object, f.Function
	r := row{"oid": OID(o.ID), "proname": o.Name, "pronamespace": OID(o.Parent), "proowner": in.ownerOID(o), "prolang": sqlLanguage, "procost": estimate(fn.Cost, 100), "prorows": 0.0,
		"prokind": "f", "prosecdef": fn.Definer, "proleakproof": fn.Leakproof, "proisstrict": fn.Strict, "proretset": fn.SetOf, "provolatile": fn.Volatility[:1], "proparallel": "u",
		"prorettype": f.Result.OID, "prosrc": fn.Body, "proacl": access(o), "proallargtypes": nil, "proargmodes": nil, "proargnames": nil, "proconfig": nil, "proargdefaults": nil}
	if fn.Language == "plpgsql" {
		r["prolang"] = plpgsqlLanguage
	}
	if fn.Procedure {
		r["prokind"] = "p"
	}
	if fn.SetOf {
		r["prorows"] = estimate(fn.Rows, 1000)
	}
	if fn.Parallel != "" {
		r["proparallel"] = fn.Parallel[:1]
	}
	if fn.Standard {
		r["prosrc"] = ""
	}
	var inputs, all []int
	var kinds, names, settings, defaults []string
	named, other := false, false
	for i := range fn.Parameters {
		p := &fn.Parameters[i]
		if p.Input() || fn.Procedure && p.Mode == cluster.ParameterOut {
			inputs = append(inputs, int(f.Types[i].OID))
		}
		all, kinds, names = append(all, int(f.Types[i].OID)), append(kinds, modes[p.Mode]), append(names, p.Name)
		named, other = named || p.Name != "", other || p.Mode != cluster.ParameterIn
		if f.Defaults[i] != "" {
			defaults = append(defaults, f.Defaults[i])
		}
	}
	for _, set := range fn.Settings {
		settings = append(settings, set.Name+"="+set.Value)
	}
	r["pronargs"], r["pronargdefaults"], r["proargtypes"] = len(inputs), len(defaults), inputs
	if inputs == nil {
		r["proargtypes"] = []int{}
	}
	if other {
		r["proallargtypes"], r["proargmodes"] = all, kinds
	}
	if named {
		r["proargnames"] = names
	}
	if settings != nil {
		r["proconfig"] = settings
	}
	if defaults != nil {
		r["proargdefaults"] = strings.Join(defaults, ", ")
	}
	return r
}

func estimate(text string, otherwise float64) float64 {
	if v, err := strconv.ParseFloat(text, 64); err == nil {
		return v
	}
	return otherwise
}

// functionTexts are what pg_get_functiondef and its like look up.
func (in *Input) functionTexts() []row {
	var out []row
	for i := range in.Functions {
		f := &in.Functions[i]
		r := row{"oid": OID(f.ID), "definition": f.Text.Definition, "arguments": f.Text.Arguments, "identity": f.Text.Identity, "result": f.Text.Result, "body": nil}
		if f.Function.Procedure {
			r["result"] = nil
		}
		if f.Function.Standard {
			_, body, _ := strings.Cut(f.Text.Definition, "\n LANGUAGE sql\n")
			r["body"] = strings.TrimSuffix(body, "\n")
		}
		out = append(out, r)
	}
	return out
}

// dataType is the type of a value as the information schema tells it.
func (t *ParameterType) dataType() string {
	switch {
	case strings.HasSuffix(t.Name, "[]"):
		return "ARRAY"
	case t.User:
		return "USER-DEFINED"
	}
	return t.Name
}

// typed adds the type of a value to a row.
func (in *Input) typed(r row, t *ParameterType, prefix string) row {
	schema := Schema
	if t.User {
		schema = publicOf(in, t.OID)
	}
	r["data_type"], r[prefix+"udt_catalog"], r[prefix+"udt_schema"], r[prefix+"udt_name"] = t.dataType(), in.Database, schema, in.udtName(t)
	return r
}

// publicOf is the schema of a type that somebody has made.
func publicOf(in *Input, oid uint32) string {
	for _, o := range in.Types {
		if OID(o.ID) == oid || o.Enum != nil && OID(o.Enum.Array) == oid || o.Composite != nil && OID(o.Composite.Array) == oid {
			return in.schemaOf(o)
		}
	}
	return "public"
}

// udtName is the name that pg_type has for a type.
func (in *Input) udtName(t *ParameterType) string {
	if b, ok := builtinTypes()[t.OID]; ok && !t.User {
		return b.name
	}
	for _, r := range in.pgTypes() {
		if oid, ok := r["oid"].(uint32); ok && oid == t.OID {
			if name, ok := r["typname"].(string); ok {
				return name
			}
		}
	}
	return t.Name
}

// specific is the name that tells a function apart from those that are called the same.
func (f *Function) specific() string { return fmt.Sprintf("%s_%d", f.Object.Name, OID(f.ID)) }

// shownFunctions are those that the role may call.
func (in *Input) shownFunctions() []*Function {
	var out []*Function
	for i := range in.Functions {
		if f := &in.Functions[i]; in.Rights.Super || in.Rights.Owns(f.Object) || in.Rights.May(f.Object, cluster.Execute) {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b *Function) int { return strings.Compare(a.specific(), b.specific()) })
	return out
}

// schemaName is that of the schema with the id.
func (in *Input) schemaName(id cluster.ObjectID) string {
	for _, s := range in.Schemas {
		if s.ID == id {
			return s.Name
		}
	}
	return ""
}

// routines makes information_schema.routines.
func (in *Input) routines() []row {
	var out []row
	for _, f := range in.shownFunctions() {
		fn, schema := f.Function, in.schemaName(f.Parent)
		r := row{"specific_catalog": in.Database, "specific_schema": schema, "specific_name": f.specific(), "routine_catalog": in.Database, "routine_schema": schema, "routine_name": f.Object.Name,
			"routine_type": "FUNCTION", "routine_body": "EXTERNAL", "routine_definition": nil, "external_language": strings.ToUpper(fn.Language), "parameter_style": "GENERAL",
			"is_deterministic": "NO", "sql_data_access": "MODIFIES", "is_null_call": nil, "schema_level_routine": "YES", "max_dynamic_result_sets": 0, "security_type": "INVOKER",
			"as_locator": "NO", "is_udt_dependent": "NO"}
		if fn.Language == "sql" {
			r["routine_body"] = "SQL"
		}
		if in.Rights.Owns(f.Object) && !fn.Standard {
			r["routine_definition"] = fn.Body
		}
		if fn.Volatility == "immutable" {
			r["is_deterministic"] = "YES"
		}
		if fn.Definer {
			r["security_type"] = "DEFINER"
		}
		if fn.Procedure {
			r["routine_type"] = "PROCEDURE"
			r["type_udt_catalog"], r["type_udt_schema"], r["type_udt_name"] = nil, nil, nil
		} else {
			r["is_null_call"] = map[bool]string{true: "YES", false: "NO"}[fn.Strict]
			in.typed(r, &f.Result, "type_")
		}
		out = append(out, r)
	}
	return out
}

// parameters makes information_schema.parameters.
func (in *Input) parameters() []row {
	var out []row
	for _, f := range in.shownFunctions() {
		for i := range f.Function.Parameters {
			p := &f.Function.Parameters[i]
			mode := p.Mode
			if mode == cluster.ParameterTable {
				mode = cluster.ParameterOut
			}
			r := row{"specific_catalog": in.Database, "specific_schema": in.schemaName(f.Parent), "specific_name": f.specific(), "ordinal_position": i + 1, "parameter_mode": mode,
				"is_result": "NO", "as_locator": "NO", "parameter_name": nil, "parameter_default": nil, "dtd_identifier": strconv.Itoa(i + 1)}
			if p.Name != "" {
				r["parameter_name"] = p.Name
			}
			if f.Defaults[i] != "" && in.Rights.Owns(f.Object) {
				r["parameter_default"] = f.Defaults[i]
			}
			out = append(out, in.typed(r, &f.Types[i], ""))
		}
	}
	return out
}

// functionNames are the functions of users, and by signature says with the types of their
// arguments.
func (in *Input) functionNames(signature bool) []Named {
	var out []Named
	for i := range in.Functions {
		f := &in.Functions[i]
		o := Named{OID: OID(f.ID), Schema: in.schemaName(f.Parent), Name: f.Object.Name}
		if signature {
			var types []string
			for n := range f.Function.Parameters {
				if f.Function.Parameters[n].Input() {
					types = append(types, f.Types[n].Name)
				}
			}
			args := "(" + strings.Join(types, ",") + ")"
			o.Name += args
			o.Shown = f.Name + args
		}
		out = append(out, o)
	}
	return in.shown(out)
}

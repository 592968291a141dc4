package catalog

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Functions are those that a name may mean, along the path; those of an earlier schema hide
// those with the same arguments.
func (s Scope) Functions(name syntax.Name) []*cluster.Object {
	if id, ok := syntax.NumberedFunction(name); ok {
		if o, ok := s.Object(cluster.ObjectID(id)); ok && o.Function != nil {
			return []*cluster.Object{o}
		}
		return nil
	}
	if s.Draft == nil && !s.catalog.functionNames(s.View)[name.Name] {
		return nil
	}
	path := s.Path
	if name.Schema != "" {
		path = []string{name.Schema}
	}
	all := s.objects(func(o *cluster.Object) bool { return o.Function != nil && o.Name == name.Name && s.inDatabase(o) })
	var out []*cluster.Object
	hidden := map[string]bool{}
	for _, p := range path {
		schema, ok := s.Schema(p)
		if !ok || p == TempSchema && name.Schema == "" { // those are called by their schema
			continue
		}
		for _, o := range all {
			signature := cluster.Signature("", o.Function.Inputs())
			if o.Parent == schema.ID && !hidden[signature] {
				hidden[signature] = true
				out = append(out, o)
			}
		}
	}
	return out
}

// functionNames are those of all functions of a view: most calls are of none of them.
func (c *Catalog) functionNames(view *metastate.View) map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.functions == nil || c.mu.functionsOf != view.SchemaVersion {
		c.mu.functions, c.mu.functionsOf = map[string]bool{}, view.SchemaVersion
		for _, o := range view.Objects {
			if o.Function != nil {
				c.mu.functions[o.Name] = true
			}
		}
	}
	return c.mu.functions
}

// AllFunctions are those of the database, by name.
func (s Scope) AllFunctions() []*cluster.Object {
	return s.objects(func(o *cluster.Object) bool { return o.Function != nil && s.inDatabase(o) })
}

// pseudoTypes are results that no column has.
var pseudoTypes = map[string]bool{cluster.VoidType: true, cluster.TriggerType: true, cluster.RecordType: true} //nolint:gochecknoglobals // never changed

// valueType is what a written type is to a function.
func (s Scope) valueType(n syntax.TypeName) (cluster.ValueType, error) {
	if _, err := s.ResolveType(n); err != nil && n.Array {
		if r, failed := s.ResolveAnyType(n); failed == nil {
			return cluster.ValueType{}, unsupportedAt("an array of rows of "+r.User.Name+" as the type of a parameter or a result", "Make a composite type with these fields.", n.Position)
		}
	}
	if n.Schema == "" && !n.Array && pseudoTypes[n.Name] {
		return cluster.ValueType{Type: n.Name}, nil
	}
	if strings.HasPrefix(n.Name, "any") && n.Name != "any" && n.Schema == "" {
		return cluster.ValueType{}, unsupportedAt("the polymorphic type "+n.Name, "Make a function for each type.", n.Position)
	}
	r, err := s.ResolveType(n)
	if err != nil {
		if o, ok := s.Relation(syntax.Name{Schema: n.Schema, Name: n.Name}); ok && o.Collection != nil && !n.Array {
			return cluster.ValueType{Type: cluster.RowType, UserType: o.ID}, nil
		}
		return cluster.ValueType{}, err
	}
	out := cluster.ValueType{Type: r.Type.String()}
	switch {
	case r.User == nil:
	case r.User.Domain == nil:
		out.UserType, out.Type = r.User.ID, userTypeName(r)
	default:
		return out, unsupportedAt("a domain as the type of a parameter or a result", "Write the type that it is of.", n.Position)
	}
	return out, nil
}

// ValueType finds the type of a parameter or a result; ok is false of void, rows and the
// like, which are no type of single values.
func (s Scope) ValueType(t cluster.ValueType) (datum.Type, bool) {
	if t.Type == cluster.RowType || pseudoTypes[t.Type] {
		return datum.Unknown, false
	}
	return s.typeOf(&cluster.Column{Type: t.Type, UserType: t.UserType})
}

// TypeText is the type as PostgreSQL shows it.
func (s Scope) TypeText(t cluster.ValueType) string {
	if t.Type == cluster.RowType {
		if o, ok := s.Object(t.UserType); ok {
			return s.visibleName(o)
		}
	}
	if o, ok := s.Object(t.UserType); ok && (o.Enum != nil || o.Composite != nil) { // dumps have no search path
		return s.visibleName(o) + arrayMark(t.Type)
	}
	if typ, ok := s.ValueType(t); ok {
		return typ.SQLName()
	}
	if o := s.View.Objects[t.UserType]; o != nil { // it is being dropped
		return o.Name + arrayMark(t.Type)
	}
	return t.Type
}

// Arguments are the types of what a call gives, as PostgreSQL shows them.
func (s Scope) Arguments(f *cluster.Function) string {
	var out []string
	for _, p := range f.Inputs() {
		out = append(out, s.TypeText(p.ValueType))
	}
	return strings.Join(out, ", ")
}

// described is name(types) of a function.
func (s Scope) described(o *cluster.Object) string {
	return s.FunctionName(o) + "(" + strings.ReplaceAll(s.Arguments(o.Function), ", ", ",") + ")"
}

// FunctionName is the name of a function as it can be written: with its schema in front,
// unless that is in the path.
func (s Scope) FunctionName(o *cluster.Object) string {
	schema, ok := s.Object(o.Parent)
	if !ok || slices.ContainsFunc(s.Schemas(), func(in *cluster.Object) bool { return in.ID == schema.ID }) {
		return syntax.QuoteName(syntax.Name{Name: o.Name})
	}
	return syntax.QuoteName(syntax.Name{Schema: schema.Name, Name: o.Name})
}

// FindFunction finds the function that a statement is about.
func (s Scope) FindFunction(t syntax.Target) (*cluster.Object, error) {
	word := "function"
	if t.Kind == syntax.KindProcedure {
		word = "procedure"
	}
	is := func(o *cluster.Object) bool {
		return t.Kind == syntax.KindRoutine || o.Function.Procedure == (t.Kind == syntax.KindProcedure)
	}
	list := slices.DeleteFunc(s.Functions(t.Name), func(o *cluster.Object) bool { return !is(o) })
	if t.Args == nil {
		switch len(list) {
		case 0:
			return nil, &syntax.Error{Code: "42883", Message: fmt.Sprintf("could not find a %s named %q", word, written(t.Name))}
		case 1:
			return list[0], nil
		}
		return nil, &syntax.Error{Code: "42725", Message: fmt.Sprintf("%s name %q is not unique", word, written(t.Name)), Hint: "Specify the argument list to select the " + word + " unambiguously."}
	}
	inputs := make([]cluster.Parameter, len(*t.Args))
	texts := make([]string, len(inputs))
	for i, n := range *t.Args {
		typ, err := s.valueType(n)
		if err != nil {
			return nil, err
		}
		inputs[i].ValueType, texts[i] = typ, s.TypeText(typ)
	}
	for _, o := range list {
		if cluster.Signature("", o.Function.Inputs()) == cluster.Signature("", inputs) {
			return o, nil
		}
	}
	return nil, &syntax.Error{Code: "42883", Message: fmt.Sprintf("%s %s(%s) does not exist", word, written(t.Name), strings.Join(texts, ", "))}
}

// languages are those that functions can be in.
var languages = map[string]bool{"sql": true, "plpgsql": true} //nolint:gochecknoglobals // never changed

// FunctionDDL is what CREATE FUNCTION asks beside the catalog.
type FunctionDDL struct {
	By string
	// Bind has the names in a body in one of the standard's forms, and in defaults, be of what
	// they mean now.
	Bind func(in Scope, o *cluster.Object, body []*syntax.Query) error
	// Sound looks at what the function does.
	Sound func(in Scope, o *cluster.Object) error
}

// CreateFunction makes a function in the draft of scope.
func (c *Catalog) CreateFunction(ctx context.Context, in Scope, stmt *syntax.CreateFunction, ddl FunctionDDL) (*Draft, error) {
	if err := checkName(stmt.Name.Name, stmt.Name.Position); err != nil {
		return nil, err
	}
	schema, err := in.creationSchema(stmt.Name)
	if err != nil {
		return nil, err
	}
	made, err := in.newFunction(stmt)
	if err != nil {
		return nil, err
	}
	o := &cluster.Object{Parent: schema.ID, Kind: cluster.KindFunction, Name: stmt.Name.Name, Owner: ddl.By, Function: made}
	if err := ddl.Bind(in, o, stmt.Standard); err != nil {
		return nil, err
	}
	if o.Needs, err = functionNeeds(made); err != nil {
		return nil, err
	}
	was, exists := in.find(schema.ID, cluster.FunctionNames, o.Names()[0].Name)
	if exists {
		if !stmt.Replace {
			return nil, &syntax.Error{Code: "42723", Message: fmt.Sprintf("function %q already exists with same argument types", o.Name)}
		}
		if err := in.replaces(was, o); err != nil {
			return nil, err
		}
		if !reflect.DeepEqual(was.Function, o.Function) {
			if err := in.holdsIndex(was); err != nil {
				return nil, err
			}
		}
		next := *was
		next.Function, next.Needs = o.Function, o.Needs
		changed := in.change(was, &next)
		if err := in.restOn(changed, &next); err != nil {
			return nil, err
		}
		if err := ddl.Sound(in.now(changed), &next); err != nil || reflect.DeepEqual(was.Function, next.Function) {
			return changed, err
		}
		return in.refire(changed, next.ID), nil
	}
	if o.ID, err = c.NewID(ctx); err != nil {
		return nil, err
	}
	in.born(o)
	next := in.Draft.clone()
	next.rest(schema)
	next.add(o)
	if err := in.restOn(next, o); err != nil {
		return nil, err
	}
	return next, ddl.Sound(in.now(next), o)
}

// functionNeeds are the objects without which a function cannot be.
func functionNeeds(f *cluster.Function) ([]cluster.ObjectID, error) {
	var out []cluster.ObjectID
	for _, p := range append(slices.Clone(f.Parameters), cluster.Parameter{ValueType: f.Returns}) {
		if p.UserType != 0 {
			out = append(out, p.UserType)
		}
	}
	out = append(out, functionCalls(f)...)
	if f.Standard {
		statements, err := syntax.ParseStatements(f.Body)
		if err != nil {
			return nil, err
		}
		for _, q := range statements {
			for _, id := range syntax.NumberedIDs(q.Tree()) {
				out = append(out, cluster.ObjectID(id))
			}
		}
	}
	for i := range f.Reads {
		out = append(out, f.Reads[i].Object)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// restOn has nobody drop what a function needs before it is there.
func (s Scope) restOn(next *Draft, o *cluster.Object) error {
	for _, id := range o.Needs {
		needed, ok := s.Object(id)
		if !ok {
			return &syntax.Error{Code: "42P01", Message: "what the function names was dropped meanwhile"}
		}
		if s.IsTemporary(needed) && !s.IsTemporary(o) && o.Function.Standard {
			return syntax.Unsupported("a function of temporary objects that is none itself, in BEGIN ATOMIC", "Write the body as AS '...'.")
		}
		next.rest(needed)
	}
	return nil
}

// replaces refuses a function that cannot take the place of another.
func (s Scope) replaces(was, next *cluster.Object) error {
	old, f := was.Function, next.Function
	hint := fmt.Sprintf("Use DROP FUNCTION %s first.", s.described(was))
	if old.Procedure != f.Procedure {
		word := map[bool]string{false: "a function", true: "a procedure"}[old.Procedure]
		return &syntax.Error{Code: "42809", Message: "cannot change routine kind", Detail: fmt.Sprintf("%q is %s.", was.Name, word)}
	}
	if old.Returns != f.Returns || old.SetOf != f.SetOf {
		return &syntax.Error{Code: "42P13", Message: "cannot change return type of existing function", Hint: hint}
	}
	before, after := old.Outputs(), f.Outputs()
	if !slices.EqualFunc(before, after, func(a, b cluster.Parameter) bool { return a.ValueType == b.ValueType && a.Name == b.Name }) {
		return &syntax.Error{Code: "42P13", Message: "cannot change return type of existing function", Detail: "Row type defined by OUT parameters is different.", Hint: hint}
	}
	given := f.Inputs()
	for i, p := range old.Inputs() {
		if p.Name != "" && p.Name != given[i].Name {
			return &syntax.Error{Code: "42P13", Message: fmt.Sprintf("cannot change name of input parameter %q", p.Name), Hint: hint}
		}
		if p.Default != "" && given[i].Default == "" {
			return &syntax.Error{Code: "42P13", Message: "cannot remove parameter defaults from existing function", Hint: hint}
		}
	}
	return nil
}

// newFunction reads what a statement says of a function.
func (s Scope) newFunction(stmt *syntax.CreateFunction) (*cluster.Function, error) {
	o := &stmt.Options
	out := &cluster.Function{Procedure: stmt.Procedure, Language: o.Language, SetOf: stmt.SetOf, Body: stmt.Body, Standard: stmt.Standard != nil, Return: stmt.Return,
		Volatility: "volatile", Parallel: o.Parallel, Cost: o.Cost, Rows: o.Rows}
	if out.Standard && out.Language == "" {
		out.Language = "sql"
	}
	switch {
	case out.Language == "":
		return nil, &syntax.Error{Code: "42P13", Message: "no language specified"}
	case out.Language == "c" || out.Language == "internal":
		return nil, syntax.Unsupported("LANGUAGE "+out.Language, "Write it in SQL or PL/pgSQL.")
	case !languages[out.Language]:
		return nil, &syntax.Error{Code: "42704", Message: fmt.Sprintf("language %q does not exist", out.Language), Hint: "Functions are in the languages sql and plpgsql."}
	case out.Standard && out.Language != "sql":
		return nil, &syntax.Error{Code: "42P13", Message: "inline SQL function body only valid for language SQL"}
	case out.Standard && stmt.BodyPosition != 0:
		return nil, &syntax.Error{Code: "42P13", Message: "duplicate function body specified"}
	case !out.Standard && stmt.BodyPosition == 0:
		return nil, &syntax.Error{Code: "42P13", Message: "no function body specified"}
	case o.Window:
		return nil, syntax.Unsupported("WINDOW of a function", "")
	}
	if err := s.functionOptions(out, o); err != nil {
		return nil, err
	}
	if err := s.parameters(out, stmt); err != nil {
		return nil, err
	}
	return out, s.returns(out, stmt)
}

// functionOptions reads what both CREATE and ALTER FUNCTION say.
func (s Scope) functionOptions(f *cluster.Function, o *syntax.FunctionOptions) error {
	if o.Volatility != "" {
		f.Volatility = o.Volatility
	}
	for _, b := range []struct {
		to   *bool
		said *bool
	}{{&f.Strict, o.Strict}, {&f.Definer, o.Definer}, {&f.Leakproof, o.Leakproof}} {
		if b.said != nil {
			*b.to = *b.said
		}
	}
	for _, t := range []struct {
		to   *string
		said string
	}{{&f.Parallel, o.Parallel}, {&f.Cost, o.Cost}, {&f.Rows, o.Rows}} {
		if t.said != "" {
			*t.to = t.said
		}
	}
	if f.Leakproof && s.Rights != nil && !s.Rights.Super {
		return &syntax.Error{Code: "42501", Message: "only superuser can define a leakproof function"}
	}
	return setFunction(f, o.Settings)
}

// setFunction reads SET and RESET of a function.
func setFunction(f *cluster.Function, list []syntax.SetSetting) error {
	for _, set := range list {
		rest := slices.DeleteFunc(slices.Clone(f.Settings), func(was cluster.FunctionSetting) bool { return was.Name == set.Name || set.Name == "" })
		switch {
		case set.Name == "role" || set.Name == "session_authorization":
			return syntax.Unsupported("SET "+set.Name+" of a function", "Use SECURITY DEFINER.")
		case len(set.Values) > 0 && set.Name == "search_path":
			path := make([]string, len(set.Values))
			for i, name := range set.Values {
				path[i] = syntax.QuoteIdent(name)
			}
			rest = append(rest, cluster.FunctionSetting{Name: set.Name, Value: strings.Join(path, ", ")})
		case len(set.Values) > 0:
			rest = append(rest, cluster.FunctionSetting{Name: set.Name, Value: strings.Join(set.Values, ", ")})
		case !set.Reset && set.Name != "":
			return syntax.Unsupported("SET of a function without a value", "Write the value.")
		}
		f.Settings = rest
	}
	return nil
}

func (s Scope) parameters(f *cluster.Function, stmt *syntax.CreateFunction) error {
	names := map[string]bool{}
	defaults := false
	for i := range stmt.Parameters {
		p := &stmt.Parameters[i]
		if p.Mode == "VARIADIC" {
			return unsupportedAt("a VARIADIC parameter", "Use an array.", p.Type.Position)
		}
		typ, err := s.valueType(p.Type)
		if wrong, ok := err.(*syntax.Error); ok && wrong.Code == "42704" { //nolint:errorlint // it is what was returned
			return &syntax.Error{Code: wrong.Code, Message: strings.ReplaceAll(wrong.Message, `"`, ""), Position: wrong.Position}
		}
		if err != nil {
			return err
		}
		if pseudoTypes[typ.Type] {
			word := "a " + typ.Type
			return &syntax.Error{Code: "42P13", Message: fmt.Sprintf("SQL functions cannot have arguments of type %s", strings.TrimPrefix(word, "a "))}
		}
		next := cluster.Parameter{Name: p.Name, Mode: p.Mode, ValueType: typ, Default: p.Default}
		if typ.Type == cluster.RowType && next.Input() {
			return unsupportedAt("a parameter that is a row", "Use one for each column.", p.Type.Position)
		}
		if p.Name != "" {
			if names[p.Name] {
				return &syntax.Error{Code: "42P13", Message: fmt.Sprintf("parameter name %q used more than once", p.Name)}
			}
			names[p.Name] = true
		}
		switch {
		case p.Default != "" && !next.Input():
			return &syntax.Error{Code: "42P13", Message: "only input parameters can have default values"}
		case p.Default != "":
			defaults = true
		case defaults && next.Input():
			return &syntax.Error{Code: "42P13", Message: "input parameters after one with a default value must also have defaults"}
		}
		f.Parameters = append(f.Parameters, next)
	}
	const maxParameters = 100
	if len(f.Parameters) > maxParameters {
		return &syntax.Error{Code: "54023", Message: fmt.Sprintf("functions cannot have more than %d arguments", maxParameters)}
	}
	return nil
}

// returns reads RETURNS, and what OUT parameters make of it.
func (s Scope) returns(f *cluster.Function, stmt *syntax.CreateFunction) error {
	outputs := f.Outputs()
	table := slices.ContainsFunc(outputs, func(p cluster.Parameter) bool { return p.Mode == cluster.ParameterTable })
	implied := cluster.ValueType{Type: cluster.RecordType}
	if len(outputs) == 1 {
		implied = outputs[0].ValueType
	}
	switch {
	case f.Procedure && len(outputs) > 0:
		f.Returns = cluster.ValueType{Type: cluster.RecordType}
		return nil
	case f.Procedure:
		f.Returns = cluster.ValueType{Type: cluster.VoidType}
		return nil
	case table:
		f.Returns, f.SetOf = implied, true
		return nil
	case stmt.Returns == nil && len(outputs) == 0:
		return &syntax.Error{Code: "42P13", Message: "function result type must be specified"}
	case stmt.Returns == nil:
		f.Returns = implied
		return nil
	}
	var err error
	if f.Returns, err = s.valueType(*stmt.Returns); err != nil {
		return err
	}
	if len(outputs) > 0 && f.Returns != implied {
		return &syntax.Error{Code: "42P13", Message: fmt.Sprintf("function result type must be %s because of OUT parameters", s.TypeText(implied))}
	}
	if f.Returns.Type == cluster.TriggerType {
		switch {
		case f.Language == "sql":
			return &syntax.Error{Code: "42P13", Message: "SQL functions cannot return type trigger"}
		case len(f.Parameters) > 0:
			return &syntax.Error{Code: "42P13", Message: "trigger functions cannot have declared arguments", Hint: "The arguments of the trigger can be accessed through TG_NARGS and TG_ARGV instead."}
		}
	}
	return nil
}

// DropFunctions drops functions in the draft of scope, with CASCADE what needs them.
func (c *Catalog) DropFunctions(in Scope, stmt *syntax.DropFunction) (*Draft, Dropped, error) {
	var told Dropped
	next := in.Draft.clone()
	in.Draft = next
	gone := &going{objects: map[cluster.ObjectID]*cluster.Object{}, cascade: stmt.Cascade}
	for _, t := range stmt.Targets {
		o, err := in.FindFunction(t)
		if err != nil {
			wrong, _ := err.(*syntax.Error) //nolint:errorlint // it is what was returned
			if stmt.IfExists && wrong != nil && (wrong.Code == "42883" || wrong.Code == "42704" || wrong.Code == "3F000") {
				told.Missing = append(told.Missing, in.missingFunction(t))
				continue
			}
			return nil, told, err
		}
		if gone.what == "" {
			gone.what = "function " + in.described(o)
		}
		gone.objects[o.ID] = o
		next.drop(o)
	}
	if len(stmt.Targets) > 1 {
		gone.what = ""
	}
	cascades, err := in.settleNeeds(next, gone)
	told.Cascades = cascades
	return next, told, err
}

// keywordTypes are types that have a word of the grammar: PostgreSQL tells those otherwise.
//
//nolint:gochecknoglobals // never changed
var keywordTypes = map[string]bool{"int2": true, "int4": true, "int8": true, "float4": true, "float8": true, "numeric": true, "bool": true, "varchar": true, "bpchar": true,
	"bit": true, "varbit": true, "timestamp": true, "timestamptz": true, "time": true, "timetz": true, "interval": true}

// missingFunction is what IF EXISTS says of a function that is not there.
func (s Scope) missingFunction(t syntax.Target) string {
	var types []string
	if t.Args != nil {
		for _, n := range *t.Args {
			text := n.Name
			if keywordTypes[text] && n.Schema == "" {
				text = "pg_catalog." + text
			}
			types = append(types, text+map[bool]string{true: "[]"}[n.Array])
		}
	}
	return written(t.Name) + "(" + strings.Join(types, ",") + ")"
}

// ChangeFunction gives a function another name, owner, schema or other options.
func (c *Catalog) ChangeFunction(in Scope, t syntax.Target, change func(o *cluster.Object) error) (*Draft, error) {
	o, err := in.FindFunction(t)
	if err != nil {
		return nil, err
	}
	next := *o
	f := *o.Function
	next.Function = &f
	if err := change(&next); err != nil {
		return nil, err
	}
	if next.Name != o.Name || next.Parent != o.Parent {
		if err := checkName(next.Name, 0); err != nil {
			return nil, err
		}
		if _, taken := in.find(next.Parent, cluster.FunctionNames, next.Names()[0].Name); taken {
			where := ""
			if schema, ok := in.Object(next.Parent); ok {
				where = fmt.Sprintf(" in schema %q", schema.Name)
			}
			return nil, &syntax.Error{Code: "42723", Message: fmt.Sprintf("function %s(%s) already exists%s", next.Name, in.Arguments(next.Function), where)}
		}
	}
	if !reflect.DeepEqual(o.Function, next.Function) {
		if err := in.holdsIndex(o); err != nil {
			return nil, err
		}
	}
	changed := in.change(o, &next)
	if reflect.DeepEqual(o.Function, next.Function) && o.Owner == next.Owner {
		return changed, nil
	}
	return in.refire(changed, o.ID), nil
}

// AlterFunction changes the options of a function.
func (c *Catalog) AlterFunction(in Scope, stmt *syntax.AlterFunction) (*Draft, error) {
	return c.ChangeFunction(in, stmt.Target, func(o *cluster.Object) error { return in.functionOptions(o.Function, &stmt.Options) })
}

package syntax

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// CreateFunction is CREATE FUNCTION or PROCEDURE.
type CreateFunction struct {
	Procedure  bool
	Replace    bool
	Name       Name
	Parameters []Parameter
	// Returns is nil if there is no RETURNS; of RETURNS TABLE the columns are parameters
	// of the mode TABLE.
	Returns *TypeName
	SetOf   bool
	// Body is the SQL text of AS '...'.
	Body         string
	BodyPosition int // of AS; 0: there is none
	// Standard, if not nil, is the body in one of the standard's forms: the statements of
	// BEGIN ATOMIC, or, as Return says, a SELECT of the expression of RETURN.
	Standard []*Query `json:",omitempty"`
	Return   bool     `json:",omitempty"`
	Options  FunctionOptions
}

// AlterFunction is ALTER FUNCTION or PROCEDURE with options.
type AlterFunction struct {
	Target  Target
	Options FunctionOptions
}

// Parameter is one of a function.
type Parameter struct {
	Name    string
	Mode    string // IN, OUT, INOUT, VARIADIC or TABLE
	Type    TypeName
	Default string // SQL text
}

// FunctionOptions are what is said of a function besides; nil and "": nothing.
type FunctionOptions struct {
	Language   string       `json:",omitempty"`
	Volatility string       `json:",omitempty"` // immutable, stable or volatile
	Strict     *bool        `json:",omitempty"`
	Definer    *bool        `json:",omitempty"` // SECURITY DEFINER
	Leakproof  *bool        `json:",omitempty"`
	Window     bool         `json:",omitempty"`
	Parallel   string       `json:",omitempty"`
	Cost       string       `json:",omitempty"`
	Rows       string       `json:",omitempty"`
	Settings   []SetSetting `json:",omitempty"`
}

func (*CreateFunction) node() {}
func (*AlterFunction) node()  {}

// parameterModes are the words of the modes.
var parameterModes = map[pg.FunctionParameterMode]string{
	pg.FunctionParameterMode_FUNC_PARAM_OUT: "OUT", pg.FunctionParameterMode_FUNC_PARAM_INOUT: "INOUT",
	pg.FunctionParameterMode_FUNC_PARAM_VARIADIC: "VARIADIC", pg.FunctionParameterMode_FUNC_PARAM_TABLE: "TABLE",
}

func convertFunction(n *pg.CreateFunctionStmt) (Node, *Error) {
	out := &CreateFunction{Procedure: n.GetIsProcedure(), Replace: n.GetReplace()}
	var err *Error
	if out.Name, err = listName(n.GetFuncname()); err != nil {
		return nil, err
	}
	for _, p := range n.GetParameters() {
		parameter, err := convertParameter(p.GetFunctionParameter())
		if err != nil {
			return nil, err
		}
		out.Parameters = append(out.Parameters, parameter)
	}
	if r := n.GetReturnType(); r != nil {
		t, err := elementType(r)
		if err != nil {
			return nil, err
		}
		out.Returns, out.SetOf = &t, r.GetSetof()
	}
	var rest []*pg.Node
	for _, o := range n.GetOptions() {
		if d := o.GetDefElem(); d.GetDefname() == "as" {
			if out.BodyPosition > 0 {
				return nil, &Error{Code: codeSyntax, Message: "conflicting or redundant options", Position: Position(d.GetLocation())}
			}
			out.BodyPosition = Position(d.GetLocation())
			parts := texts(d.GetArg().GetList().GetItems())
			if len(parts) != 1 {
				return nil, unsupportedAt("a function in an object file", "Write it in SQL.", out.BodyPosition)
			}
			out.Body = parts[0]
			continue
		}
		rest = append(rest, o)
	}
	if out.Options, err = functionOptions(rest); err != nil {
		return nil, err
	}
	if n.GetSqlBody() != nil {
		err = out.standardBody(n.GetSqlBody())
	}
	return out, err
}

// elementType reads a type that SETOF may stand in front of.
func elementType(t *pg.TypeName) (TypeName, *Error) {
	return convertType(&pg.TypeName{Names: t.GetNames(), PctType: t.GetPctType(), Typmods: t.GetTypmods(), Typemod: t.GetTypemod(),
		ArrayBounds: t.GetArrayBounds(), Location: t.GetLocation()})
}

func convertParameter(p *pg.FunctionParameter) (Parameter, *Error) {
	out := Parameter{Name: p.GetName(), Mode: "IN"}
	if mode, ok := parameterModes[p.GetMode()]; ok {
		out.Mode = mode
	}
	var err *Error
	if out.Type, err = convertType(p.GetArgType()); err == nil && p.GetDefexpr() != nil {
		out.Default, err = deparse(p.GetDefexpr())
	}
	return out, err
}

// standardBody reads RETURN expr and BEGIN ATOMIC ... END.
func (f *CreateFunction) standardBody(body *pg.Node) *Error {
	list := []*pg.Node{body}
	if f.Return = body.GetReturnStmt() != nil; !f.Return {
		list = nil
		for _, part := range body.GetList().GetItems() {
			list = append(list, part.GetList().GetItems()...)
		}
	}
	f.Standard = []*Query{}
	for _, stmt := range list {
		if r := stmt.GetReturnStmt(); r != nil {
			target := &pg.Node{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Val: r.GetReturnval(), Location: -1}}}
			stmt = &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: &pg.SelectStmt{TargetList: []*pg.Node{target}, LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}}}
		}
		node, err := convertQuery(stmt, "", "")
		if err != nil {
			return err
		}
		q, ok := node.(*Query)
		if !ok || q.Call || q.Explain != nil || q.Merge != nil {
			return Unsupported("a statement other than SELECT, INSERT, UPDATE and DELETE in BEGIN ATOMIC", "Write the body as AS '...'.")
		}
		f.Standard = append(f.Standard, q)
	}
	return nil
}

func functionOptions(list []*pg.Node) (FunctionOptions, *Error) {
	var out FunctionOptions
	seen := map[string]bool{}
	for _, o := range list {
		d := o.GetDefElem()
		name := d.GetDefname()
		if seen[name] && name != "set" {
			return out, &Error{Code: codeSyntax, Message: "conflicting or redundant options", Position: Position(d.GetLocation())}
		}
		seen[name] = true
		if err := out.set(d); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (o *FunctionOptions) set(d *pg.DefElem) *Error {
	yes := d.GetArg().GetBoolean().GetBoolval()
	switch d.GetDefname() {
	case "language":
		o.Language = fold(optionText(d.GetArg()))
	case "volatility":
		o.Volatility = optionText(d.GetArg())
	case "strict":
		o.Strict = &yes
	case "security":
		o.Definer = &yes
	case "leakproof":
		o.Leakproof = &yes
	case "window":
		o.Window = yes
	case "parallel":
		o.Parallel = optionText(d.GetArg())
	case "cost":
		o.Cost = optionText(d.GetArg())
	case "rows":
		o.Rows = optionText(d.GetArg())
	case "set":
		node, err := convertSet(d.GetArg().GetVariableSetStmt())
		if err != nil {
			return err
		}
		set, ok := node.(*SetSetting)
		if !ok {
			return unsupportedAt("SET TRANSACTION of a function", "", Position(d.GetLocation()))
		}
		o.Settings = append(o.Settings, *set)
	default:
		return unsupportedAt("the option "+strings.ToUpper(d.GetDefname())+" of a function", "", Position(d.GetLocation()))
	}
	return nil
}

func convertAlterFunction(n *pg.AlterFunctionStmt) (Node, *Error) {
	kind, err := kindOf(n.GetObjtype(), "ALTER")
	if err != nil {
		return nil, err
	}
	out := &AlterFunction{}
	if out.Target, err = functionTarget(kind, n.GetFunc()); err == nil {
		out.Options, err = functionOptions(n.GetActions())
	}
	return out, err
}

// Do is DO.
type Do struct {
	Language string
	Body     string
	Position int // of the body
}

func (*Do) node() {}

func convertDo(n *pg.DoStmt) (Node, *Error) {
	out := &Do{Language: "plpgsql"}
	for _, a := range n.GetArgs() {
		switch d := a.GetDefElem(); d.GetDefname() {
		case "language":
			out.Language = fold(optionText(d.GetArg()))
		case "as":
			out.Body, out.Position = optionText(d.GetArg()), Position(d.GetLocation())
		}
	}
	return out, nil
}

// CallArgs are the variables that stand alone as arguments of a CALL; one without a name is
// something else.
func (q *Query) CallArgs() []BodyTarget {
	args := q.Select.GetTargetList()[0].GetResTarget().GetVal().GetFuncCall().GetArgs()
	out := make([]BodyTarget, len(args))
	for i, a := range args {
		if named := a.GetNamedArgExpr(); named != nil {
			a = named.GetArg()
		}
		switch names := texts(a.GetColumnRef().GetFields()); len(names) {
		case 1:
			out[i].Name = names[0]
		case 2:
			out[i].Row, out[i].Name = names[0], names[1]
		}
	}
	return out
}

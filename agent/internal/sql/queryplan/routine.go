package queryplan

import (
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Routine is a function that somebody has made, as a query calls it.
type Routine struct {
	Object *cluster.Object
	Args   []RoutineArg
	// Result is the type of a call in an expression, Columns those of one in FROM.
	Result  datum.Type
	Columns []Column
	// Void says that there is no result, and Composite that it is a row.
	Void, Composite bool
	// Body is the expression that the function is, with its arguments as parameters; nil:
	// the session carries the function out.
	Body *pg.Node
}

// RoutineArg is what a call gives. Default is nil if it has to.
type RoutineArg struct {
	Name    string
	Type    datum.Type
	Default *pg.Node
}

// Volatile reports whether a call may give another value each time, or change something.
func (r *Routine) Volatile() bool { return r.Object.Function.Volatility == "volatile" }

// inlined reports whether the body can stand where the call does: what stands there more
// than once must be the same each time.
func (r *Routine) inlined(moves func(arg int) bool) bool {
	if r.Body == nil {
		return false
	}
	for i, n := range r.uses() {
		if n > 1 && moves(i) {
			return false
		}
	}
	return true
}

// uses counts how often the body has each argument.
func (r *Routine) uses() []int {
	out := make([]int, len(r.Args))
	_ = syntax.Walk(r.Body, func(n *pg.Node) (bool, error) {
		if p := n.GetParamRef(); p != nil && int(p.GetNumber()) <= len(out) && p.GetNumber() > 0 {
			out[p.GetNumber()-1]++
		}
		return true, nil
	})
	return out
}

// routineArg is an argument as a call gives it.
type routineArg struct {
	name string
	node *pg.Node
	typ  datum.Type
	open bool // the type is not known: that of the parameter will do
}

// given are the arguments of a call, without their types.
func given(f *pg.FuncCall) []routineArg {
	out := make([]routineArg, len(f.GetArgs()))
	for i, n := range f.GetArgs() {
		out[i].node = n
		if named := n.GetNamedArgExpr(); named != nil {
			out[i].name, out[i].node = named.GetName(), named.GetArg()
		}
	}
	return out
}

// meant is the routine that a call means: args[i] says which of the given ones is for
// its parameter i, -1: its default.
type meant struct {
	routine *Routine
	args    []int
}

// choose finds the routine that a call with such arguments means.
func choose(name string, list []*Routine, args []routineArg, position int) (meant, error) {
	var best []meant
	most := -1
	for _, r := range list {
		order, score, ok := r.takes(args)
		switch {
		case !ok || score < most:
		case score > most:
			best, most = []meant{{r, order}}, score
		default:
			best = append(best, meant{r, order})
		}
	}
	if len(best) > 1 { // PostgreSQL prefers texts where types are not known
		text := slices.DeleteFunc(slices.Clone(best), func(c meant) bool { return !c.textual(args) })
		if len(text) == 1 {
			best = text
		}
	}
	switch len(best) {
	case 1:
		return best[0], nil
	case 0:
		err := fail("42883", position, "function %s does not exist", signature(name, args))
		err.Hint = "No function matches the given name and argument types. You might need to add explicit type casts."
		return meant{}, err
	}
	err := fail("42725", position, "function %s is not unique", signature(name, args))
	err.Hint = "Could not choose a best candidate function. You might need to add explicit type casts."
	return meant{}, err
}

func signature(name string, args []routineArg) string {
	types := make([]string, len(args))
	for i, a := range args {
		if types[i] = a.typ.SQLName(); a.typ == datum.Unknown {
			types[i] = "unknown"
		}
		if a.name != "" {
			types[i] = a.name + " => " + types[i]
		}
	}
	return name + "(" + strings.Join(types, ", ") + ")"
}

// textual reports whether all arguments of no known type are for texts.
func (c meant) textual(args []routineArg) bool {
	for i, from := range c.args {
		if from >= 0 && args[from].typ == datum.Unknown && c.routine.Args[i].Type != datum.Text {
			return false
		}
	}
	return true
}

// takes reports whether the routine takes the arguments, and how many are of its very
// types.
func (r *Routine) takes(args []routineArg) (order []int, score int, ok bool) {
	order = make([]int, len(r.Args))
	for i := range order {
		order[i] = -1
	}
	for i, a := range args {
		at := i
		if a.name != "" {
			at = slices.IndexFunc(r.Args, func(p RoutineArg) bool { return p.Name == a.name })
		}
		if at < 0 || at >= len(r.Args) || order[at] >= 0 {
			return nil, 0, false
		}
		order[at] = i
		switch to := r.Args[at].Type; {
		case a.typ == to:
			score += 2
		case a.open:
		case !datum.Allowed(a.typ, to, datum.Implicit):
			return nil, 0, false
		case a.typ != datum.Unknown && (to == datum.Text || to == datum.Float8):
			score++ // the types that PostgreSQL prefers
		}
	}
	for i, from := range order {
		if from < 0 && r.Args[i].Default == nil {
			return nil, 0, false
		}
	}
	return order, score, true
}

// functionName is the name that a call has. Built-in functions have none in a schema.
func functionName(f *pg.FuncCall) (syntax.Name, bool) {
	names := f.GetFuncname()
	if len(names) == 0 || len(names) > 2 {
		return syntax.Name{}, false
	}
	out := syntax.Name{Name: names[len(names)-1].GetString_().GetSval()}
	if len(names) == 2 {
		out.Schema = names[0].GetString_().GetSval()
	}
	return out, true
}

// builtIn reports whether a function of the name is PostgreSQL's own: such a name without a
// schema means that.
func builtIn(name string) bool {
	_, advisory := advisoryFunction(name)
	_, signal := signalFunction(name)
	switch name {
	case "nextval", "currval", "setval", "current_setting", "set_config", "pg_get_serial_sequence", notifyFunction:
		return true
	}
	return advisory || signal || nullary(name) != nil || slices.Contains(privilegeFunctions, name) || duck.Knows(name)
}

// maxRoutines bounds bodies that stand within each other in an expression.
const maxRoutines = 32

// routines are those that a call may mean; none: it calls what is built in, or nothing.
func (c *compiler) routines(f *pg.FuncCall) ([]*Routine, string) {
	name, ok := functionName(f)
	if !ok || c.functions == nil || name.Schema == "pg_catalog" || name.Schema == "" && builtIn(name.Name) {
		return nil, ""
	}
	full := name.Name
	if name.Schema != "" {
		full = name.Schema + "." + full
	}
	list := c.functions(name)
	if _, numbered := syntax.NumberedFunction(name); numbered && len(list) > 0 {
		full = list[0].Object.Name
	}
	return list, full
}

// routine compiles a call of a function that somebody has made; nil: it is none.
func (c *compiler) routine(f *pg.FuncCall) (Expr, error) {
	list, name := c.routines(f)
	if len(list) == 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	if f.GetAggFilter() != nil || f.GetOver() != nil || f.GetAggStar() || f.GetAggDistinct() || f.GetFuncVariadic() || len(f.GetAggOrder()) > 0 {
		return nil, errSlow
	}
	r, taken, err := c.taken(f, list, name)
	if err != nil {
		return nil, err
	}
	if r.Object.Function.SetOf || r.Composite {
		return nil, errSlow
	}
	return c.callOf(r, taken)
}

// taken finds the routine that a call means, and compiles its arguments.
func (c *compiler) taken(f *pg.FuncCall, list []*Routine, name string) (*Routine, []Expr, error) {
	position := c.position(f.GetLocation())
	args := given(f)
	exprs := make([]Expr, len(args))
	for i := range args {
		var err error
		if exprs[i], err = c.expr(args[i].node); err != nil {
			return nil, nil, err
		}
		args[i].typ = exprs[i].Type()
	}
	pick, err := choose(name, list, args, position)
	if err != nil {
		return nil, nil, err
	}
	r := pick.routine
	if c.chosen != nil {
		c.chosen(f, r)
	}
	if r.Object.Function.Procedure && !c.calling {
		err := fail("42809", position, "%s is a procedure", signature(name, args))
		err.Hint = "To call a procedure, use CALL."
		return nil, nil, err
	}
	if r.Object.Function.Returns.Type == cluster.TriggerType {
		return nil, nil, fail("0A000", 0, "trigger functions can only be called as triggers")
	}
	taken := make([]Expr, len(r.Args))
	for i, from := range pick.args {
		if from < 0 {
			inner := &compiler{params: &Params{}, typ: c.typ, functions: c.functions, called: c.called, calls: c.calls, depth: c.depth, elsewhere: true}
			if taken[i], err = inner.expr(r.Args[i].Default); err != nil {
				return nil, nil, err
			}
		} else {
			taken[i] = exprs[from]
		}
		if taken[i], err = convert(taken[i], r.Args[i].Type, -1, datum.Implicit); err != nil {
			return nil, nil, err
		}
	}
	return r, taken, nil
}

// callOf is the call of a routine with its arguments.
func (c *compiler) callOf(r *Routine, args []Expr) (Expr, error) {
	if c.called != nil {
		c.called(r)
	}
	if c.depth < maxRoutines && r.inlined(func(i int) bool { return volatile(args[i]) || !isPlain(args[i]) && c.depth > 3 }) {
		inner := &compiler{params: c.params, typ: c.typ, functions: c.functions, called: c.called, notifies: c.notifies, kept: c.kept, bound: args, depth: c.depth + 1, elsewhere: true}
		e, err := inner.expr(r.Body)
		if err == nil && e.Type() != r.Result {
			e, err = convert(e, r.Result, -1, datum.Assignment)
		}
		switch {
		case err == nil && !(c.kept && r.Object.Function.Volatility == "immutable" && !immutable(e)):
			return strictly(r, args, e), nil
		case err != nil && !isSlow(err) && !c.kept: // a body that is kept finds what it calls when it runs
			return nil, err
		}
	}
	if c.calls != nil {
		*c.calls = true
	}
	return &fn{name: "#" + strconv.FormatUint(uint64(r.Object.ID), 10), routine: r, typ: r.Result, args: args, strict: r.Object.Function.Strict, volatile: r.Volatile(), stable: true,
		eval: func(env *Env, v []datum.Datum) (datum.Datum, error) { return env.Session.Call(r, v) }}, nil
}

// isPlain reports whether an expression costs nothing to compute again.
func isPlain(e Expr) bool { return len(children(e)) == 0 }

// strictly is null if one of the arguments of a strict routine is.
func strictly(r *Routine, args []Expr, e Expr) Expr {
	if !r.Object.Function.Strict {
		return e
	}
	out := &caseExpr{typ: r.Result}
	for _, a := range args {
		if k, ok := a.(*Const); ok && !k.Value.Null {
			continue
		}
		out.conditions = append(out.conditions, &fn{typ: datum.Bool, args: []Expr{a}, eval: func(_ *Env, v []datum.Datum) (datum.Datum, error) { return datum.MakeBool(v[0].Null), nil }})
		out.results = append(out.results, &Const{Value: datum.MakeNull(r.Result)})
	}
	out.results = append(out.results, e)
	return out
}

// inline has the slow path put the body of a routine where its call is.
func (p *Planner) inline(f *pg.FuncCall, typeOf func(*pg.Node) datum.Type) (*duck.Inlined, error) {
	if p.repeated {
		if err := refuseRandom(f, "MERGE with a source or a condition", mergeHint); err != nil {
			return nil, err
		}
	}
	c := p.compiler(nil)
	list, name := c.routines(f)
	if len(list) == 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	args := given(f)
	for i := range args {
		args[i].typ = typeOf(args[i].node)
		args[i].open = args[i].typ == datum.Unknown
	}
	pick, err := choose(name, list, args, syntax.Position(f.GetLocation()))
	if err != nil {
		return nil, err
	}
	r := pick.routine
	p.called(r)
	if p.Chosen != nil {
		p.Chosen(f, r)
	}
	if r.Object.Function.SetOf || r.Composite || !r.inlined(func(i int) bool { return pick.args[i] >= 0 && mayMove(args[pick.args[i]].node) }) {
		return nil, routineHere(name, syntax.Position(f.GetLocation()))
	}
	body, err := p.ownNames(r.Body)
	if err != nil {
		return nil, err
	}
	taken := make([]*pg.Node, len(r.Args))
	for i, from := range pick.args {
		arg, typ := r.Args[i].Default, datum.Unknown
		if from >= 0 {
			arg, typ = args[from].node, args[from].typ
		}
		if taken[i] = arg; typ != r.Args[i].Type {
			taken[i] = CastTo(arg, r.Args[i].Type)
		}
	}
	put := func(n *pg.Node) error {
		return syntax.Walk(n, func(n *pg.Node) (bool, error) {
			if ref := n.GetParamRef(); ref != nil && ref.GetNumber() > 0 && int(ref.GetNumber()) <= len(taken) {
				n.Node = proto.CloneOf(taken[ref.GetNumber()-1]).GetNode()
				return false, nil
			}
			return true, nil
		})
	}
	if err := put(body); err != nil {
		return nil, err
	}
	if r.Object.Function.Strict {
		body = strictNode(taken, body)
	}
	return &duck.Inlined{Expr: body, Type: r.Result, Cast: func(n *pg.Node) *pg.Node { return CastTo(n, r.Result) }}, nil
}

// ownNames is a copy of a body in which enums stand by the names that the slow path has.
func (p *Planner) ownNames(body *pg.Node) (*pg.Node, error) {
	s := &pg.SelectStmt{TargetList: []*pg.Node{{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Val: proto.CloneOf(body)}}}}}
	s, err := p.namedEnums(s)
	if err != nil {
		return nil, err
	}
	return s.GetTargetList()[0].GetResTarget().GetVal(), nil
}

// strictNode is strictly for the slow path.
func strictNode(args []*pg.Node, body *pg.Node) *pg.Node {
	out := &pg.CaseExpr{Defresult: body, Location: -1}
	for _, a := range args {
		isNull := &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: proto.CloneOf(a), Nulltesttype: pg.NullTestType_IS_NULL, Location: -1}}}
		null := &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Isnull: true, Location: -1}}}
		out.Args = append(out.Args, &pg.Node{Node: &pg.Node_CaseWhen{CaseWhen: &pg.CaseWhen{Expr: isNull, Result: null, Location: -1}}})
	}
	if len(out.Args) == 0 {
		return body
	}
	return &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: out}}
}

// mayMove reports whether an argument may be another each time that it stands somewhere.
func mayMove(n *pg.Node) bool {
	moves := false
	_ = syntax.Walk(n, func(n *pg.Node) (bool, error) {
		moves = moves || n.GetFuncCall() != nil || n.GetSubLink() != nil
		return true, nil
	})
	return moves
}

func routineHere(name string, position int) error {
	err := fail("0A000", position, "a call of function %s is not supported in this place of such a query", name)
	err.Hint = "Call it in FROM, or in the SELECT list of a query of its own: only functions that are one expression go everywhere."
	return err
}

// CastTo is CAST(value AS t).
func CastTo(value *pg.Node, t datum.Type) *pg.Node {
	text := func(s string) *pg.Node { return &pg.Node{Node: &pg.Node_String_{String_: &pg.String{Sval: s}}} }
	name := &pg.TypeName{Names: []*pg.Node{text("pg_catalog"), text(t.Elem().String())}, Typemod: -1, Location: -1}
	if t.Elem().IsEnum() || t.Elem().IsComposite() {
		name.Names = []*pg.Node{text(syntax.EnumTypeName(uint32(t.Elem())))}
	}
	if t.IsArray() {
		name.ArrayBounds = []*pg.Node{{Node: &pg.Node_Integer{Integer: &pg.Integer{Ival: -1}}}}
	}
	return &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: value, TypeName: name, Location: -1}}}
}

package analysis

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// call is a function, an aggregate or a window function.
func (a *analysis) call(f *pg.FuncCall) *expr {
	name := lastText(f.Funcname)
	args := make([]*expr, 0, len(f.Args))
	named := f.FuncVariadic
	for _, n := range f.Args {
		if arg := n.GetNamedArgExpr(); arg != nil {
			named = true
			n = arg.Arg
		}
		args = append(args, a.expr(n))
	}
	var filter *expr
	if f.AggWithinGroup {
		for _, n := range f.AggOrder {
			a.at(inOrder, func() { args = append(args, a.expr(n.GetSortBy().GetNode())) })
		}
	}
	if f.AggFilter != nil {
		a.at(inFilter, func() { filter = a.truth(a.expr(f.AggFilter), "FILTER") })
	}
	list := known().functions[name]
	if name == "any_value" && !named && !a.in.Made(name) { // PostgreSQL 15 has none, and the engine does
		a.hinted("42883", f.Location, "No function matches the given name and argument types. You might need to add explicit type casts.", "function %s does not exist", a.callSignature(f, args))
		return of(unsure, f.Location, "")
	}
	if len(list) == 0 && !a.typeCalled(name) { // it is NodeDB's, or there is none
		a.lost = true
	}
	if len(f.Funcname) > 2 || len(f.Funcname) == 2 && text(f.Funcname[0]) != "pg_catalog" || named || a.in.Made(name) || a.err != nil {
		return of(unsure, f.Location, "", args...)
	}
	c, cast, how := a.function(name, list, args, f)
	switch {
	case cast != unsure:
		return a.coerce(args[0], cast)
	case how == foundOne && c == nil: // a type is missing
		return a.finish(f, list, nil, of(unsure, f.Location, "", args...), args, filter)
	case how == foundMany:
		a.hinted("42725", f.Location, "Could not choose a best candidate function. You might need to add explicit type casts.", "function %s is not unique", a.callSignature(f, args))
		return of(unsure, f.Location, "")
	case how == foundNone:
		hint := "No function matches the given name and argument types. You might need to add explicit type casts."
		if len(f.AggOrder) > 0 && !f.AggWithinGroup {
			hint = "No aggregate function matches the given name and argument types. Perhaps you misplaced ORDER BY; ORDER BY must appear after all regular arguments of the aggregate."
		}
		a.hinted("42883", f.Location, hint, "function %s does not exist", a.callSignature(f, args))
		return of(unsure, f.Location, "")
	}
	if c.function.agg == 'h' && f.AggWithinGroup {
		a.hypothetical(f, args)
	}
	input := make([]oid, len(args))
	for i, e := range args {
		input[i] = e.typ
	}
	to, result := a.resolve(input, c.args[:len(args)], c.function.result, f.Location)
	for i := range args {
		args[i] = a.coerce(args[i], to[i])
	}
	return a.finish(f, list, c.function, of(result, f.Location, fmt.Sprintf("call %s %v", name, c.args), args...), args, filter)
}

func (a *analysis) callSignature(f *pg.FuncCall, args []*expr) string {
	names := make([]string, len(args))
	for i, e := range args {
		names[i] = a.sqlName(e.typ)
	}
	return strings.Join(texts(f.Funcname), ".") + "(" + strings.Join(names, ", ") + ")"
}

// function is func_get_detail: the function, or the type that a call by a type's name casts to.
func (a *analysis) function(name string, list []*function, args []*expr, f *pg.FuncCall) (c *candidate, cast oid, how found) {
	input := make([]oid, len(args))
	unclear := false
	for i, e := range args {
		input[i] = e.typ
		unclear = unclear || e.typ == unsure
	}
	all := candidates(list, len(args), f)
	if unclear {
		return nil, unsure, foundOne
	}
	for _, c := range all {
		if slices.Equal(c.args[:len(args)], input) {
			return c, unsure, foundOne
		}
	}
	if t, ok := known().names[name]; ok && len(args) == 1 && !f.AggStar {
		if input[0] == unknown || a.elem(t) == unsure && input[0] != record && a.pathway(input[0], t, explicit) {
			return nil, t, foundOne
		}
	}
	if len(list) == 0 {
		return nil, unsure, foundOne
	}
	c, how = a.choose(input, all)
	return c, unsure, how
}

// typeCalled reports whether somebody's type has the name: text('x') works of such, too.
func (a *analysis) typeCalled(name string) bool {
	return a.typeName(&pg.TypeName{Names: []*pg.Node{pg.MakeStrNode(name)}}) != unsure
}

// candidates are the functions that take that many arguments.
func candidates(list []*function, n int, f *pg.FuncCall) []*candidate {
	var out []*candidate
	for _, fn := range list {
		switch {
		case f.AggWithinGroup && fn.agg == 'h' || fn.agg == 'o' && fn.variadic != unsure:
			if n >= len(fn.args) || fn.variadic != unsure {
				out = append(out, stretched(fn, n))
			}
		case fn.variadic != unsure && n >= len(fn.args):
			out = append(out, stretched(fn, n))
		case len(fn.args) == n, len(fn.args) > n && len(fn.args)-fn.defaults <= n:
			out = append(out, &candidate{args: fn.args[:n], function: fn})
		}
	}
	return slices.DeleteFunc(out, func(c *candidate) bool { // those that are variadic only stand behind
		return c.variadic && slices.ContainsFunc(out, func(o *candidate) bool {
			return !o.variadic && len(o.args) >= n && slices.Equal(o.args[:n], c.args[:n])
		})
	})
}

func stretched(fn *function, n int) *candidate {
	args := slices.Clone(fn.args)
	if len(args) > 0 {
		args = args[:len(args)-1]
	}
	for len(args) < n {
		args = append(args, fn.variadic)
	}
	return &candidate{args: args[:n], function: fn, variadic: true}
}

// hypothetical is unify_hypothetical_args: the row that is asked about has the types of the
// rows.
func (a *analysis) hypothetical(f *pg.FuncCall, args []*expr) {
	n := len(f.AggOrder)
	if len(args) != 2*n {
		return
	}
	for i := range n {
		both := []*expr{args[n+i], args[i]}
		t, _ := a.common(both, "WITHIN GROUP")
		both = a.bring(both, t, "WITHIN GROUP")
		args[n+i], args[i] = both[0], both[1]
	}
}

// finish looks at what stands beside a call, and at where it stands.
func (a *analysis) finish(f *pg.FuncCall, list []*function, fn *function, e *expr, args []*expr, filter *expr) *expr {
	kind := byte('f')
	if fn != nil {
		kind = fn.kind
	} else if len(list) > 0 {
		kind = list[0].kind
	}
	name := strings.Join(texts(f.Funcname), ".")
	if kind != 'a' {
		for _, w := range []struct {
			is   bool
			what string
		}{{f.AggStar, ""}, {f.AggDistinct, "DISTINCT"}, {f.AggWithinGroup, "WITHIN GROUP"}, {len(f.AggOrder) > 0, "ORDER BY"}, {filter != nil, "FILTER"}} {
			switch {
			case !w.is:
			case w.what == "":
				a.refuse("42809", f.Location, "%s(*) specified, but %s is not an aggregate function", name, name)
			default:
				a.refuse("42809", f.Location, "%s specified, but %s is not an aggregate function", w.what, name)
			}
		}
	}
	switch {
	case f.Over != nil && kind == 'f':
		a.refuse("42809", f.Location, "OVER specified, but %s is not a window function nor an aggregate function", name)
	case f.Over == nil && kind == 'w':
		a.refuse("42P20", f.Location, "window function %s requires an OVER clause", name)
	case f.Over != nil:
		a.besideOver(f, name)
		a.window(f, e, args)
	case kind == 'a':
		a.aggregate(f, fn, e, args, filter)
	default:
		e.at = leftmost(e.at, args...)
	}
	return e
}

// besideOver refuses what PostgreSQL has not of aggregates over windows.
func (a *analysis) besideOver(f *pg.FuncCall, name string) {
	switch {
	case f.AggWithinGroup:
		a.refuse("0A000", f.Location, "OVER is not supported for ordered-set aggregate %s", name)
	case f.AggDistinct:
		a.refuse("0A000", f.Location, "DISTINCT is not implemented for window functions")
	case len(f.AggOrder) > 0:
		a.refuse("0A000", f.Location, "aggregate ORDER BY is not implemented for window functions")
	}
}

// window is a call with OVER.
func (a *analysis) window(f *pg.FuncCall, e *expr, args []*expr) {
	for _, arg := range args {
		arg.each(func(k *expr) bool {
			if k.window {
				a.refuse("42P20", k.at, "window function calls cannot be nested")
			}
			return !k.sub
		})
	}
	e.window = true
	if where := notAllowed[a.scope.place]; where != "" && a.scope.place != inWhere && a.scope.place != inHaving || a.scope.place == inWhere || a.scope.place == inHaving {
		if a.scope.place == inHaving {
			where = "HAVING"
		}
		a.refuse("42P20", f.Location, "window functions are not allowed in %s", where)
		return
	}
	if a.scope.place == inWindow {
		a.refuse("42P20", f.Location, "window functions are not allowed in window definitions")
	}
	if d := f.Over; d.Name == "" {
		a.scope.pending = append(a.scope.pending, d)
	} else if !a.scope.windows[d.Name] {
		a.refuse("42704", d.Location, "window \"%s\" does not exist", d.Name)
	}
}

// notAllowed says where aggregates must not stand.
var notAllowed = map[place]string{
	inJoin: "JOIN conditions", inFrom: "FROM clause of their own query level", inFunction: "functions in FROM", inWhere: "WHERE", inGroup: "GROUP BY",
	inLimit: "LIMIT", inFrame: "window ROWS", inFilter: "FILTER", inValues: "VALUES", inReturning: "RETURNING", inUpdate: "UPDATE",
}

// aggregate is a call of one without OVER.
func (a *analysis) aggregate(f *pg.FuncCall, fn *function, e *expr, args []*expr, filter *expr) {
	if f.AggWithinGroup != (fn != nil && fn.agg != 'n') && fn != nil {
		if f.AggWithinGroup {
			a.refuse("42809", f.Location, "%s is not an ordered-set aggregate, so it cannot have WITHIN GROUP", lastText(f.Funcname))
		} else {
			a.refuse("42809", f.Location, "WITHIN GROUP is required for ordered-set aggregate %s", lastText(f.Funcname))
		}
	}
	if len(args) == 0 && !f.AggStar && !f.AggWithinGroup {
		a.refuse("42809", f.Location, "%s(*) must be used to call a parameterless aggregate function", lastText(f.Funcname))
	}
	a.ofAggregate(f, e, args)
	if f.AggWithinGroup {
		e.direct = args[:max(0, len(args)-len(f.AggOrder))]
	}
	e.kids = append(e.kids, filter)
	e.scope = a.levelOf(slices.DeleteFunc(slices.Clone(e.kids), func(k *expr) bool { return slices.Contains(e.direct, k) }))
	a.directOf(e)
	e.agg = true
	e.scope.grouped = true
	e.kids = slices.DeleteFunc(e.kids, func(k *expr) bool { return k == nil })
	if where := notAllowed[e.scope.place]; where != "" {
		a.refuse("42803", f.Location, "aggregate functions are not allowed in %s", where)
	}
}

// ofAggregate is ORDER BY and DISTINCT within an aggregate.
func (a *analysis) ofAggregate(f *pg.FuncCall, e *expr, args []*expr) {
	if f.AggWithinGroup {
		for i := range args {
			if i >= len(args)-len(f.AggOrder) {
				a.sorted(args[i])
			}
		}
		return
	}
	list := make([]*target, len(args))
	for i, arg := range args {
		list[i] = &target{expr: arg}
	}
	list, order := a.order(f.AggOrder, list, false, true)
	for _, t := range list[len(args):] {
		e.kids = append(e.kids, t.expr)
	}
	if !f.AggDistinct {
		return
	}
	for _, t := range order {
		if t.junk {
			a.refuse("42P10", t.at, "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list")
		}
	}
	for _, arg := range args {
		a.equality(arg.typ, arg.at)
	}
}

// directOf looks at direct arguments, which do not say of which query an aggregate is.
func (a *analysis) directOf(e *expr) {
	level := a.depth(e.scope)
	for _, arg := range e.direct {
		arg.each(func(k *expr) bool {
			switch d := a.depth(k.scope); {
			case k.variable && d >= 0 && d < level:
				a.refuse("42803", k.at, "outer-level aggregate cannot contain a lower-level variable in its direct arguments")
			case k.agg && d >= 0 && d <= level:
				a.refuse("42803", k.at, "aggregate function calls cannot be nested")
			}
			return true
		})
	}
}

// depth is how many queries are between the one that is looked at and a scope; -1: the scope is of
// a query within.
func (a *analysis) depth(s *scope) int {
	n := 0
	for p := a.scope; p != nil; p = p.parent {
		if p == s {
			return n
		}
		n++
	}
	return -1
}

// levelOf is the query that an aggregate is of: the innermost of those whose columns it names.
func (a *analysis) levelOf(kids []*expr) *scope {
	least, nested := -1, -1
	var at int32
	for _, k := range kids {
		k.each(func(e *expr) bool {
			d := -1
			if e.variable || e.agg {
				d = a.depth(e.scope)
			}
			if d >= 0 && (least < 0 || d < least) {
				least = d
			}
			if e.agg && d >= 0 && (nested < 0 || d < nested) {
				nested, at = d, e.at
			}
			return true
		})
	}
	level := max(least, 0)
	if nested >= 0 && nested == level {
		a.refuse("42803", at, "aggregate function calls cannot be nested")
	}
	s := a.scope
	for range level {
		s = s.parent
	}
	return s
}

package queryplan

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Call is CALL of a procedure.
type Call struct {
	Routine *Routine
	args    []Expr
	// From says which of the arguments that the call gives are for the columns of its result;
	// -1: none, its default is.
	From []int
}

// Args computes what the procedure is given.
func (c *Call) Args(env *Env) ([]datum.Datum, error) {
	out := make([]datum.Datum, len(c.args))
	for i, e := range c.args {
		var err error
		if out[i], err = e.Eval(env); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// call plans CALL.
func (p *Planner) call(s *pg.SelectStmt, out *Plan) error {
	f := s.GetTargetList()[0].GetResTarget().GetVal().GetFuncCall()
	c := p.compiler(nil)
	c.calling = true
	for _, a := range f.GetArgs() {
		found := false
		_ = syntax.Walk(a, func(n *pg.Node) (bool, error) {
			found = found || n.GetSubLink() != nil
			return !found, nil
		})
		if found {
			return fail("0A000", syntax.Position(f.GetLocation()), "cannot use subquery in CALL argument")
		}
	}
	name, ok := functionName(f)
	if !ok {
		return syntax.Unsupported("a name of this form in CALL", "")
	}
	var list []*Routine
	if p.Functions != nil {
		list = slices.DeleteFunc(slices.Clone(p.Functions(name)), func(r *Routine) bool { return !r.Object.Function.Procedure })
	}
	full := name.Name
	if name.Schema != "" {
		full = name.Schema + "." + full
	}
	r, args, err := c.taken(f, list, full)
	switch {
	case isSlow(err) || err == nil && !allRowFree(args):
		return syntax.Unsupported("CALL with an argument of this form", "Compute it before, and give it as a parameter.")
	case err != nil:
		return ofProcedure(err)
	}
	p.called(r)
	p.calls = true
	out.Call = &Call{Routine: r, args: args}
	if r.Void {
		return nil
	}
	out.Columns = slices.Clone(r.Columns)
	given := given(f)
	for i, param := range r.Object.Function.Parameters {
		if param.Mode == cluster.ParameterIn {
			continue
		}
		from := slices.IndexFunc(given, func(a routineArg) bool { return a.name != "" && a.name == param.Name })
		if from < 0 && i < len(given) && given[i].name == "" {
			from = i
		}
		out.Call.From = append(out.Call.From, from)
	}
	return nil
}

// ofProcedure has an error of a call tell of procedures.
func ofProcedure(err error) error {
	wrong, ok := err.(*syntax.Error) //nolint:errorlint // it is what was returned
	if !ok || wrong.Code != "42883" && wrong.Code != "42725" {
		return err
	}
	out := *wrong
	out.Message = strings.Replace(out.Message, "function ", "procedure ", 1)
	out.Hint = strings.NewReplacer("No function", "No procedure", "candidate function", "candidate procedure").Replace(out.Hint)
	return &out
}

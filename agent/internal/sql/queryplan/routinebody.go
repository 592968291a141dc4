package queryplan

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// RoutineOf describes a function to plans; ok is false if its defaults cannot be read.
func RoutineOf(f *catalog.Callable) (*Routine, bool) {
	r := &Routine{Object: f.Object, Result: f.Result}
	for _, p := range f.Args {
		arg := RoutineArg{Name: p.Name, Type: p.Type}
		if p.Default != "" {
			var err error
			if arg.Default, err = syntax.ParseExpression(p.Default); err != nil {
				return nil, false
			}
			syntax.Unplace(arg.Default)
		}
		r.Args = append(r.Args, arg)
	}
	for _, c := range f.Columns {
		r.Columns = append(r.Columns, Column{Name: c.Name, Type: c.Type, Modifier: c.Modifier, Of: c.Of})
	}
	switch f.Object.Function.Returns.Type {
	case cluster.VoidType:
		r.Void, r.Result = true, datum.Text
		r.Columns = []Column{{Name: f.Object.Name, Type: datum.Text, Modifier: -1}}
	case cluster.TriggerType:
	case cluster.RecordType, cluster.RowType:
		r.Composite = true
	default:
		r.Body = expressionBody(f)
	}
	return r, true
}

// Arguments are what a function's parameters are called in its statements.
type Arguments struct {
	function string
	names    map[string]int
	count    int
	// hidden are names that mean columns: where both could be meant, the column is.
	hidden func(name string) bool
	// Beside, if not nil, is called where names begin to mean columns of the table of INSERT.
	Beside func()
}

// ArgumentsOf are those of a function. hidden may be nil.
func ArgumentsOf(o *cluster.Object, hidden func(string) bool) *Arguments {
	out := &Arguments{function: o.Name, names: map[string]int{}, hidden: hidden}
	for i, p := range o.Function.Inputs() {
		if out.count++; p.Name != "" {
			out.names[p.Name] = i + 1
		}
	}
	return out
}

// Field satisfies syntax.Fields.
func (a *Arguments) Field(row, column string, _ int) (int, error) {
	if row != "" && row != a.function || row == "" && a.hidden != nil && a.hidden(column) {
		return 0, nil
	}
	return a.names[column], nil
}

// Row satisfies syntax.Fields.
func (a *Arguments) Row(string) []int { return nil }

// Param satisfies syntax.Fields: parameters are the arguments already.
func (a *Arguments) Param(int) int { return 0 }

// Whole satisfies syntax.Fields.
func (a *Arguments) Whole(string, string) int { return 0 }

// FromZero satisfies syntax.Fields.
func (a *Arguments) FromZero(string) bool { return false }

// BesideTarget satisfies syntax.Fields.
func (a *Arguments) BesideTarget() {
	if a.Beside != nil {
		a.Beside()
	}
}

// expressionBody is the body of a function that is one expression, which can stand where it
// is called; nil: it is more than that.
func expressionBody(callable *catalog.Callable) *pg.Node {
	o := callable.Object
	f := o.Function
	if f.Language != "sql" || f.SetOf || f.Definer || len(f.Settings) > 0 || f.Procedure || len(f.Outputs()) > 0 {
		return nil
	}
	q := onlyQuery(callable)
	if q == nil || q.Select == nil || !syntax.IsExpression(q) {
		return nil
	}
	if err := q.AsParameters(ArgumentsOf(o, nil)); err != nil {
		return nil
	}
	body := q.Select.GetTargetList()[0].GetResTarget().GetVal()
	alone := true
	_ = syntax.Walk(body, func(n *pg.Node) (bool, error) {
		call := n.GetFuncCall()
		names := call.GetFuncname()
		last := ""
		if len(names) > 0 {
			last = names[len(names)-1].GetString_().GetSval()
		}
		own := last == o.Name // it calls itself, maybe
		if n.GetSubLink() != nil || call != nil && (own || call.GetOver() != nil || call.GetAggStar() || call.GetAggFilter() != nil || len(call.GetAggOrder()) > 0 || duck.OfRows(last)) {
			alone = false
		}
		return alone, nil
	})
	if !alone {
		return nil
	}
	syntax.Unplace(body)
	return body
}

// onlyQuery is a copy of the query that is all that a function does; nil: it does more or
// something else.
func onlyQuery(f *catalog.Callable) *syntax.Query {
	if f.Body != nil {
		if len(f.Body.Statements) != 1 {
			return nil
		}
		return f.Body.Statements[0].Clone()
	}
	texts := syntax.Split(f.Object.Function.Body)
	if len(texts) != 1 {
		return nil
	}
	stmt, err := syntax.Parse(texts[0])
	if err != nil {
		return nil
	}
	q, _ := stmt.Node.(*syntax.Query)
	return q
}

package queryplan

import (
	"errors"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// SequenceCall is what a call of nextval and its like asks for.
type SequenceCall struct {
	Function string // nextval, currval, setval or lastval
	// ID is the sequence; 0: it is the one that Name names when the call is made.
	ID     cluster.ObjectID
	Name   string
	Value  int64 // of setval
	Called bool  // of setval
	// Stored says that the call is in a default, and not in a statement.
	Stored bool
}

// sequenceCall compiles a call of nextval, currval or setval.
func (c *compiler) sequenceCall(name string, n *pg.FuncCall) (Expr, error) {
	call := SequenceCall{Function: name, Stored: c.elsewhere}
	types := []datum.Type{datum.Text, datum.Int8, datum.Bool}
	given := n.GetArgs()
	if len(given) > 3 || name == "setval" && len(given) < 2 || name != "setval" && len(given) != 1 {
		return nil, noFunction(name, c.position(n.GetLocation()))
	}
	args := make([]Expr, len(given))
	for i, arg := range given {
		if i == 0 {
			var err error
			if call.ID, err = c.sequenceID(arg); err != nil {
				return nil, err
			}
			if call.ID != 0 {
				args[0] = &Const{Value: datum.MakeText("")}
				continue
			}
			if cast := arg.GetTypeCast(); cast != nil && isRegclass(cast) {
				arg = cast.GetArg()
			}
		}
		e, err := c.expr(arg)
		if err != nil {
			return nil, err
		}
		if args[i], err = coerce(e, types[i]); err != nil {
			if t := e.Type(); i != 1 || !t.IsInt() {
				return nil, err
			}
			if args[i], err = convert(e, datum.Int8, -1, datum.Assignment); err != nil {
				return nil, err
			}
		}
	}
	return &fn{typ: datum.Int8, args: args, volatile: true, strict: true, eval: func(env *Env, v []datum.Datum) (datum.Datum, error) {
		made := call
		if made.ID == 0 {
			made.Name = v[0].S
		}
		if name == "setval" {
			made.Value, made.Called = v[1].I, len(v) < 3 || v[2].Bool()
		}
		out, err := env.Session.Sequence(made)
		return datum.MakeInt(datum.Int8, out), err
	}}, nil
}

func noFunction(name string, position int) error {
	err := fail("42883", position, "function %s with these arguments does not exist", name)
	err.Hint = "Write nextval('name'), currval('name') or setval('name', number [, is_called])."
	return err
}

func isRegclass(cast *pg.TypeCast) bool {
	names := cast.GetTypeName().GetNames()
	return len(names) > 0 && names[len(names)-1].GetString_().GetSval() == "regclass"
}

// sequenceID finds the sequence that a constant names; 0: it is none.
func (c *compiler) sequenceID(arg *pg.Node) (cluster.ObjectID, error) {
	if c.elsewhere {
		if id, ok := syntax.SequenceID(arg); ok {
			return cluster.ObjectID(id), nil
		}
	}
	text, ok := syntax.SequenceText(arg)
	if !ok || c.sequence == nil {
		return 0, nil
	}
	name, err := syntax.RelationName(text)
	if err != nil {
		return 0, at(err, c.position(location(arg)))
	}
	name.Position = c.position(location(arg))
	return c.sequence(name)
}

func lastval() Expr {
	return &fn{typ: datum.Int8, volatile: true, eval: func(env *Env, _ []datum.Datum) (datum.Datum, error) {
		out, err := env.Session.Sequence(SequenceCall{Function: "lastval"})
		return datum.MakeInt(datum.Int8, out), err
	}}
}

// serialSequence compiles pg_get_serial_sequence(table, column).
func serialSequence(args []Expr) (Expr, error) {
	for i := range args {
		var err error
		if args[i], err = coerce(args[i], datum.Text); err != nil {
			return nil, err
		}
	}
	return &fn{typ: datum.Text, args: args, volatile: true, strict: true, eval: func(env *Env, v []datum.Datum) (datum.Datum, error) {
		out, err := env.Session.SerialSequence(v[0].S, v[1].S)
		if out == "" {
			return datum.MakeNull(datum.Text), err
		}
		return datum.MakeText(out), err
	}}, nil
}

// Computing is a query of the slow path some columns of which Go computes, for each row
// anew: the engine runs beside the node, and has no sequences.
type Computing struct {
	duck.Prepared
	computed map[int]Expr // by column
	outside               // what is computed before the query begins
}

// Compute has the rows of the query go to emit with what Go computes of them.
func (c *Computing) Compute(env *Env, emit func([]datum.Datum) error) func([]datum.Datum) error {
	var out []datum.Datum
	if len(c.computed) == 0 {
		return emit
	}
	return func(row []datum.Datum) error {
		out = append(out[:0], row...)
		for i := range out {
			e, ok := c.computed[i]
			if !ok {
				continue
			}
			var err error
			if out[i], err = e.Eval(env); err != nil {
				return err
			}
		}
		return emit(out)
	}
}

// computedMark begins the name that a column has in the slow path which Go computes.
const computedMark = "nodedb computed "

// takeComputed has a query of the slow path select null in the place of what calls
// sequences. names are those of the columns, computed what they are, both by their mark.
func (p *Planner) takeComputed(s *pg.SelectStmt) (out *pg.SelectStmt, names map[string]string, computed map[string]Expr, err error) {
	if !syntax.HasSequenceCall(s) {
		return s, nil, nil, nil
	}
	s = oneRow(proto.CloneOf(s))
	if len(s.GetDistinctClause())+len(s.GetGroupClause()) > 0 || s.GetHavingClause() != nil || s.GetOp() != pg.SetOperation_SETOP_NONE {
		return nil, nil, nil, errSequenceHere()
	}
	names, computed = map[string]string{}, map[string]Expr{}
	for i, n := range s.GetTargetList() {
		target := n.GetResTarget()
		if !syntax.HasSequenceCall(target.GetVal()) {
			continue
		}
		e, err := p.compiler(nil).expr(target.GetVal())
		if isSlow(err) || err != nil && len(s.GetFromClause()) > 0 && isUnknownColumn(err) {
			return nil, nil, nil, errSequenceHere()
		}
		if err != nil {
			return nil, nil, nil, err
		}
		mark := computedMark + strconv.Itoa(i)
		if names[mark] = target.GetName(); names[mark] == "" {
			names[mark] = outputName(target.GetVal())
		}
		computed[mark] = e
		target.Name, target.Val = mark, &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Isnull: true}}}
	}
	if syntax.HasSequenceCall(s) {
		return nil, nil, nil, errSequenceHere()
	}
	return s, names, computed, nil
}

// isUnknownColumn reports whether an expression needs a column of the row.
func isUnknownColumn(err error) bool {
	var e *syntax.Error
	return errors.As(err, &e) && e.Code == "42703"
}

func errSequenceHere() error {
	return &syntax.Error{Code: "0A000", Message: "nextval and the like are not supported in this place of such a query",
		Hint: "Call them in the SELECT list of the outermost query, without columns in the same expression and without DISTINCT, GROUP BY and UNION."}
}

// oneRow makes a SELECT of VALUES with one row.
func oneRow(s *pg.SelectStmt) *pg.SelectStmt {
	lists := s.GetValuesLists()
	if len(lists) != 1 {
		return s
	}
	for _, item := range lists[0].GetList().GetItems() {
		if item.GetSetToDefault() != nil {
			return s
		}
	}
	for _, item := range lists[0].GetList().GetItems() {
		s.TargetList = append(s.TargetList, &pg.Node{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Val: item}}})
	}
	s.ValuesLists = nil
	return s
}

// computedColumns finds the columns that takeComputed has marked, and gives them their
// names and types.
func computedColumns(prepared duck.Prepared, columns []Column, names map[string]string, computed map[string]Expr) duck.Prepared {
	out := &Computing{Prepared: prepared, computed: map[int]Expr{}}
	for i := range columns {
		if e, ok := computed[columns[i].Name]; ok {
			out.computed[i] = e
			columns[i] = Column{Name: names[columns[i].Name], Type: e.Type(), Modifier: -1}
		}
	}
	return out
}

// textually has what has no type of its own be text.
func textually(computed map[string]Expr) error {
	for mark, e := range computed {
		if e.Type() != datum.Unknown {
			continue
		}
		out, err := coerce(e, datum.Text)
		if err != nil {
			return err
		}
		computed[mark] = out
	}
	return nil
}

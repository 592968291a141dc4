package queryplan

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// outside is what the node computes for a query of the slow path before that begins: calls
// that the session carries out, for the engine runs beside the node and calls nothing
// there, and long lists, which the engine takes seconds to read as a text.
type outside struct {
	before []Expr // parameters behind those of the statement
	scans  []*RoutineScan
	values []*valuesScan
	params int // of the statement
}

func (o *outside) empty() bool { return len(o.before)+len(o.scans)+len(o.values) == 0 }

// types are those of the parameters with those behind them.
func (o *outside) types(params []datum.Type) []datum.Type {
	if len(o.before) == 0 {
		return params
	}
	for len(params) < o.params {
		params = append(params, datum.Unknown)
	}
	for _, e := range o.before {
		params = append(params, e.Type())
	}
	return params
}

// number has a parameter stand for a value that is computed before.
func (o *outside) number(e Expr) *pg.Node {
	o.before = append(o.before, e)
	ref := &pg.ParamRef{Number: int32(o.params + len(o.before)), Location: -1} //nolint:gosec // a few
	return CastTo(&pg.Node{Node: &pg.Node_ParamRef{ParamRef: ref}}, e.Type())
}

// countParams has those of the statement be as many as it names.
func (o *outside) countParams(s *pg.SelectStmt) {
	_ = syntax.WalkQuery(s, func(n *pg.Node) (bool, error) {
		if ref := n.GetParamRef(); ref != nil {
			o.params = max(o.params, int(ref.GetNumber()))
		}
		return true, nil
	})
}

// with has the query be one for which something is computed before.
func (o *outside) with(prepared duck.Prepared) duck.Prepared {
	out, ok := prepared.(*Computing)
	if !ok {
		out = &Computing{Prepared: prepared}
	}
	out.outside = *o
	return out
}

// Before computes what has to be there before the query begins: the arguments with those
// that stand behind them, and the rows of tables in FROM, by their Ref.
func (c *Computing) Before(env *Env, rows func(*Routine, []datum.Datum) ([][]datum.Datum, error)) ([]datum.Datum, map[any][][]datum.Datum, error) {
	args := env.Args
	if len(c.before) > 0 {
		args = append(make([]datum.Datum, 0, c.params+len(c.before)), args...)
		for _, e := range c.before {
			v, err := e.Eval(env)
			if err != nil {
				return nil, nil, err
			}
			args = append(args, v)
		}
	}
	out := map[any][][]datum.Datum{}
	for _, scan := range c.scans {
		given, err := evalAll(env, scan.args)
		if err != nil {
			return nil, nil, err
		}
		if out[scan], err = rows(scan.Routine, given); err != nil {
			return nil, nil, err
		}
	}
	for _, scan := range c.values {
		list := make([][]datum.Datum, len(scan.rows))
		for i, row := range scan.rows {
			var err error
			if list[i], err = evalAll(env, row); err != nil {
				return nil, nil, err
			}
		}
		out[scan] = list
	}
	return args, out, nil
}

func evalAll(env *Env, list []Expr) ([]datum.Datum, error) {
	out := make([]datum.Datum, len(list))
	for i, e := range list {
		var err error
		if out[i], err = e.Eval(env); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// valuesScan is a VALUES of many rows.
type valuesScan struct {
	rows  [][]Expr
	table *duck.Table
}

// valuesSchema is the schema in which such lists stand by their numbers.
const valuesSchema = "#values"

// manyRows is how long a list is that the engine does not read as a text: it takes a row
// of a tenth of a millisecond, and a table costs as much as some ten.
const manyRows = 64

// takeLists has long lists, of constants and parameters, be tables and parameters.
func (p *Planner) takeLists(s *pg.SelectStmt, out *outside) (*pg.SelectStmt, error) {
	if !hasLongList(s) {
		return s, nil
	}
	s = proto.CloneOf(s)
	out.countParams(s)
	syntax.EachSelect(s, func(block *pg.SelectStmt) {
		if len(block.GetValuesLists()) >= manyRows {
			p.takeValues(block, out)
		}
	})
	err := syntax.WalkQuery(s, func(n *pg.Node) (bool, error) {
		if t := n.GetResTarget(); t != nil && t.GetName() == "" && hasLongArray(t.GetVal()) {
			t.Name = outputName(t.GetVal())
		}
		if list := n.GetAArrayExpr().GetElements(); len(list) >= manyRows {
			if e := p.constantList(n); e != nil {
				n.Node = out.number(e).GetNode()
				return false, nil
			}
		}
		return true, nil
	})
	return s, err
}

func hasLongList(s *pg.SelectStmt) bool {
	if len(s.GetValuesLists()) >= manyRows {
		return true
	}
	found := false
	_ = syntax.WalkQuery(s, func(n *pg.Node) (bool, error) {
		found = found || len(n.GetAArrayExpr().GetElements()) >= manyRows || len(n.GetSelectStmt().GetValuesLists()) >= manyRows
		return !found, nil
	})
	return found
}

func hasLongArray(n *pg.Node) bool {
	found := false
	_ = syntax.Walk(n, func(n *pg.Node) (bool, error) {
		found = found || len(n.GetAArrayExpr().GetElements()) >= manyRows
		return !found, nil
	})
	return found
}

// constantList compiles an array that is the same for each row; nil: it is not.
func (p *Planner) constantList(n *pg.Node) Expr {
	e, err := p.compiler(nil).expr(n)
	if err != nil || !rowFree(e) || !listed(e.Type().Elem()) {
		return nil
	}
	return e
}

// takeValues has a VALUES be a table; it stays what it is if there is more in it.
func (p *Planner) takeValues(s *pg.SelectStmt, out *outside) {
	width := len(s.GetValuesLists()[0].GetList().GetItems())
	columns := make([][]Expr, width)
	for _, row := range s.GetValuesLists() {
		items := row.GetList().GetItems()
		if len(items) != width {
			return
		}
		for k, n := range items {
			e, err := p.compiler(nil).expr(n)
			if err != nil || !rowFree(e) {
				return
			}
			columns[k] = append(columns[k], e)
		}
	}
	scan := &valuesScan{rows: make([][]Expr, len(s.GetValuesLists())), table: &duck.Table{Schema: valuesSchema, Name: strconv.Itoa(len(p.values)), Rows: int64(len(s.GetValuesLists())), InOrder: true}}
	scan.table.Ref = scan
	var targets []*pg.Node
	for k := range columns {
		column, t, err := unify(columns[k])
		if err != nil || !listed(t) {
			return
		}
		for i, e := range column {
			scan.rows[i] = append(scan.rows[i], e)
		}
		name := "column" + strconv.Itoa(k+1)
		scan.table.Columns = append(scan.table.Columns, duck.TableColumn{Name: name, Type: t, Modifier: -1})
		targets = append(targets, pg.MakeResTargetNodeWithVal(pg.MakeColumnRefNode([]*pg.Node{stringNode(name)}, -1), -1))
	}
	out.values = append(out.values, scan)
	p.values = append(p.values, scan)
	s.ValuesLists, s.TargetList = nil, targets
	s.FromClause = []*pg.Node{{Node: &pg.Node_RangeVar{RangeVar: &pg.RangeVar{Schemaname: valuesSchema, Relname: scan.table.Name, Inh: true, Relpersistence: "p", Location: -1}}}}
}

// listed reports whether lists of values of a type go to the engine as they are.
func listed(t datum.Type) bool {
	switch t {
	case datum.Bool, datum.Int2, datum.Int4, datum.Int8, datum.Float4, datum.Float8, datum.Text, datum.UUID, datum.Date, datum.Timestamp, datum.Timestamptz, datum.Bytea:
		return true
	default:
		return false
	}
}

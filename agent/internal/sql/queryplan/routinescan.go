package queryplan

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// RoutineScan is a call of a function in FROM. Its rows are there before the query begins.
type RoutineScan struct {
	Routine *Routine
	args    []Expr
	table   *duck.Table
	// rows is the name by which a function goes that gives rows in a column; "": it does not.
	rows string
}

// routineSchema is the schema in which calls in FROM stand by their numbers.
const routineSchema = "#call"

// takeRoutines has calls that the session carries out be tables in FROM, and parameters
// elsewhere.
func (p *Planner) takeRoutines(s *pg.SelectStmt, out *outside) (*pg.SelectStmt, error) {
	s = p.takeViews(s)
	if p.Functions == nil || !p.callsRoutines(s) {
		return s, nil
	}
	s = proto.CloneOf(s)
	out.countParams(s)
	before := len(out.before)
	err := syntax.WalkQuery(s, func(n *pg.Node) (bool, error) {
		if f := n.GetRangeFunction(); f != nil {
			return true, p.takeScan(n, f, out)
		}
		return true, nil
	})
	for _, scan := range out.scans {
		if err == nil && scan.rows != "" {
			err = scan.takeFields(s)
		}
	}
	if err != nil {
		return nil, err
	}
	err = syntax.WalkQuery(s, func(n *pg.Node) (bool, error) {
		f := n.GetFuncCall()
		if f == nil {
			return true, nil
		}
		e := p.constantCall(f)
		if e == nil {
			return true, nil
		}
		n.Node = out.number(e).GetNode()
		return false, nil
	})
	p.calls = p.calls || len(out.before) > before || len(out.scans) > 0
	return s, err
}

// callsRoutines reports whether a query calls a function that somebody has made.
func (p *Planner) callsRoutines(s *pg.SelectStmt) bool {
	c := p.compiler(nil)
	found := false
	_ = syntax.WalkQuery(s, func(n *pg.Node) (bool, error) {
		if f := n.GetFuncCall(); f != nil && !found {
			list, _ := c.routines(f)
			found = len(list) > 0
		}
		return !found, nil
	})
	return found
}

// constantCall compiles a call that has one value for the whole statement, and is no
// expression; nil: it is something else.
func (p *Planner) constantCall(f *pg.FuncCall) Expr {
	calls := false
	c := p.compiler(nil)
	c.calls = &calls
	if list, _ := c.routines(f); len(list) == 0 {
		return nil
	}
	e, err := c.routine(f)
	if err != nil || e == nil || !calls || !rowFree(e) {
		return nil // what is wrong is told where it is put in
	}
	return e
}

// takeScan has a call in FROM be a table.
func (p *Planner) takeScan(n *pg.Node, rf *pg.RangeFunction, out *outside) error {
	if len(rf.GetFunctions()) != 1 || rf.GetIsRowsfrom() {
		return nil
	}
	f := rf.GetFunctions()[0].GetList().GetItems()[0].GetFuncCall()
	c := p.compiler(nil)
	list, name := c.routines(f)
	if f == nil || len(list) == 0 {
		return nil
	}
	position := syntax.Position(f.GetLocation())
	if rf.GetOrdinality() || len(rf.GetColdeflist()) > 0 {
		return fail("0A000", position, "WITH ORDINALITY and column definitions of function %s are not supported", name)
	}
	r, args, err := c.taken(f, list, name)
	if isSlow(err) || err == nil && !allRowFree(args) || isUnknownColumn(err) {
		return fail("0A000", position, "a call of function %s in FROM with anything but constants and parameters is not supported", name)
	}
	if err != nil {
		return err
	}
	if !r.Composite && len(r.Columns) == 1 && r.Columns[0].Type.IsComposite() {
		err := fail("0A000", position, "function %s in FROM, which gives a composite type, is not supported", name)
		err.Hint = "Select its fields: SELECT (" + name + "(...)).*."
		return err
	}
	p.called(r)
	alias := rf.GetAlias()
	if alias == nil {
		alias = &pg.Alias{Aliasname: r.Object.Name}
	}
	scan := &RoutineScan{Routine: r, args: args, table: &duck.Table{Schema: routineSchema, Name: strconv.Itoa(len(out.scans)), InOrder: true}}
	scan.table.Ref = scan
	for _, column := range r.Columns {
		if !r.Composite && column.Name == r.Object.Name {
			column.Name = alias.GetAliasname()
		}
		if column.Of != "" {
			scan.rows = alias.GetAliasname()
			column.Name = column.Of + "." + column.Name
		}
		scan.table.Columns = append(scan.table.Columns, duck.TableColumn{Name: column.Name, Type: column.Type, Modifier: column.Modifier})
	}
	if len(scan.table.Columns) == 0 {
		return fail("42601", position, "a column definition list is required for functions returning \"record\"")
	}
	out.scans = append(out.scans, scan)
	p.scans = out.scans
	n.Node = &pg.Node_RangeVar{RangeVar: &pg.RangeVar{Schemaname: routineSchema, Relname: scan.table.Name, Alias: alias, Inh: true, Relpersistence: "p", Location: -1}}
	return nil
}

// takeFields has the fields of rows that a function gives in a column, (f.r).a, be columns.
// The rows as a whole are none.
func (r *RoutineScan) takeFields(s *pg.SelectStmt) error {
	syntax.EachSelect(s, func(block *pg.SelectStmt) {
		var list []*pg.Node
		for _, n := range block.GetTargetList() {
			of, field := r.field(n.GetResTarget().GetVal())
			if of == "" || field != "*" {
				list = append(list, n)
				continue
			}
			for _, c := range r.Routine.Columns {
				if c.Of == of {
					list = append(list, &pg.Node{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Name: c.Name, Val: r.column(of, c.Name)}}})
				}
			}
		}
		block.TargetList = list
		for _, n := range list {
			if t := n.GetResTarget(); t != nil && t.GetName() == "" {
				if _, field := r.field(t.GetVal()); field != "" {
					t.Name = field
				}
			}
		}
	})
	return syntax.WalkQuery(s, func(n *pg.Node) (bool, error) {
		if of, field := r.field(n); of != "" && field != "*" {
			n.Node = r.column(of, field).GetNode()
			return false, nil
		}
		ref := n.GetColumnRef()
		if ref == nil {
			return true, nil
		}
		last := ref.GetFields()[len(ref.GetFields())-1]
		whole := last.GetAStar() != nil && (len(ref.GetFields()) == 1 || ref.GetFields()[0].GetString_().GetSval() == r.rows)
		for _, c := range r.Routine.Columns {
			whole = whole || c.Of != "" && last.GetString_().GetSval() == c.Of
		}
		if whole {
			return false, fail("0A000", syntax.Position(ref.GetLocation()), "a row in a column of function %s is not supported: name its fields", r.Routine.Object.Name)
		}
		return true, nil
	})
}

// field is (f.r).a, the field of a row in a column; of is "" if n is not.
func (r *RoutineScan) field(n *pg.Node) (of, field string) {
	i := n.GetAIndirection()
	fields := i.GetArg().GetColumnRef().GetFields()
	if len(i.GetIndirection()) != 1 || len(fields) == 0 || len(fields) == 2 && fields[0].GetString_().GetSval() != r.rows || len(fields) > 2 {
		return "", ""
	}
	column := fields[len(fields)-1].GetString_().GetSval()
	for _, c := range r.Routine.Columns {
		if c.Of == "" || c.Of != column {
			continue
		}
		if i.GetIndirection()[0].GetAStar() != nil {
			return column, "*"
		}
		return column, i.GetIndirection()[0].GetString_().GetSval()
	}
	return "", ""
}

// column is the column that stands for a field.
func (r *RoutineScan) column(of, field string) *pg.Node {
	return &pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{Fields: []*pg.Node{stringNode(r.rows), stringNode(of + "." + field)}, Location: -1}}}
}

func allRowFree(list []Expr) bool {
	for _, e := range list {
		if !rowFree(e) {
			return false
		}
	}
	return true
}

// scanned finds a call in FROM, or a list.
func (p *Planner) scanned(schema, name string) (*duck.Table, bool) {
	i, err := strconv.Atoi(name)
	switch {
	case err != nil:
	case schema == routineSchema && i < len(p.scans):
		return p.scans[i].table, true
	case schema == valuesSchema && i < len(p.values):
		return p.values[i].table, true
	}
	return nil, false
}

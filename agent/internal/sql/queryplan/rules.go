package queryplan

import (
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Rules are what each row of a table has to be, beside that some columns are not null.
type Rules struct {
	// Generated computes the generated columns from the others.
	Generated []Assignment
	// Domains are what values of columns of domains have to be.
	Domains []DomainColumn
	// Checks are in the order in which they are looked at.
	Checks []Check
	// Options are those of the views by which the row is written: each is true.
	Options []Check
	// Policies are those of row level security.
	Policies []RowCheck
	// Entries are of the indexes.
	Entries []*Entries
	// Conversion is what rows become, once columns are of other types; nil: they stay.
	Conversion *Conversion
	// Uses are the functions of users that all of them call.
	Uses Uses
}

// Check is a CHECK constraint: it holds unless its value is false.
type Check struct {
	Name  string
	Value Expr
}

// RulesOf returns the rules of a table. They are compiled once.
func RulesOf(table *catalog.Table) (*Rules, error) {
	kept, err := table.Keep(func() (any, error) { return compileRules(table) })
	if err != nil {
		return nil, err
	}
	return kept.(*Rules), nil //nolint:forcetypeassert // it is what was computed
}

func compileRules(table *catalog.Table) (*Rules, error) {
	out := &Rules{}
	for i, column := range table.Columns {
		if column.User != nil && column.User.Domain != nil {
			d, err := CompileDomain(column.User, column.UserSchema)
			if err != nil {
				return nil, err
			}
			out.Domains = append(out.Domains, DomainColumn{Column: i, Domain: d})
		}
		if column.Generated == "" {
			continue
		}
		node, err := syntax.ParseExpression(column.Generated)
		if err != nil {
			return nil, err
		}
		e, err := out.kept(table).generated(table, i, node)
		if err != nil {
			return nil, err
		}
		out.Generated = append(out.Generated, Assignment{Column: i, Value: e})
	}
	for _, k := range table.Desc.Collection.Checks {
		node, err := syntax.ParseExpression(k.Expression)
		if err != nil {
			return nil, err
		}
		e, err := out.kept(table).check(node)
		if err != nil {
			return nil, err
		}
		out.Checks = append(out.Checks, Check{Name: k.Name, Value: e})
	}
	for _, x := range table.Indexes {
		e, err := entriesOf(x, &out.Uses)
		if err != nil {
			return nil, err
		}
		out.Entries = append(out.Entries, e)
	}
	var err error
	out.Conversion, err = compileConversion(table)
	return out, err
}

// kept compiles expressions that are kept: in them, constants have the types of what they
// meet, and nothing is named that users may rename.
func kept(s *scope) *compiler {
	return &compiler{scope: s, params: &Params{}, elsewhere: true, kept: true}
}

// kept compiles those of a table.
func (r *Rules) kept(table *catalog.Table) *compiler {
	c := kept(tableScope(table, ""))
	c.functions = keptCalls(table.Functions)
	return r.Uses.by(c)
}

// Finder finds what an expression in a statement names.
type Finder struct {
	Type      func(syntax.TypeName) (catalog.Resolved, error)
	Functions RoutineFinder
}

// written compiles expressions that stand in a statement.
func written(s *scope, find Finder) *compiler {
	return &compiler{scope: s, params: &Params{}, typ: find.Type, functions: find.Functions}
}

// check compiles the expression of a CHECK.
func (c *compiler) check(node *pg.Node) (Expr, error) {
	if err := syntax.OfOneRow(node, syntax.InCheck); err != nil {
		return nil, err
	}
	e, err := c.expr(node)
	if err == nil {
		if t := e.Type(); t != datum.Bool && t != datum.Unknown {
			return nil, fail("42804", c.position(location(node)), "argument of CHECK must be type boolean, not type %s", t.SQLName())
		}
		e, err = c.condition(e, node)
	}
	if err == nil {
		err = ofOneZone(e)
	}
	if isSlow(err) {
		if err := c.unknownFunction(node); err != nil {
			return nil, err
		}
		out := syntax.Unsupported("this expression in CHECK", "Simple expressions of the row are, such as comparisons, IN, BETWEEN, LIKE and length().")
		out.Position = c.position(location(node))
		return nil, out
	}
	return e, err
}

// generated compiles what computes the column of a table with the index.
func (c *compiler) generated(table *catalog.Table, index int, node *pg.Node) (Expr, error) {
	if err := syntax.OfOneRow(node, syntax.InGenerated); err != nil {
		return nil, err
	}
	column := table.Columns[index]
	e, err := c.expr(node)
	if isSlow(err) {
		if err := c.unknownFunction(node); err != nil {
			return nil, err
		}
		out := syntax.Unsupported("this expression of a generated column", "Simple expressions of the row are.")
		out.Position = c.position(location(node))
		return nil, out
	}
	if err != nil {
		return nil, err
	}
	if err := fromGiven(table, node, c); err != nil {
		return nil, err
	}
	if err := ofOneZone(e); err != nil {
		return nil, err
	}
	if !immutable(e) {
		return nil, fail("42P17", 0, "generation expression is not immutable")
	}
	from := e.Type()
	if e, err = convert(e, column.Type, column.Modifier, datum.Assignment); isSlow(err) {
		out := fail("42804", 0, "column %q is of type %s but default expression is of type %s", column.Name, column.Type.SQLName(), from.SQLName())
		out.Hint = "You will need to rewrite or cast the expression."
		return nil, out
	}
	if err == nil && !immutable(e) {
		return nil, fail("42P17", 0, "generation expression is not immutable")
	}
	return e, err
}

// fromGiven refuses a generated column that is computed from another one.
func fromGiven(table *catalog.Table, node *pg.Node, c *compiler) error {
	var wrong *syntax.Error
	syntax.EachColumn(node, func(r *pg.ColumnRef) {
		name := r.GetFields()[len(r.GetFields())-1].GetString_().GetSval()
		if i, ok := table.ColumnIndex(name); ok && table.Columns[i].Generated != "" && wrong == nil {
			wrong = fail("42P17", c.position(r.GetLocation()), "cannot use generated column %q in column generation expression", name)
			wrong.Detail = "A generated column cannot reference another generated column."
		}
	})
	if wrong != nil {
		return wrong
	}
	return nil
}

// ofOneZone refuses a literal that is another time in another time zone: PostgreSQL takes
// that of the session that has written it, which the text does not tell.
func ofOneZone(e Expr) error {
	return eachReading(e, func(f *fn) error {
		here, err := f.Eval(&Env{})
		if err != nil {
			return err
		}
		const away = 13 * 3600
		there, err := f.Eval(&Env{Session: &Session{Location: time.FixedZone("", away)}})
		if err == nil && datum.Compare(here, there) != 0 {
			err = &syntax.Error{Code: "0A000", Message: "a time without its time zone is not supported here", Hint: "Write it with its zone, as in '2026-01-31 12:00:00+00'."}
		}
		return err
	})
}

// ofOneReading refuses a literal that only the session can read, as 'today' and '02/01/2024'.
func ofOneReading(e Expr) error {
	return eachReading(e, func(f *fn) error {
		_, err := f.Eval(&Env{})
		return err
	})
}

// eachReading calls check with each literal that is read when e is computed.
func eachReading(e Expr, check func(*fn) error) error {
	if f, ok := e.(*fn); ok && f.routine == nil && f.stable && len(f.args) == 1 && isConst(f.args[0]) {
		return check(f)
	}
	for _, c := range children(e) {
		if err := eachReading(c, check); err != nil {
			return err
		}
	}
	return nil
}

// immutable reports whether e has the same value whenever and for whomever it is computed
// from the same row.
func immutable(e Expr) bool {
	f, ok := e.(*fn)
	switch {
	case ok && f.routine != nil: // as its maker says
		if f.routine.Object.Function.Volatility != "immutable" {
			return false
		}
		ok = false
	case ok && f.stable && len(f.args) == 1 && isConst(f.args[0]):
		return true // a literal, of one value: ofOneZone
	}
	if ok && (f.volatile || f.stable || len(f.args) == 0) {
		return false
	}
	for _, c := range children(e) {
		if !immutable(c) {
			return false
		}
	}
	return true
}

// Sound says what is wrong with the expressions of a table. Those of the columns and
// constraints that stand in the statement are told with their positions.
func Sound(table *catalog.Table, columns []syntax.ColumnDef, constraints []syntax.Constraint, find Finder) error {
	c := written(tableScope(table, ""), find)
	for i := range columns {
		d := &columns[i]
		index, ok := table.ColumnIndex(d.Name)
		if !ok || d.GeneratedNode == nil {
			continue
		}
		if _, err := c.generated(table, index, d.GeneratedNode); err != nil {
			return err
		}
	}
	for i := range constraints {
		k := &constraints[i]
		if k.Kind != syntax.Check || k.Node == nil {
			continue
		}
		if _, err := c.check(k.Node); err != nil {
			return err
		}
	}
	for _, column := range table.Columns {
		e, err := CompileDefault(column, &Uses{})
		if err == nil {
			err = ofOneZone(e)
		}
		if err != nil {
			return err
		}
	}
	_, err := RulesOf(table)
	return err
}

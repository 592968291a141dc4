package queryplan

import (
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Entries computes the entries of rows in one index.
type Entries struct {
	Index *catalog.Index
	// exprs are what the index is over; where is nil for all rows.
	exprs []Expr
	where Expr
	// inverted, if not nil, says that there is an entry of each item of the value.
	inverted *inverted
}

// EntriesOf are what writers of rows keep of the indexes of a table.
func EntriesOf(table *catalog.Table) ([]*Entries, error) {
	rules, err := RulesOf(table)
	if err != nil {
		return nil, err
	}
	return rules.Entries, nil
}

func entriesOf(x *catalog.Index, uses *Uses) (*Entries, error) {
	e := &Entries{Index: x}
	r := relation{table: x.Table}
	if x.Desc.Method == cluster.InvertedMethod {
		var err error
		if e, err = invertedOf(x, uses); err != nil {
			return nil, err
		}
	}
	for _, c := range x.Columns[len(e.exprs):] {
		if c.Column >= 0 {
			e.exprs = append(e.exprs, r.ref(c.Column))
			continue
		}
		expr, err := indexExpr(x.Table, c.Expression, uses)
		if err != nil {
			return nil, err
		}
		if t := expr.Type(); !t.Ordered() {
			return nil, fail("42704", 0, "data type %s has no default operator class for access method \"btree\"", t.SQLName())
		}
		e.exprs = append(e.exprs, expr)
	}
	if x.Desc.Where == "" {
		return e, nil
	}
	var err error
	e.where, err = indexExpr(x.Table, x.Desc.Where, uses)
	if err == nil && e.where.Type() != datum.Bool {
		err = fail("42804", 0, "argument of WHERE must be type boolean, not type %s", e.where.Type().SQLName())
	}
	return e, err
}

// indexExpr compiles what an index is over, or of which rows.
func indexExpr(table *catalog.Table, text string, uses *Uses) (Expr, error) {
	node, err := syntax.ParseExpression(text)
	if err != nil {
		return nil, err
	}
	if err := syntax.OfOneRow(node, syntax.InIndex); err != nil {
		return nil, err
	}
	c := kept(tableScope(table, ""))
	c.functions = keptCalls(table.Functions)
	uses.by(c)
	e, err := c.expr(node)
	switch {
	case isSlow(err):
		if err := c.unknownFunction(node); err != nil {
			return nil, err
		}
		return nil, syntax.Unsupported("this expression of an index", "Simple expressions of the columns are.")
	case err != nil:
		return nil, err
	case len(c.params.Types) > 0:
		return nil, fail("42P02", 0, "there is no parameter $1")
	}
	if e.Type() == datum.Unknown {
		if e, err = coerce(e, datum.Text); err != nil {
			return nil, err
		}
	}
	if !immutable(e) {
		return nil, fail("42P17", 0, "functions in index expression must be marked IMMUTABLE")
	}
	return e, nil
}

// CheckIndex refuses an index over what cannot be computed.
func CheckIndex(x *catalog.Index) error {
	e, err := entriesOf(x, &Uses{})
	if err != nil {
		return err
	}
	for _, of := range e.exprs {
		if err := ofOneZone(of); err != nil {
			return err
		}
	}
	if e.where != nil { // or each session had rows of its own in it
		return ofOneZone(e.where)
	}
	return nil
}

// Of computes the values of a row's entry; ok is false if it has none.
func (e *Entries) Of(env *Env, row []datum.Datum) (values []datum.Datum, ok bool, err error) {
	env.Row = row
	if e.where != nil {
		v, err := e.where.Eval(env)
		if err != nil || !v.Bool() {
			return nil, false, err
		}
	}
	values = make([]datum.Datum, len(e.exprs))
	for i, x := range e.exprs {
		if values[i], err = x.Eval(env); err != nil {
			return nil, false, fmt.Errorf("compute an entry of index %q: %w", e.Index.Name(), err)
		}
	}
	return values, true, nil
}

// changedBy reports whether setting the columns may change entries.
func (e *Entries) changedBy(columns []int) bool {
	used := make([]bool, len(e.Index.Table.Columns))
	for _, x := range e.exprs {
		markColumns(x, used)
	}
	if e.where != nil {
		markColumns(e.where, used)
	}
	for _, c := range columns {
		if used[c] || e.Index.Over(c) || e.Index.Table.IsKey(c) {
			return true
		}
	}
	return false
}

// entriesChangedBy are those of the table's indexes whose entries may change with the
// columns, and those that are generated.
func entriesChangedBy(table *catalog.Table, columns []int) ([]*Entries, error) {
	rules, err := RulesOf(table)
	if err != nil {
		return nil, err
	}
	all := rules.Entries
	for _, g := range rules.Generated {
		columns = append(slices.Clone(columns), g.Column)
	}
	var out []*Entries
	for _, e := range all {
		if e.changedBy(columns) {
			out = append(out, e)
		}
	}
	return out, nil
}

// Adds reports whether writers add entries.
func (e *Entries) Adds() bool { return e.Index.Desc.State != cluster.ElementDeleteOnly }

// Adding are the indexes that get entries of new rows.
func (i *Insert) Adding() []*Entries {
	if !slices.ContainsFunc(i.Entries, func(e *Entries) bool { return !e.Adds() }) {
		return i.Entries
	}
	return slices.DeleteFunc(slices.Clone(i.Entries), func(e *Entries) bool { return !e.Adds() })
}

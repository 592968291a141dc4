package queryplan

import (
	"fmt"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Conversion computes what rows of a table become whose columns become of other types. It is
// the same for everybody who computes it: the time zone and the time are its own.
type Conversion struct {
	table, next *catalog.Table
	sets        []Assignment
	notNull     []int // of sets
	rules       *Rules
	session     Session
	moment      time.Time
}

// compileConversion compiles that of a table; nil: its columns stay as they are.
func compileConversion(table *catalog.Table) (*Conversion, error) {
	if table.Next == nil {
		return nil, nil
	}
	out := &Conversion{table: table, next: table.Next}
	for _, k := range table.Desc.Collection.Converts() {
		index := 0
		for i := range table.Columns {
			if table.Columns[i].ID == k.Column {
				index = i
			}
		}
		e, err := converted(table, index, &k)
		if err != nil {
			return nil, err
		}
		zone, err := datum.LoadZone(k.Zone)
		if err != nil {
			zone = time.UTC
		}
		out.session.Location, out.moment = zone, time.UnixMicro(k.Moment)
		out.sets = append(out.sets, Assignment{Column: index, Value: e})
		if table.Columns[index].NotNull {
			out.notNull = append(out.notNull, index)
		}
		if err := defaultBecomes(&table.Columns[index], &table.Next.Columns[index]); err != nil {
			return nil, err
		}
	}
	for _, column := range table.Next.Columns {
		if _, err := CompileDefault(column, &Uses{}); err != nil {
			return nil, err
		}
	}
	rules, err := RulesOf(table.Next)
	out.rules = rules
	return out, err
}

// converted compiles what computes a column of another type.
func converted(table *catalog.Table, index int, k *cluster.Conversion) (Expr, error) {
	was, is := &table.Columns[index], &table.Next.Columns[index]
	c := kept(tableScope(table, ""))
	r := relation{table: table}
	var e Expr = r.ref(index)
	if k.Using != "" {
		node, err := syntax.ParseExpression(k.Using)
		if err == nil {
			err = syntax.OfOneRow(node, syntax.InTransform)
		}
		if err != nil {
			return nil, err
		}
		if e, err = c.expr(node); isSlow(err) {
			if err := c.unknownFunction(node); err != nil {
				return nil, err
			}
			return nil, syntax.Unsupported("this expression in USING", "Simple expressions of the row are. For others, add a column, copy with UPDATE, drop the old one and rename.")
		}
		if err != nil {
			return nil, err
		}
		if !repeatable(e) {
			return nil, syntax.Unsupported("a function in USING that gives another value each time, or asks the session or a function of one's own,", "Add a column, copy with UPDATE, drop the old one and rename.")
		}
	}
	from := e.Type()
	how := datum.Assignment
	if k.Explicit {
		how = datum.Explicit
	}
	out, err := convert(e, is.Type, is.Modifier, how)
	if !isSlow(err) {
		return out, err
	}
	if _, ok := builtin.Conversion(from, is.Type); !ok && datum.Allowed(from, is.Type, how) {
		return nil, syntax.Unsupported(fmt.Sprintf("changing a column from type %s to %s", was.Type.SQLName(), is.Type.SQLName()), "")
	}
	if k.Using != "" {
		wrong := fail("42804", 0, "result of USING clause for column %q cannot be cast automatically to type %s", was.Name, is.Type.SQLName())
		wrong.Hint = "You might need to add an explicit cast."
		return nil, wrong
	}
	wrong := fail("42804", 0, "column %q cannot be cast automatically to type %s", was.Name, is.Type.SQLName())
	if datum.Allowed(from, is.Type, datum.Explicit) {
		wrong.Hint = fmt.Sprintf("You might need to specify \"USING %s::%s\".", syntax.QuoteIdent(was.Name), datum.TypeString(is.Type, is.Modifier))
	}
	return nil, wrong
}

// defaultBecomes refuses a default that is not cast to the new type of its column by itself.
func defaultBecomes(was, is *catalog.Column) error {
	if is.Default == "" || is.Default != was.Default {
		return nil
	}
	node, err := syntax.ParseExpression(is.Default)
	if err != nil {
		return err
	}
	c := &compiler{params: &Params{}, elsewhere: true, kept: true, functions: keptCalls(was.Functions)}
	e, err := c.expr(node)
	if err != nil {
		return nil //nolint:nilerr // who compiles the default tells
	}
	from := e.Type()
	if k, ok := e.(*Const); ok && k.Value.Null {
		return nil
	}
	if from == datum.Unknown {
		from = was.Type // as which it was read
	}
	if from != is.Type && !Assignable(from, is.Type) {
		return fail("42804", 0, "default for column %q cannot be cast automatically to type %s", is.Name, is.Type.SQLName())
	}
	return nil
}

// repeatable reports whether e has the same value whoever computes it from the same row, in
// one time zone and as of one time.
func repeatable(e Expr) bool {
	if f, ok := e.(*fn); ok && (f.routine != nil || f.volatile || len(f.args) == 0 && !f.moment || strings.HasPrefix(f.name, "current_setting")) {
		return false
	}
	for _, c := range children(e) {
		if !repeatable(c) {
			return false
		}
	}
	return true
}

// Row is what a row becomes.
func (c *Conversion) Row(row []datum.Datum) ([]datum.Datum, error) {
	out := make([]datum.Datum, len(row))
	copy(out, row)
	env := &Env{Row: row, Now: c.moment, Statement: c.moment, Session: &c.session}
	for _, s := range c.sets {
		var err error
		if out[s.Column], err = s.Value.Eval(env); err != nil {
			return nil, err
		}
	}
	name, schema := c.table.Name(), c.table.Schema().Name
	for _, i := range c.notNull {
		if out[i].Null && !row[i].Null {
			return nil, &syntax.Error{Code: "23502", Message: fmt.Sprintf("column %q of relation %q contains null values", c.table.Columns[i].Name, name), Schema: schema, Table: name, Column: c.table.Columns[i].Name}
		}
	}
	env.Row = out
	for _, d := range c.rules.Domains {
		if err := d.Domain.Check(env, out[d.Column]); err != nil {
			return nil, err
		}
	}
	for _, k := range c.rules.Checks {
		v, err := k.Value.Eval(env)
		if err != nil {
			return nil, err
		}
		if !v.Null && !v.Bool() {
			return nil, &syntax.Error{Code: "23514", Message: fmt.Sprintf("check constraint %q of relation %q is violated by some row", k.Name, name), Schema: schema, Table: name, Constraint: k.Name}
		}
	}
	return out, nil
}

// Value is what a stored row becomes. Columns that were added since are kept.
func (c *Conversion) Value(key, value []byte) ([]byte, error) {
	row := make([]datum.Datum, len(c.table.Columns))
	if err := c.table.DecodeRow(key, value, row); err != nil {
		return nil, err
	}
	later, err := c.table.Later(value)
	if err != nil {
		return nil, err
	}
	if row, err = c.Row(row); err != nil {
		return nil, err
	}
	return c.next.EncodeValue(row, later), nil
}

// ConversionOf is that of a table; nil: its columns stay as they are.
func ConversionOf(table *catalog.Table) (*Conversion, error) {
	if table.Next == nil {
		return nil, nil
	}
	rules, err := RulesOf(table)
	if err != nil {
		return nil, err
	}
	return rules.Conversion, nil
}

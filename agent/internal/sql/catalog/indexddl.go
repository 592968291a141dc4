package catalog

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// maxIndexColumns is PostgreSQL's limit.
const maxIndexColumns = 32

// keyColumn finds a column that a key names, which has to have an order.
func (s Scope) keyColumn(rows *cluster.Collection, name string, position int) (*cluster.Column, error) {
	column, ok := rows.Column(name)
	if !ok || column.Hidden {
		return nil, &syntax.Error{Code: "42703", Message: fmt.Sprintf("column %q named in key does not exist", name), Position: position}
	}
	t, _ := s.typeOf(column)
	return column, orderedColumn(t)
}

func orderedColumn(t datum.Type) error {
	if t.Elem().IsComposite() {
		return noCompositeKey(t)
	}
	if !t.Ordered() {
		return &syntax.Error{Code: "42704", Message: fmt.Sprintf("data type %s has no default operator class for access method \"btree\"", t.SQLName()),
			Hint: "A key has an order, and json has none: use jsonb or text."}
	}
	return nil
}

func include(rows *cluster.Collection, x *cluster.Index, names []string) error {
	for _, name := range names {
		column, ok := rows.Column(name)
		if !ok || column.Hidden {
			return &syntax.Error{Code: "42703", Message: fmt.Sprintf("column %q does not exist", name)}
		}
		if !slices.Contains(x.Include, column.ID) {
			x.Include = append(x.Include, column.ID)
		}
	}
	if len(x.Columns)+len(x.Include) > maxIndexColumns {
		return &syntax.Error{Code: "54011", Message: fmt.Sprintf("cannot use more than %d columns in an index", maxIndexColumns)}
	}
	return nil
}

// nameIndex checks the name of an index, or makes one up of its parts.
func (s Scope) nameIndex(table *cluster.Object, x *cluster.Index, parts, label string) error {
	if x.Name == "" {
		x.Name = s.freeName(table.Parent, table.Name, parts, label)
		return nil
	}
	if err := checkName(x.Name, 0); err != nil {
		return err
	}
	if s.taken(table.Parent, x.Name) {
		return &syntax.Error{Code: "42P07", Message: fmt.Sprintf("relation %q already exists", x.Name)}
	}
	return nil
}

// Indexing is what CREATE INDEX asks of the session.
type Indexing struct {
	// Check compiles what is not a column: the expressions and the condition.
	Check func(*Index) error
	// Own reports whether nobody else can write to the table: the transaction has made it.
	Own func(cluster.ObjectID) bool
}

// CreateIndex makes an index, in the draft of scope; one of a table that others may write to
// is filled by an operation. made is the index, nil if IF NOT EXISTS found one.
func (c *Catalog) CreateIndex(ctx context.Context, in Scope, stmt *syntax.CreateIndex, ask Indexing) (next *Draft, made *Index, notices []Notice, err error) {
	if o, ok := in.Relation(stmt.Table); ok && o.View != nil {
		return nil, nil, nil, &syntax.Error{Code: "42809", Message: fmt.Sprintf("cannot create index on relation %q", o.Name), Detail: "This operation is not supported for views."}
	}
	o, _, err := in.toAlter(stmt.Table, false)
	if err != nil {
		return nil, nil, nil, err
	}
	if stmt.Name != "" && stmt.IfNotExists && in.taken(o.Parent, stmt.Name) {
		return in.Draft, nil, []Notice{{Code: "42P07", Message: fmt.Sprintf("relation %q already exists, skipping", stmt.Name)}}, nil
	}
	if err := unmoved(o); err != nil {
		return nil, nil, nil, err
	}
	a := newAlteration(o)
	x, err := in.describeIndex(a.object, stmt)
	if err != nil {
		return nil, nil, nil, err
	}
	if x.ID, err = c.NewID(ctx); err != nil {
		return nil, nil, nil, err
	}
	if !ask.Own(o.ID) {
		x.State, a.later = cluster.ElementDeleteOnly, &cluster.TableChange{Table: o.ID, Name: o.Name, Indexes: []cluster.ObjectID{x.ID}}
	}
	a.rows.Indexes = append(a.rows.Indexes, *x)
	if err := in.bindCalls(a.object); err != nil {
		return nil, nil, nil, err
	}
	schema, _ := in.Object(o.Parent)
	t, err := in.NewTable(a.object, schema)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := ask.Check(t.Indexes[len(t.Indexes)-1]); err != nil {
		return nil, nil, nil, err
	}
	next = in.change(o, a.object)
	next.carryOn(a.later)
	return next, t.Indexes[len(t.Indexes)-1], nil, in.need(next, a.object)
}

// describeIndex makes the descriptor of CREATE INDEX.
func (s Scope) describeIndex(table *cluster.Object, stmt *syntax.CreateIndex) (*cluster.Index, error) {
	if err := indexMethod(stmt); err != nil {
		return nil, err
	}
	for _, o := range stmt.Options {
		if o.Name != "fillfactor" && o.Name != "deduplicate_items" && o.Name != "fastupdate" {
			return nil, &syntax.Error{Code: "22023", Message: fmt.Sprintf("unrecognized parameter %q", o.Name)}
		}
	}
	x := &cluster.Index{Name: stmt.Name, Unique: stmt.Unique, NullsNotDistinct: stmt.Unique && stmt.NullsNotDistinct}
	if stmt.Method == cluster.InvertedMethod || stmt.Method == cluster.HashMethod {
		x.Method = stmt.Method
	}
	var err error
	if stmt.Where != "" {
		if x.Where, err = syntax.BareColumns(stmt.Where, table.Name); err != nil {
			return nil, err
		}
	}
	var parts []string
	for _, e := range stmt.Elements {
		if err := opClass(x, e.OpClass.Name); err != nil {
			return nil, err
		}
		if e.Expr != "" {
			if e.Expr, err = syntax.BareColumns(e.Expr, table.Name); err != nil {
				return nil, err
			}
		}
		c := cluster.IndexColumn{Expression: e.Expr, Descending: e.Descending, NullsFirst: e.Descending}
		if x.Method == cluster.InvertedMethod && e.OpClass.Name == pathOps {
			c.OpClass = pathOps
		}
		if e.NullsFirst != nil {
			c.NullsFirst = *e.NullsFirst
		}
		part := cmp.Or(e.Part, ExpressionName(e.Expr))
		if e.Expr == "" {
			column, ok := table.Collection.Column(e.Column)
			if !ok || column.Hidden {
				return nil, &syntax.Error{Code: "42703", Message: fmt.Sprintf("column %q does not exist", e.Column)}
			}
			if t, _ := s.typeOf(column); !t.Ordered() {
				return nil, orderedColumn(t)
			}
			c.Column, part = column.ID, column.Name
		}
		for n := 1; slices.Contains(parts, part) && e.Expr != ""; n++ {
			part = ExpressionName(e.Expr) + strconv.Itoa(n)
		}
		x.Columns, parts = append(x.Columns, c), append(parts, part)
	}
	if err := include(table.Collection, x, stmt.Include); err != nil {
		return nil, err
	}
	return x, s.nameIndex(table, x, strings.Join(append(parts, stmt.Include...), "_"), "idx")
}

// pathOps is the operator class of inverted indexes without entries of keys alone.
const pathOps = "jsonb_path_ops"

// indexMethod refuses what an index of its access method cannot have.
func indexMethod(stmt *syntax.CreateIndex) error {
	switch stmt.Method {
	case "", "btree":
		return nil
	case cluster.InvertedMethod, cluster.HashMethod:
	case "brin":
		return syntax.Unsupported("an index USING brin", "Use btree: rows are not stored in the order in which they come.")
	case "gist", "spgist":
		return syntax.Unsupported("an index USING "+stmt.Method, "Use btree, or gin for jsonb.")
	default:
		return &syntax.Error{Code: "42704", Message: fmt.Sprintf("access method %q does not exist", stmt.Method)}
	}
	no := func(what string) error {
		return &syntax.Error{Code: "0A000", Message: fmt.Sprintf("access method %q does not support %s", stmt.Method, what)}
	}
	switch {
	case stmt.Unique:
		return no("unique indexes")
	case len(stmt.Include) > 0:
		return no("included columns")
	case len(stmt.Elements) > 1 && stmt.Method == cluster.HashMethod:
		return no("multicolumn indexes")
	case len(stmt.Elements) > 1:
		return syntax.Unsupported("an inverted index of several columns", "Make one of each.")
	case stmt.Elements[0].Descending:
		return no("ASC/DESC options")
	case stmt.Elements[0].NullsFirst != nil:
		return no("NULLS FIRST/LAST options")
	}
	return nil
}

// opClass refuses an operator class that an index cannot have.
func opClass(x *cluster.Index, name string) error {
	known := strings.HasSuffix(name, "_ops") && !strings.Contains(name, "trgm") && name != pathOps
	if x.Method == cluster.InvertedMethod {
		known = name == pathOps || name == "jsonb_ops"
	}
	if name == "" || known {
		return nil
	}
	return &syntax.Error{Code: "42704", Message: fmt.Sprintf("operator class %q does not exist for access method %q", name, cmp.Or(x.Method, "btree"))}
}

var called = regexp.MustCompile(`^([a-z_][a-z_0-9]*)\(`)

// ExpressionName is what a column of an index over an expression is called.
func ExpressionName(text string) string {
	if m := called.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return "expr"
}

// Index finds an index, and the table that it is of.
func (s Scope) Index(name syntax.Name) (table *cluster.Object, x *cluster.Index, ok bool) {
	table, ok = s.named(name)
	if !ok || table.Collection == nil {
		return nil, nil, false
	}
	x, ok = table.Collection.Index(name.Name)
	return table, x, ok
}

// DropIndex drops indexes, in the draft of scope. What others may read goes by an operation.
func (c *Catalog) DropIndex(in Scope, stmt *syntax.DropIndex, ask Indexing) (*Draft, []Notice, error) {
	var notices []Notice
	for _, name := range stmt.Names {
		o, x, told, err := in.toDrop(name, stmt.IfExists)
		switch {
		case err != nil:
			return nil, nil, err
		case o == nil:
			notices = append(notices, told...)
			continue
		case x.Constraint != "":
			return nil, nil, requiredByConstraint(o, x.Name)
		}
		if err := unmoved(o); err != nil {
			return nil, nil, err
		}
		a := newAlteration(o)
		a.scope = in
		if ask.Own(o.ID) {
			a.forget(x.ID)
		} else {
			a.leaveIndex(x.ID)
		}
		next := in.change(o, a.object)
		next.carryOn(a.later)
		cascades, err := in.settleNeeds(next, &going{objects: map[cluster.ObjectID]*cluster.Object{}, what: "index " + x.Name, cascade: stmt.Cascade,
			keys: []goneKey{{table: o.ID, index: x.ID, of: o.Collection, name: x.Name}}})
		if err != nil {
			return nil, nil, err
		}
		if message, detail := CascadeText(cascades); message != "" {
			notices = append(notices, Notice{Code: "00000", Message: message, Detail: detail})
		}
		in.Draft = next
	}
	return in.Draft, notices, nil
}

// forget has an index go at once.
func (a *alteration) forget(id cluster.ObjectID) {
	a.rows.Indexes = slices.DeleteFunc(a.rows.Indexes, func(x cluster.Index) bool { return x.ID == id })
}

// leaveIndex has an index be no more for all but those who write: an operation has it go
// once nobody reads it. One that the transaction has made goes at once.
func (a *alteration) leaveIndex(id cluster.ObjectID) {
	if !a.others(id) {
		a.forget(id)
		return
	}
	for i := range a.rows.Indexes {
		if x := &a.rows.Indexes[i]; x.ID == id {
			if x.Dropped = true; x.State == "" {
				x.State = cluster.ElementWriteOnly
			}
		}
	}
	a.carriedOn().Drops = append(a.carriedOn().Drops, id)
}

// RenameIndex gives an index another name, and the constraint that it is of.
func (c *Catalog) RenameIndex(in Scope, stmt *syntax.Rename) (*Draft, []Notice, error) {
	if o, ok := in.keyed(stmt.Target.Name); ok {
		return in.renameKey(o, stmt.To)
	}
	o, x, ok := in.Index(stmt.Target.Name)
	switch {
	case !ok && stmt.IfExists:
		return in.Draft, []Notice{{Code: "00000", Message: noTable(stmt.Target.Name, ", skipping").Message}}, nil
	case !ok:
		return nil, nil, noTable(stmt.Target.Name, "")
	}
	return in.renameIndex(o, x, stmt.To)
}

func (s Scope) renameIndex(o *cluster.Object, x *cluster.Index, to string) (*Draft, []Notice, error) {
	if err := s.freeToRename(o, to, x.Constraint != ""); err != nil {
		return nil, nil, err
	}
	a := newAlteration(o)
	for i := range a.rows.Indexes {
		if a.rows.Indexes[i].ID == x.ID {
			a.rows.Indexes[i].Name = to
		}
	}
	return s.change(o, a.object), nil, nil
}

// indexesOf are the indexes that a column is part of.
func (a *alteration) indexesOf(column *cluster.Column) []*cluster.Index {
	var out []*cluster.Index
	for i := range a.rows.Indexes {
		if x := &a.rows.Indexes[i]; x.Names(column.ID) || mentions(x, column.Name) {
			out = append(out, x)
		}
	}
	return out
}

// dropIndexesOf has the indexes go that dropped columns were part of, and the columns with
// them. While others may read an index, its columns stay, hidden, and without a name that
// anybody would use.
func (a *alteration) dropIndexesOf(ids []cluster.ColumnID) error {
	for _, id := range ids {
		column, ok := a.rows.ColumnByID(id)
		if !ok {
			continue
		}
		var own, live []cluster.ObjectID
		stays := false
		for _, x := range a.indexesOf(column) {
			switch {
			case a.ask.Own(a.object.ID) || !a.others(x.ID):
				own = append(own, x.ID)
				continue
			case !x.Dropped:
				live = append(live, x.ID)
			}
			stays = true
		}
		for _, x := range own {
			a.forget(x)
		}
		for _, x := range live {
			a.leaveIndex(x)
		}
		if !stays {
			continue
		}
		name := fmt.Sprintf("........pg.dropped.%d........", id)
		if err := renameInExpressions(a.rows, column.Name, name); err != nil {
			return err
		}
		column, _ = a.rows.ColumnByID(id)
		column.Name, column.Hidden, column.NotNull, column.NotNullState = name, true, false, ""
		column.Default, column.Generated, column.Identity, column.Always = "", "", 0, false
		a.carriedOn().Gone = append(a.carriedOn().Gone, id)
	}
	return nil
}

// stays reports whether a dropped column is there until its indexes are gone.
func (a *alteration) stays(id cluster.ColumnID) bool {
	return a.later != nil && slices.Contains(a.later.Gone, id)
}

// mentions reports whether an expression of the index names the column.
func mentions(x *cluster.Index, column string) bool {
	return slices.ContainsFunc(x.Texts(), func(text *string) bool {
		names, err := syntax.ExpressionColumns(*text)
		return err == nil && slices.Contains(names, column)
	})
}

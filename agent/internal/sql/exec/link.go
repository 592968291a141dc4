package exec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// link is a foreign key between two tables.
type link struct {
	key           *cluster.ForeignKey
	child, parent *catalog.Table
	// columns and referenced are what belongs together, in the tables' Columns.
	columns, referenced []int
	// index is the parent's by which rows are found; nil: it is the primary key. order is
	// where the columns of that are in referenced.
	index *catalog.Index
	order []int
}

// newLink makes a foreign key ready; ok is false if the parent has no such key any more, as
// who reads this knows too little of one of the tables.
func newLink(child, parent *catalog.Table, k *cluster.ForeignKey) (l *link, ok bool) {
	l = &link{key: k, child: child, parent: parent, columns: child.ColumnsByID(k.Columns), referenced: parent.ColumnsByID(k.Referenced)}
	if l.index, ok = parent.ReferencedKey(k.Referenced); !ok || slices.Contains(l.columns, -1) {
		return nil, false
	}
	over := parent.Key
	if l.index != nil {
		over = nil
		for _, c := range l.index.Columns {
			over = append(over, c.Column)
		}
	}
	for _, column := range over {
		l.order = append(l.order, slices.Index(l.referenced, column))
	}
	return l, true
}

// at is where a key is, and is locked.
func (l *link) at() *catalog.Table {
	if l.index != nil {
		return l.index.Entries
	}
	return l.parent
}

// encode makes a key of the parent of values, which are in the order of columns, of either
// table's types; ok is false if no row can have it.
func (l *link) encode(env *queryplan.Env, values []datum.Datum) (key []byte, ok bool, err error) {
	for n, i := range l.order {
		v, err := queryplan.Assign(env, values[i], l.parent.Columns[l.referenced[i]].Type, -1)
		if err != nil {
			return nil, false, nil //nolint:nilerr // what the type cannot hold no row has
		}
		dir := datum.Direction{}
		if l.index != nil {
			dir = l.index.Columns[n].Direction
		}
		if key, err = datum.AppendIndexKey(key, v, dir); err != nil {
			return nil, false, fmt.Errorf("encode a key of %q: %w", l.parent.Name(), err)
		}
	}
	if l.index != nil {
		key = keys.Entry(key, nil)
	}
	return key, true, nil
}

// refers are the values by which a row of the child refers to one of the parent; ok is
// false if it refers to none. A row that MATCH FULL forbids is an error.
func (l *link) refers(row []datum.Datum) (values []datum.Datum, ok bool, err error) {
	values = pick(row, l.columns)
	nulls := 0
	for i := range values {
		if values[i].Null {
			nulls++
		}
	}
	if nulls > 0 && nulls < len(values) && l.key.Full {
		e := l.missing(values)
		e.Detail = "MATCH FULL does not allow mixing of null and nonnull key values."
		return nil, false, e
	}
	return values, nulls == 0, nil
}

func pick(row []datum.Datum, columns []int) []datum.Datum {
	out := make([]datum.Datum, len(columns))
	for i, c := range columns {
		out[i] = row[c]
	}
	return out
}

func (l *link) namesOf(t *catalog.Table, columns []int, values []datum.Datum) string {
	var names, texts []string
	for i, c := range columns {
		names, texts = append(names, t.Columns[c].Name), append(texts, values[i].Text())
	}
	return fmt.Sprintf("Key (%s)=(%s)", strings.Join(names, ", "), strings.Join(texts, ", "))
}

// missing is 23503 of a row of the child that refers to nothing.
func (l *link) missing(values []datum.Datum) *syntax.Error {
	e := &syntax.Error{Code: "23503", Message: fmt.Sprintf("insert or update on table %q violates foreign key constraint %q", l.child.Name(), l.key.Name),
		Schema: l.child.Schema().Name, Table: l.child.Name(), Constraint: l.key.Name}
	if !slices.ContainsFunc(values, func(v datum.Datum) bool { return v.Null }) {
		e.Detail = fmt.Sprintf("%s is not present in table %q.", l.namesOf(l.child, l.columns, values), l.parent.Name())
	}
	return e
}

// stillReferenced is 23503 of a row of the parent that others refer to.
func (l *link) stillReferenced(values []datum.Datum) *syntax.Error {
	return &syntax.Error{Code: "23503", Message: fmt.Sprintf("update or delete on table %q violates foreign key constraint %q on table %q", l.parent.Name(), l.key.Name, l.child.Name()),
		Detail: fmt.Sprintf("%s is still referenced from table %q.", l.namesOf(l.parent, l.referenced, values), l.child.Name()),
		Schema: l.child.Schema().Name, Table: l.child.Name(), Constraint: l.key.Name}
}

// links are the foreign keys of a table.
func (r *Run) links(child *catalog.Table) ([]*link, error) {
	var out []*link
	for i := range child.Desc.Collection.ForeignKeys {
		l, err := r.link(child, &child.Desc.Collection.ForeignKeys[i])
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

func (r *Run) link(child *catalog.Table, k *cluster.ForeignKey) (*link, error) {
	parent, ok := child, true
	if k.Table != child.ObjectID() {
		parent, ok = r.Tables(k.Table)
	}
	if ok {
		if l, ok := newLink(child, parent, k); ok {
			return l, nil
		}
	}
	return nil, &syntax.Error{Code: "40001", Message: fmt.Sprintf("could not serialize access: what foreign key %q references was changed meanwhile", k.Name), Hint: "Run the transaction again."}
}

// referrers are the foreign keys that reference a table.
func (r *Run) referrers(parent *catalog.Table) []*link {
	var out []*link
	for _, by := range parent.Desc.Collection.ReferencedBy {
		child, ok := parent, true
		if by.Table != parent.ObjectID() {
			child, ok = r.Tables(by.Table)
		}
		if !ok {
			continue // it was dropped, or is to be made: nothing refers by it yet
		}
		list := child.Desc.Collection.ForeignKeys
		i := slices.IndexFunc(list, func(k cluster.ForeignKey) bool { return k.ID == by.Key })
		if i < 0 {
			continue
		}
		if l, ok := newLink(child, parent, &list[i]); ok {
			out = append(out, l)
		}
	}
	return out
}

// refersSomewhere reports whether rows of a table refer to others, or others to them.
func refersSomewhere(t *catalog.Table) bool {
	c := t.Desc.Collection
	return len(c.ForeignKeys) > 0 || len(c.ReferencedBy) > 0
}

// looksLater reports whether a statement that writes to a table looks at its end whether
// what it has written may be.
func looksLater(t *catalog.Table) bool {
	return refersSomewhere(t) || slices.ContainsFunc(t.Indexes, func(x *catalog.Index) bool { return x.Desc.Deferrable })
}

// touchesKeys reports whether a change may have foreign keys look at other tables.
func touchesKeys(ch *queryplan.Change) bool {
	c := ch.Table.Desc.Collection
	if ch.Delete {
		return len(c.ReferencedBy) > 0
	}
	set := func(column int) bool {
		return slices.ContainsFunc(c.ForeignKeys, func(k cluster.ForeignKey) bool { return k.Uses(ch.Table.Columns[column].ID) })
	}
	return slices.ContainsFunc(ch.SetColumns, set) || slices.ContainsFunc(ch.Rules.Generated, func(a queryplan.Assignment) bool { return set(a.Column) })
}

package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Dropped tells what a DROP came to beside what was asked for.
type Dropped struct {
	Missing  []string // those that IF EXISTS did not find
	Cascades []string // what CASCADE took along
}

// Drop drops the collections in the draft of scope.
func (c *Catalog) Drop(in Scope, stmt *syntax.DropCollection) (*Draft, Dropped, error) {
	return in.drop(stmt.Names, stmt.Drop, cluster.KindTable)
}

// DropSequence drops the sequences in the draft of scope.
func (c *Catalog) DropSequence(in Scope, stmt *syntax.DropSequence) (*Draft, Dropped, error) {
	return in.drop(stmt.Names, stmt.Drop, cluster.KindSequence)
}

// drop drops objects of a kind, with what is owned by them, and with CASCADE what needs
// them.
func (s Scope) drop(names []syntax.Name, how syntax.Drop, kind cluster.ObjectKind) (*Draft, Dropped, error) {
	var told Dropped
	next := s.Draft.clone()
	s.Draft = next
	gone := map[cluster.ObjectID]*cluster.Object{}
	first := ""
	for _, name := range names {
		o, ok := s.Relation(name)
		switch {
		case !ok && how.IfExists:
			told.Missing = append(told.Missing, name.Name)
		case !ok:
			return nil, told, &syntax.Error{Code: "42P01", Message: fmt.Sprintf("%s %q does not exist", kind, name.Name)}
		case o.Kind != kind:
			return nil, told, &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is not a %s", name.Name, kind),
				Hint: fmt.Sprintf("Use DROP %s to remove a %s.", strings.ToUpper(string(o.Kind)), o.Kind)}
		case o.Sequence != nil && o.Sequence.Identity:
			return nil, told, s.requiredBy(o)
		default:
			if first == "" {
				first = string(kind) + " " + o.Name
			}
			for _, o := range append(s.ownedBy(o.ID, 0), o) {
				gone[o.ID] = o
				next.drop(o)
			}
		}
	}
	cascades, err := s.settleNeeds(next, gone, first, how.Cascade)
	told.Cascades = cascades
	return next, told, err
}

// ownedBy are the sequences that go with a column of the table; 0: with any.
func (s Scope) ownedBy(table cluster.ObjectID, column cluster.ColumnID) []*cluster.Object {
	return s.objects(func(o *cluster.Object) bool {
		return o.Sequence != nil && o.Sequence.OwnedBy != nil && o.Sequence.OwnedBy.Table == table && (column == 0 || o.Sequence.OwnedBy.Column == column)
	})
}

// OwnedBy are the sequences that go with a column of a table.
func (s Scope) OwnedBy(table cluster.ObjectID, column cluster.ColumnID) []*cluster.Object {
	return s.ownedBy(table, column)
}

// requiredBy is why the sequence of an identity is not dropped by itself.
func (s Scope) requiredBy(o *cluster.Object) error {
	what := "its column"
	if t, ok := s.Object(o.Sequence.OwnedBy.Table); ok {
		if column, ok := t.Collection.ColumnByID(o.Sequence.OwnedBy.Column); ok {
			what = fmt.Sprintf("column %s of table %s", column.Name, t.Name)
		}
	}
	return &syntax.Error{Code: "2BP01", Message: fmt.Sprintf("cannot drop sequence %s because %s requires it", o.Name, what), Hint: "You can drop " + what + " instead."}
}

// settleNeeds looks for what needs something that is gone from next: it is an error, or
// goes too. what was asked for is told.
func (s Scope) settleNeeds(next *Draft, gone map[cluster.ObjectID]*cluster.Object, what string, cascade bool) ([]string, error) {
	s.Draft = next
	isGone := func(id cluster.ObjectID) bool { return gone[id] != nil }
	var lines, cascades []string
	for _, o := range s.objects(func(o *cluster.Object) bool { return o.Collection != nil && slices.ContainsFunc(o.Needs, isGone) }) {
		changed, rows := *o, *o.Collection
		rows.Columns = slices.Clone(rows.Columns)
		changed.Collection = &rows
		for i := range rows.Columns {
			column := &rows.Columns[i]
			for _, id := range o.Needs {
				if !isGone(id) || !needsSequence(column, id) {
					continue
				}
				of := fmt.Sprintf("default value for column %s of table %s", column.Name, o.Name)
				lines = append(lines, fmt.Sprintf("%s depends on %s %s", of, gone[id].Kind, gone[id].Name))
				cascades = append(cascades, of)
				column.Default = ""
				break
			}
		}
		changed.Needs = slices.DeleteFunc(slices.Clone(o.Needs), isGone)
		next.alter(s, o, &changed)
	}
	if len(lines) == 0 || cascade {
		return cascades, nil
	}
	return nil, &syntax.Error{Code: "2BP01", Message: fmt.Sprintf("cannot drop %s because other objects depend on it", what), Detail: strings.Join(lines, "\n"),
		Hint: "Use DROP ... CASCADE to drop the dependent objects too."}
}

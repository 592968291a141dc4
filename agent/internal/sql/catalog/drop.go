package catalog

import (
	"cmp"
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
	gone := &going{objects: map[cluster.ObjectID]*cluster.Object{}, cascade: how.Cascade}
	for _, name := range names {
		o, ok := s.Relation(name)
		_, index := s.Indexed(name)
		switch {
		case index:
			return nil, told, &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is not a %s", name.Name, kind), Hint: "Use DROP INDEX to remove an index."}
		case !ok && how.IfExists:
			told.Missing = append(told.Missing, name.Name)
		case !ok && s.noSchema(name) != nil:
			return nil, told, s.noSchema(name)
		case !ok:
			return nil, told, &syntax.Error{Code: "42P01", Message: fmt.Sprintf("%s %q does not exist", kind, written(name))}
		case o.Kind != kind:
			return nil, told, &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is not a %s", name.Name, kind),
				Hint: fmt.Sprintf("Use DROP %s to remove a %s.", strings.ToUpper(string(o.Kind)), o.Kind)}
		case o.Sequence != nil && o.Sequence.Identity:
			return nil, told, s.requiredBy(o)
		default:
			if gone.what == "" {
				gone.what = string(kind) + " " + s.pathName(o)
			}
			for _, o := range append(s.ownedBy(o.ID, 0), o) {
				gone.objects[o.ID] = o
				next.drop(o)
			}
		}
	}
	if len(names) > 1 {
		gone.what = ""
	}
	cascades, err := s.settleNeeds(next, gone)
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

// dependent is what needs something that is gone.
type dependent struct {
	what, depends string
	column        cluster.Column
}

// dropTyped drops the columns of a table that are of types that are gone. All that need
// them are told beside the first error.
func (a *alteration) dropTyped(gone map[cluster.ObjectID]*cluster.Object) (out []dependent, err error) {
	o := a.object
	for _, c := range slices.Clone(a.rows.Columns) {
		typ := gone[c.UserType]
		if c.UserType == 0 || typ == nil {
			continue
		}
		what := fmt.Sprintf("column %s of table %s", c.Name, o.Name)
		out = append(out, dependent{what, what + " depends on type " + typ.Name + arrayMark(c.Type), c})
		if _, there := a.rows.ColumnByID(c.ID); !there {
			continue // it went with another one
		}
		if failed := a.dropColumn(&syntax.DropColumn{Name: c.Name, Drop: syntax.Drop{Cascade: true}}); err == nil {
			err = failed
		}
		if a.stays(c.ID) && err == nil { // it would be of a type that is gone
			err = syntax.Unsupported(fmt.Sprintf("dropping column %q, which an index is over, of a table that others may read", c.Name), "Drop the column first.")
		}
	}
	return out, err
}

// arrayMark is what stands behind the name of the elements of an array.
func arrayMark(typ string) string {
	if strings.HasSuffix(typ, "[]") {
		return "[]"
	}
	return ""
}

// going is what a statement takes away.
type going struct {
	objects map[cluster.ObjectID]*cluster.Object
	columns []goingColumn
	keys    []goneKey
	// what was asked for, as an error tells it; "": several things.
	what    string
	cascade bool
}

// goneKey is a key of a table that stays, which was of before: that of the index with the id,
// or, 0, the one that said where rows are.
type goneKey struct {
	table, index cluster.ObjectID
	of           *cluster.Collection
	name         string
}

// goingColumn is a column of a table that stays.
type goingColumn struct {
	table *cluster.Object
	id    cluster.ColumnID
	name  string
}

// settleNeeds looks for what needs something that is gone from next: it is an error, or
// goes too, and is told.
func (s Scope) settleNeeds(next *Draft, gone *going) ([]string, error) {
	s.Draft = next
	lines, cascades, err := s.settleDefaults(next, gone)
	if err != nil {
		return nil, err
	}
	keyLines, keys, err := s.settleForeignKeys(next, gone)
	if err != nil {
		return nil, err
	}
	lines, cascades = append(lines, keyLines...), append(cascades, keys...)
	callLines, calls, err := s.settleCalls(next, gone)
	if err != nil {
		return nil, err
	}
	lines, cascades = append(lines, callLines...), append(cascades, calls...)
	triggerLines, triggers := s.settleTriggers(next, gone)
	lines, cascades = append(lines, triggerLines...), append(cascades, triggers...)
	partLines, parts, err := s.settleComposites(next, gone)
	if err != nil {
		return nil, err
	}
	lines, cascades = append(lines, partLines...), append(cascades, parts...)
	for {
		more := s.objects(func(o *cluster.Object) bool { _, reads := s.readsGone(o, gone); return reads })
		if len(more) == 0 {
			break
		}
		slices.SortFunc(more, func(a, b *cluster.Object) int { return cmp.Compare(a.ID, b.ID) })
		for _, o := range more {
			read, _ := s.readsGone(o, gone)
			what := fmt.Sprintf("%s %s", o.Kind, s.pathName(o))
			if o.Function != nil {
				what = "function " + s.described(o)
			}
			lines = append(lines, fmt.Sprintf("%s depends on %s", what, read))
			cascades = append(cascades, what)
			gone.objects[o.ID] = o
			next.drop(o)
		}
	}
	if len(lines) == 0 || gone.cascade {
		return cascades, nil
	}
	message := "cannot drop desired object(s) because other objects depend on them"
	if gone.what != "" {
		message = fmt.Sprintf("cannot drop %s because other objects depend on it", gone.what)
	}
	return nil, &syntax.Error{Code: "2BP01", Message: message, Detail: Lines(lines),
		Hint: "Use DROP ... CASCADE to drop the dependent objects too."}
}

// readsGone names what the view or the function o needs and is gone.
func (s Scope) readsGone(o *cluster.Object, gone *going) (what string, reads bool) {
	var list []cluster.ViewRead
	switch {
	case o.Function != nil:
		list = o.Function.Reads
	case o.View != nil:
		list = o.View.Reads
	default:
		return "", false
	}
	for i := range list {
		read := &list[i]
		if old, is := gone.objects[read.Object]; is {
			return fmt.Sprintf("%s %s", old.Kind, s.pathName(old)), true
		}
		for _, c := range gone.columns {
			if c.table.ID == read.Object && read.Uses(c.id) {
				return fmt.Sprintf("column %s of table %s", c.name, s.pathName(c.table)), true
			}
		}
	}
	for _, id := range o.Needs {
		switch old := gone.objects[id]; {
		case old == nil:
		case old.Function != nil && (o.Function != nil || slices.Contains(calledBy(&o.View.Query), id)):
			return "function " + s.described(old), true
		case o.Function != nil && old.Sequence != nil:
			return "sequence " + s.pathName(old), true
		case o.Function != nil:
			return "type " + s.pathName(old), true
		}
	}
	return "", false
}

// pathName is the name of what is in a schema: with that in front, unless it is in the
// path.
func (s Scope) pathName(o *cluster.Object) string {
	if o.Parent == s.Temp || slices.ContainsFunc(s.Schemas(), func(schema *cluster.Object) bool { return schema.ID == o.Parent }) {
		return o.Name
	}
	if schema, ok := s.Object(o.Parent); ok {
		return schema.Name + "." + o.Name
	}
	return o.Name
}

// settleDefaults takes the defaults and columns away that need something that is gone.
func (s Scope) settleDefaults(next *Draft, gone *going) (lines, cascades []string, err error) {
	isGone := func(id cluster.ObjectID) bool { return gone.objects[id] != nil }
	for _, o := range s.objects(func(o *cluster.Object) bool {
		return o.Kind == cluster.KindTable && slices.ContainsFunc(o.Needs, isGone)
	}) {
		a := newAlteration(o)
		a.ask.Own, a.scope = next.Made, s
		changed, rows := a.object, a.rows
		ofGone, err := a.dropTyped(gone.objects)
		if err != nil && gone.cascade {
			return nil, nil, err
		}
		for _, l := range ofGone {
			lines, cascades = append(lines, l.depends), append(cascades, l.what)
			gone.columns = append(gone.columns, goingColumn{o, l.column.ID, l.column.Name})
		}
		for i := range rows.Columns {
			column := &rows.Columns[i]
			for _, id := range o.Needs {
				if !isGone(id) || !needsSequence(column, id) {
					continue
				}
				of := fmt.Sprintf("default value for column %s of table %s", column.Name, o.Name)
				lines = append(lines, fmt.Sprintf("%s depends on %s %s", of, gone.objects[id].Kind, gone.objects[id].Name))
				cascades = append(cascades, of)
				column.Default = ""
				break
			}
		}
		changed.Needs = slices.DeleteFunc(slices.Clone(o.Needs), func(id cluster.ObjectID) bool {
			return isGone(id) && gone.objects[id].Collection == nil && gone.objects[id].Function == nil
		})
		next.alter(s, o, changed)
	}
	return lines, cascades, nil
}

// toDrop finds the index of a statement. Without one it gives a notice if that is allowed,
// else an error.
func (s Scope) toDrop(name syntax.Name, ifExists bool) (*cluster.Object, *cluster.Index, []Notice, error) {
	table, x, ok := s.Index(name)
	if ok {
		return table, x, nil, nil
	}
	if o, there := s.Relation(name); there {
		return nil, nil, nil, &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is not an index", name.Name), Position: name.Position,
			Hint: fmt.Sprintf("Use DROP %s to remove a %s.", strings.ToUpper(string(o.Kind)), o.Kind)}
	}
	if o, ok := s.keyed(name); ok {
		return nil, nil, nil, requiredByConstraint(o, name.Name)
	}
	if gone := s.noSchema(name); gone != nil && ifExists {
		return nil, nil, []Notice{{Code: "00000", Message: gone.Message + ", skipping"}}, nil
	} else if gone != nil {
		return nil, nil, nil, gone
	}
	if ifExists {
		return nil, nil, []Notice{{Code: "00000", Message: fmt.Sprintf("index %q does not exist, skipping", name.Name)}}, nil
	}
	return nil, nil, nil, &syntax.Error{Code: "42704", Message: fmt.Sprintf("index %q does not exist", name.Name), Position: name.Position}
}

// requiredByConstraint is what DROP INDEX is told of an index that a constraint has.
func requiredByConstraint(o *cluster.Object, name string) error {
	of := fmt.Sprintf("constraint %s on table %s", name, o.Name)
	return &syntax.Error{Code: "2BP01", Message: fmt.Sprintf("cannot drop index %s because %s requires it", name, of), Hint: "You can drop " + of + " instead."}
}

// keyed finds the table whose primary key has the name.
func (s Scope) keyed(name syntax.Name) (*cluster.Object, bool) {
	o, ok := s.named(name)
	return o, ok && o.Collection != nil && o.Collection.KeyName == name.Name
}

// Indexed finds the table of which an index or the primary key has the name.
func (s Scope) Indexed(name syntax.Name) (*cluster.Object, bool) {
	o, ok := s.named(name)
	return o, ok && o.Collection != nil && o.Name != name.Name
}

// noSchema is what is wrong with a name that gives a schema which is not there; nil: nothing.
func (s Scope) noSchema(name syntax.Name) *syntax.Error {
	if name.Schema == "" || slices.Contains(systemSchemas, name.Schema) {
		return nil
	}
	if _, ok := s.Schema(name.Schema); ok {
		return nil
	}
	return &syntax.Error{Code: "3F000", Message: fmt.Sprintf("schema %q does not exist", name.Schema)}
}

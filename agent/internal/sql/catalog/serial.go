package catalog

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// numbered makes the sequences of the columns of a new table that are serial or
// identities, in next, and has their defaults take them. It binds the other defaults.
func (c *Catalog) numbered(ctx context.Context, in Scope, next *Draft, table *cluster.Object, stmt *syntax.CreateCollection) error {
	in.Draft = next
	for i := range stmt.Columns {
		def := &stmt.Columns[i]
		column, _ := table.Collection.Column(def.Name)
		if !def.Serial && def.Identity == nil {
			var err error
			if column.Default, err = in.bindDefault(def.Default); err != nil {
				return err
			}
			continue
		}
		if err := c.addSequence(ctx, in, next, table, column, def); err != nil {
			return err
		}
	}
	for i := range stmt.Like {
		if err := c.copyIdentities(ctx, in, next, table, &stmt.Like[i]); err != nil {
			return err
		}
	}
	return in.need(next, table)
}

// copyIdentities has the columns that are copied with INCLUDING IDENTITY be identities as
// those that they are copied of, by sequences of their own that begin anew.
func (c *Catalog) copyIdentities(ctx context.Context, in Scope, next *Draft, table *cluster.Object, like *syntax.Like) error {
	if _, isView := in.FindView(like.Table.Schema, like.Table.Name); isView || !slices.Contains(like.Including, "IDENTITY") {
		return nil
	}
	source, err := in.Resolve(like.Table)
	if err != nil {
		return err
	}
	for i := range source.Desc.Collection.Columns {
		from := &source.Desc.Collection.Columns[i]
		o, ok := in.Object(from.Identity)
		if from.Identity == 0 || !ok {
			continue
		}
		s := o.Sequence
		column, _ := table.Collection.Column(from.Name)
		def := &syntax.ColumnDef{Name: from.Name, Identity: &syntax.Identity{Always: from.Always, Options: syntax.SequenceOptions{
			Start: &s.Start, Increment: &s.Increment, MinValue: &s.Min, MaxValue: &s.Max, Cache: &s.Cache, Cycle: &s.Cycle,
		}}}
		if err := c.addSequence(ctx, in, next, table, column, def); err != nil {
			return err
		}
	}
	return nil
}

// need has a table need what its defaults and types name.
func (s Scope) need(next *Draft, table *cluster.Object) error {
	needs, err := NeedsOf(table)
	for _, id := range needs {
		if o, ok := s.Object(id); ok {
			next.rest(o) // nobody drops it before the table is there
			if o.Domain != nil && !slices.Contains(table.Needs, id) {
				// Who changes a domain that has no columns has to hear of this one.
				same := *o
				next.alter(s, o, &same)
			}
		}
	}
	table.Needs = needs
	return err
}

// numbers follows an ALTER TABLE with the sequences of the table, in next: those of
// columns that are dropped go, and others get the owner of the table.
func (a *alteration) numbers(next *Draft) (*Draft, error) {
	s := a.scope
	s.Draft = next
	for _, to := range a.identities {
		column, err := a.column(to.Name)
		if err == nil {
			err = a.catalog.addSequence(a.ctx, s, next, a.object, column, &syntax.ColumnDef{Name: to.Name, Identity: &to.Identity})
		}
		if err != nil {
			return nil, err
		}
	}
	if err := s.need(next, a.object); err != nil {
		return nil, err
	}
	if a.owner {
		for _, o := range s.ownedBy(a.object.ID, 0) {
			changed := *o
			own(&changed, a.object.Owner)
			next.alter(s, o, &changed)
		}
	}
	gone := &going{objects: map[cluster.ObjectID]*cluster.Object{}, columns: a.dropped, keys: a.goneKeys, cascade: a.cascade}
	for _, k := range a.goneKeys {
		gone.what = fmt.Sprintf("constraint %s on table %s", k.name, s.pathName(a.object))
	}
	for _, column := range a.dropped {
		gone.what = fmt.Sprintf("column %s of table %s", column.name, s.pathName(a.object))
		for _, o := range s.ownedBy(a.object.ID, column.id) {
			gone.objects[o.ID] = o
			next.drop(o)
		}
	}
	cascades, err := s.settleNeeds(next, gone)
	if message, detail := CascadeText(cascades); message != "" {
		a.notices = append(a.notices, Notice{Code: "00000", Message: message, Detail: detail})
	}
	return next, err
}

// renumber has the sequences of the columns of a table, the views that read it, and the
// functions of its rows, go with the one that takes its place; sequences begin again if restart says so.
func (s Scope) renumber(next *Draft, from, to cluster.ObjectID, restart bool) {
	for _, o := range s.ownedBy(from, 0) {
		changed, numbers := *o, *o.Sequence
		changed.Sequence, changed.Needs = &numbers, []cluster.ObjectID{to}
		numbers.OwnedBy = &cluster.ColumnRef{Table: to, Column: numbers.OwnedBy.Column}
		if restart {
			numbers.From = &cluster.SequencePlace{Last: numbers.Start}
		}
		next.alter(s, o, &changed)
	}
	for _, o := range s.objects(func(o *cluster.Object) bool { return o.View != nil }) {
		if _, reads := o.View.Read(from); !reads {
			continue
		}
		changed, view := *o, *o.View
		view.Reads = slices.Clone(view.Reads)
		changed.View = &view
		read, _ := view.Read(from)
		read.Object = to
		next.alter(s, o, &changed)
		_ = s.readBy(next, &changed) // all are there
	}
	for _, o := range s.objects(func(o *cluster.Object) bool { return o.Function != nil && slices.Contains(o.Needs, from) }) {
		next.alter(s, o, ofTable(o, from, to))
	}
}

// ofTable is a function whose rows, or what it reads, are those of the table that takes another's place.
func ofTable(o *cluster.Object, from, to cluster.ObjectID) *cluster.Object {
	changed, f := *o, *o.Function
	changed.Function = &f
	f.Parameters = slices.Clone(f.Parameters)
	for i := range f.Parameters {
		if f.Parameters[i].UserType == from {
			f.Parameters[i].UserType = to
		}
	}
	if f.Returns.UserType == from {
		f.Returns.UserType = to
	}
	f.Reads = slices.Clone(f.Reads)
	if read, ok := f.Read(from); ok {
		read.Object = to
	}
	changed.Needs = slices.DeleteFunc(append(slices.Clone(o.Needs), to), func(id cluster.ObjectID) bool { return id == from })
	slices.Sort(changed.Needs)
	return &changed
}

// isIdentity refuses what an identity column cannot be.
func (a *alteration) isIdentity(column *cluster.Column) error {
	return &syntax.Error{Code: "42601", Message: fmt.Sprintf("column %q of relation %q is an identity column", column.Name, a.object.Name)}
}

// unlinked refuses another owner for a sequence that goes with a column: it has the table's.
func (s Scope) unlinked(o *cluster.Object, to string) error {
	if o.Sequence.OwnedBy == nil || o.Owner == to {
		return nil
	}
	err := &syntax.Error{Code: "0A000", Message: fmt.Sprintf("cannot change owner of sequence %q", o.Name)}
	if table, ok := s.Object(o.Sequence.OwnedBy.Table); ok {
		err.Detail = fmt.Sprintf("Sequence %q is linked to table %q.", o.Name, table.Name)
	}
	return err
}

// addIdentity makes a column one; its sequence is made when all else is.
func (a *alteration) addIdentity(action *syntax.AddIdentity) error {
	column, err := a.column(action.Name)
	if err != nil {
		return err
	}
	var wrong string
	switch {
	case !column.NotNull || column.NotNullState != "":
		wrong = "must be declared NOT NULL before identity can be added"
	case column.Identity != 0 || slices.ContainsFunc(a.identities, func(b *syntax.AddIdentity) bool { return b.Name == action.Name }):
		wrong = "is already an identity column"
	case column.Default != "" || column.Generated != "":
		wrong = "already has a default value"
	default:
		a.identities, a.changed = append(a.identities, action), true
		return nil
	}
	return &syntax.Error{Code: "55000", Message: fmt.Sprintf("column %q of relation %q %s", column.Name, a.object.Name, wrong)}
}

// addSequence makes the sequence of one column.
func (c *Catalog) addSequence(ctx context.Context, in Scope, next *Draft, table *cluster.Object, column *cluster.Column, def *syntax.ColumnDef) error {
	switch {
	case def.Serial && def.Type.Array:
		return &syntax.Error{Code: "0A000", Message: "array of serial is not implemented", Position: def.Type.Position}
	case def.Identity != nil && def.Default != "" || def.Identity != nil && def.Serial:
		return &syntax.Error{Code: "42601", Message: fmt.Sprintf("both default and identity specified for column %q of table %q", column.Name, table.Name), Position: def.Identity.Position}
	case def.Default != "":
		return &syntax.Error{Code: "42601", Message: fmt.Sprintf("multiple default values specified for column %q of table %q", column.Name, table.Name), Position: def.Position}
	}
	t, ok := datum.TypeByName(column.Type)
	if !ok || !t.IsInt() {
		return &syntax.Error{Code: "22023", Message: "identity column type must be smallint, integer, or bigint", Position: def.Type.Position}
	}
	s := &cluster.Sequence{Type: column.Type, Increment: 1, Cache: 1, OwnedBy: &cluster.ColumnRef{Table: table.ID, Column: column.ID}}
	options := syntax.SequenceOptions{}
	if def.Identity != nil {
		options, s.Identity = def.Identity.Options, true
	}
	if err := setSequence(s, &options, true); err != nil {
		return err
	}
	o := &cluster.Object{Parent: table.Parent, Kind: cluster.KindSequence, Owner: table.Owner, Sequence: s, Needs: []cluster.ObjectID{table.ID}}
	o.Name = in.freeName(table.Parent, table.Name, column.Name, "seq")
	if options.Name != nil {
		if o.Name = options.Name.Name; in.taken(table.Parent, o.Name) {
			return &syntax.Error{Code: "42P07", Message: fmt.Sprintf("relation %q already exists", o.Name)}
		}
	}
	var err error
	if o.ID, err = c.NewID(ctx); err != nil {
		return err
	}
	in.born(o)
	next.add(o)
	column.Default, column.NotNull = "nextval("+strconv.FormatUint(uint64(o.ID), 10)+")", true
	if def.Identity != nil {
		column.Identity, column.Always = o.ID, def.Identity.Always
	}
	return nil
}

func (s Scope) taken(schema cluster.ObjectID, name string) bool {
	_, ok := s.find(schema, cluster.RelationNames, name)
	return ok
}

// freeName makes a name of a relation as PostgreSQL does: table_column_label, the longer
// part cut until it fits, and a number behind it if it is taken.
func (s Scope) freeName(schema cluster.ObjectID, table, column, label string) string {
	return madeName(table, column, label, func(name string) bool { return s.taken(schema, name) })
}

// madeName makes a name that is not taken; column may be "".
func madeName(table, column, label string, taken func(string) bool) string {
	for n := 0; ; n++ {
		end := "_" + label
		if n > 0 {
			end += strconv.Itoa(n)
		}
		a, b := table, column
		if b != "" {
			b = "_" + b
		}
		for len(a)+len(b)+len(end) > maxName {
			if len(a) >= len(b) {
				a = cut(a)
			} else {
				b = cut(b)
			}
		}
		if name := a + b + end; !taken(name) {
			return name
		}
	}
}

// cut takes the last character off.
func cut(s string) string {
	r := []rune(s)
	return string(r[:len(r)-1])
}

// NeedsOf are the sequences that the defaults of a table need, the types of its
// columns, what its foreign keys reference, and the functions of its triggers and expressions.
func NeedsOf(table *cluster.Object) ([]cluster.ObjectID, error) {
	var out []cluster.ObjectID
	rows := table.Collection
	for i := range rows.ForeignKeys {
		if id := rows.ForeignKeys[i].Table; id != table.ID {
			out = append(out, id)
		}
	}
	out = append(out, triggerFunctions(rows.Triggers)...)
	out = append(out, calledBy(callTexts(rows)...)...)
	for _, k := range rows.Converts() {
		if k.UserType != 0 {
			out = append(out, k.UserType)
		}
		out = append(out, SequencesOf(k.Default)...)
	}
	for i := range rows.Columns {
		if t := rows.Columns[i].UserType; t != 0 {
			out = append(out, t)
		}
		ids, err := syntax.SequenceIDs(rows.Columns[i].Default)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			out = append(out, cluster.ObjectID(id))
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// SequencesOf are the sequences that the text of a default names.
func SequencesOf(text string) []cluster.ObjectID {
	ids, err := syntax.SequenceIDs(text)
	if err != nil {
		return nil // it was written by bindDefault: cannot be
	}
	out := make([]cluster.ObjectID, len(ids))
	for i, id := range ids {
		out[i] = cluster.ObjectID(id)
	}
	return out
}

// needsSequence reports whether the default of a column names the sequence.
func needsSequence(column *cluster.Column, id cluster.ObjectID) bool {
	ids, err := syntax.SequenceIDs(column.Default)
	return err == nil && slices.Contains(ids, uint64(id))
}

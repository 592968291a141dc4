package catalog

import (
	"context"
	"fmt"
	"math"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Sequence finds what nextval('name') names.
func (s Scope) Sequence(name syntax.Name) (*cluster.Object, error) {
	o, ok := s.Relation(name)
	switch {
	case !ok:
		return nil, &syntax.Error{Code: "42P01", Message: fmt.Sprintf("relation %q does not exist", written(name)), Position: name.Position}
	case o.Sequence == nil:
		return nil, &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is not a sequence", name.Name), Position: name.Position}
	}
	return o, nil
}

// Sequences are all of the database, by name.
func (s Scope) Sequences() []*cluster.Object {
	return s.objects(func(o *cluster.Object) bool { return o.Sequence != nil && s.inDatabase(o) })
}

func (s Scope) inDatabase(o *cluster.Object) bool {
	schema, ok := s.Object(o.Parent)
	return ok && schema.Parent == s.Database
}

// written is a name as a statement writes it.
func written(name syntax.Name) string {
	if name.Schema != "" {
		return name.Schema + "." + name.Name
	}
	return name.Name
}

// NameOf is the name by which the object is found along the path: with its schema in
// front, if it takes that.
func (s Scope) NameOf(o *cluster.Object) syntax.Name {
	if found, ok := s.Relation(syntax.Name{Name: o.Name}); ok && found.ID == o.ID {
		return syntax.Name{Name: o.Name}
	}
	schema, ok := s.Object(o.Parent)
	if !ok {
		return syntax.Name{Name: o.Name}
	}
	return syntax.Name{Schema: schema.Name, Name: o.Name}
}

// DefaultText is the SQL text of a column's default, with sequences by their names.
func (s Scope) DefaultText(text string) string {
	if !syntax.MentionsSequence(text) {
		return text
	}
	out, err := syntax.NameSequences(text, func(id uint64) (syntax.Name, bool) {
		o, ok := s.Object(cluster.ObjectID(id))
		if !ok {
			return syntax.Name{}, false
		}
		return s.NameOf(o), true
	})
	if err != nil {
		return text
	}
	return out
}

// bindDefault has the sequences and the functions in a default stand by their ids, so that the default
// follows them when they are renamed.
func (s Scope) bindDefault(text string) (string, error) {
	text, err := syntax.BareEnums(text, s.isEnum)
	if err != nil {
		return "", err
	}
	text, err = syntax.BindSequences(text, func(name syntax.Name) (uint64, error) {
		o, err := s.Sequence(name)
		if err != nil {
			return 0, err
		}
		return uint64(o.ID), nil
	})
	if err != nil || s.Bind == nil || text == "" {
		return text, err
	}
	return s.Bind(s, nil, text)
}

// CreateSequence makes a sequence in the draft of scope; existed says that IF NOT EXISTS
// found something.
func (c *Catalog) CreateSequence(ctx context.Context, in Scope, stmt *syntax.CreateSequence, by string) (next *Draft, existed bool, err error) {
	if err := checkName(stmt.Name.Name, stmt.Name.Position); err != nil {
		return nil, false, err
	}
	schema, err := in.creationSchema(stmt.Name)
	if err != nil {
		return nil, false, err
	}
	if _, taken := in.find(schema.ID, cluster.RelationNames, stmt.Name.Name); taken {
		if stmt.IfNotExists {
			return in.Draft, true, nil
		}
		return nil, false, &syntax.Error{Code: "42P07", Message: fmt.Sprintf("relation %q already exists", stmt.Name.Name)}
	}
	s := &cluster.Sequence{Type: datum.Int8.String(), Increment: 1, Cache: 1}
	if err := setSequence(s, &stmt.Options, true); err != nil {
		return nil, false, err
	}
	o := &cluster.Object{Parent: schema.ID, Kind: cluster.KindSequence, Name: stmt.Name.Name, Owner: by, Sequence: s}
	next = in.Draft.clone()
	next.rest(schema)
	if err := in.own(next, o, &stmt.Options); err != nil {
		return nil, false, err
	}
	if o.ID, err = c.NewID(ctx); err != nil {
		return nil, false, err
	}
	in.born(o)
	next.add(o)
	return next, false, nil
}

// own carries out OWNED BY.
func (s Scope) own(next *Draft, o *cluster.Object, options *syntax.SequenceOptions) error {
	if options.OwnedByNone {
		o.Sequence.OwnedBy, o.Needs = nil, nil
	}
	if options.OwnedBy == nil {
		return nil
	}
	t, ok := s.Relation(options.OwnedBy.Name)
	switch {
	case !ok:
		return &syntax.Error{Code: "42P01", Message: fmt.Sprintf("relation %q does not exist", written(options.OwnedBy.Name))}
	case t.Collection == nil:
		return &syntax.Error{Code: "42809", Message: fmt.Sprintf("sequence cannot be owned by relation %q", t.Name)}
	case t.Parent != o.Parent:
		return &syntax.Error{Code: "55000", Message: "sequence must be in same schema as table it is linked to"}
	}
	column, ok := t.Collection.Column(options.OwnedBy.Part)
	if !ok || column.Hidden {
		return &syntax.Error{Code: "42703", Message: fmt.Sprintf("column %q of relation %q does not exist", options.OwnedBy.Part, t.Name)}
	}
	next.rest(t)
	o.Sequence.OwnedBy, o.Needs = &cluster.ColumnRef{Table: t.ID, Column: column.ID}, []cluster.ObjectID{t.ID}
	return nil
}

// AlterSequence changes a sequence in the draft of scope; at is how far it has come.
// altered is nil if IF EXISTS did not find it.
func (c *Catalog) AlterSequence(in Scope, stmt *syntax.AlterSequence, at func(*cluster.Object) cluster.SequencePlace) (next *Draft, altered *cluster.Object, err error) {
	if _, ok := in.Relation(stmt.Name); !ok && stmt.IfExists {
		return in.Draft, nil, nil
	}
	old, err := in.Sequence(stmt.Name)
	if err != nil {
		return nil, nil, err
	}
	if old.Sequence.Identity && (stmt.Options.OwnedBy != nil || stmt.Options.OwnedByNone) {
		return nil, nil, &syntax.Error{Code: "0A000", Message: "cannot change ownership of identity sequence",
			Detail: fmt.Sprintf("Sequence %q is linked to a table's column.", old.Name)}
	}
	next = in.Draft.clone()
	o := *old
	s := *old.Sequence
	o.Sequence = &s
	if err := in.own(next, &o, &stmt.Options); err != nil {
		return nil, nil, err
	}
	if err := alterSequence(&s, &stmt.Options, at(old)); err != nil {
		return nil, nil, err
	}
	next.alter(in, old, &o)
	return next, &o, nil
}

// alterSequence applies options to a sequence that has come as far as place.
func alterSequence(s *cluster.Sequence, options *syntax.SequenceOptions, place cluster.SequencePlace) error {
	if err := setSequence(s, options, false); err != nil {
		return err
	}
	if options.Restart {
		place = cluster.SequencePlace{Last: s.Start}
		if options.RestartWith != nil {
			place.Last = *options.RestartWith
		}
	}
	if place.Last < s.Min || place.Last > s.Max {
		return outside("RESTART", place.Last, s)
	}
	if options.Restart || s.From != nil {
		s.From = &place
	}
	return nil
}

// setSequence applies options to s, which is new or has all set.
func setSequence(s *cluster.Sequence, options *syntax.SequenceOptions, isNew bool) error {
	invalid := func(format string, args ...any) error {
		return &syntax.Error{Code: "22023", Message: fmt.Sprintf(format, args...)}
	}
	oldLow, oldHigh := bounds(s)
	if options.Type != nil {
		t, _, err := ResolveType(*options.Type)
		if err != nil {
			return err
		}
		if !t.IsInt() {
			return invalid("sequence type must be smallint, integer, or bigint")
		}
		s.Type = t.String()
	}
	low, high := bounds(s)
	if options.Increment != nil {
		if s.Increment = *options.Increment; s.Increment == 0 {
			return invalid("INCREMENT must not be zero")
		}
	}
	resetMax := isNew || options.NoMaxValue || options.Type != nil && s.Max == oldHigh
	resetMin := isNew || options.NoMinValue || options.Type != nil && s.Min == oldLow
	up := s.Increment > 0
	switch {
	case options.MaxValue != nil:
		s.Max = *options.MaxValue
	case resetMax && up:
		s.Max = high
	case resetMax:
		s.Max = -1
	}
	switch {
	case options.MinValue != nil:
		s.Min = *options.MinValue
	case resetMin && up:
		s.Min = 1
	case resetMin:
		s.Min = low
	}
	name := datum.Int8.SQLName()
	if t, ok := datum.TypeByName(s.Type); ok {
		name = t.SQLName()
	}
	switch {
	case s.Max < low || s.Max > high:
		return invalid("MAXVALUE (%d) is out of range for sequence data type %s", s.Max, name)
	case s.Min < low || s.Min > high:
		return invalid("MINVALUE (%d) is out of range for sequence data type %s", s.Min, name)
	case s.Min >= s.Max:
		return invalid("MINVALUE (%d) must be less than MAXVALUE (%d)", s.Min, s.Max)
	}
	return finishSequence(s, options, isNew)
}

// finishSequence applies the options that do not bear on the bounds.
func finishSequence(s *cluster.Sequence, options *syntax.SequenceOptions, isNew bool) error {
	switch {
	case options.Start != nil:
		s.Start = *options.Start
	case isNew && s.Increment > 0:
		s.Start = s.Min
	case isNew:
		s.Start = s.Max
	}
	if s.Start < s.Min || s.Start > s.Max {
		return outside("START", s.Start, s)
	}
	if options.Cache != nil {
		if s.Cache = *options.Cache; s.Cache < 1 {
			return &syntax.Error{Code: "22023", Message: fmt.Sprintf("CACHE (%d) must be greater than zero", s.Cache)}
		}
	}
	if options.Cycle != nil {
		s.Cycle = *options.Cycle
	}
	return nil
}

func outside(what string, v int64, s *cluster.Sequence) error {
	if v < s.Min {
		return &syntax.Error{Code: "22023", Message: fmt.Sprintf("%s value (%d) cannot be less than MINVALUE (%d)", what, v, s.Min)}
	}
	return &syntax.Error{Code: "22023", Message: fmt.Sprintf("%s value (%d) cannot be greater than MAXVALUE (%d)", what, v, s.Max)}
}

// bounds are those of the sequence's type.
func bounds(s *cluster.Sequence) (low, high int64) {
	switch s.Type {
	case datum.Int2.String():
		return math.MinInt16, math.MaxInt16
	case datum.Int4.String():
		return math.MinInt32, math.MaxInt32
	default:
		return math.MinInt64, math.MaxInt64
	}
}

// AdvanceSequence takes numbers of a sequence.
func (c *Catalog) AdvanceSequence(ctx context.Context, id cluster.ObjectID, count int64) (*metastate.Numbers, error) {
	result, err := c.meta.Propose(ctx, metastate.Command{Via: metastate.ViaAgent, AdvanceSequence: &metastate.AdvanceSequence{ID: id, Count: count}})
	if err == nil {
		err = result.Err()
	}
	return result.Numbers, err
}

// SetSequence has a sequence go on from a place, and returns when this node knows.
func (c *Catalog) SetSequence(ctx context.Context, id cluster.ObjectID, to cluster.SequencePlace) error {
	_, err := c.propose(ctx, metastate.Command{Via: metastate.ViaAgent, SetSequence: &metastate.SetSequence{ID: id, To: to}})
	return err
}

// Continue has sequences that a transaction has made, or restarted, go on from where it
// has come with them.
func (d *Draft) Continue(placeOf func(*cluster.Object) cluster.SequencePlace) *Draft {
	if d == nil {
		return d
	}
	next := d.clone()
	for id, o := range d.put {
		if o != nil && o.Sequence != nil && d.Holds(o) {
			s, place := *o.Sequence, placeOf(o)
			s.From = &place
			made := *o
			made.Sequence = &s
			next.put[id] = &made
		}
	}
	return next
}

// Holds reports whether the numbers of a sequence are the transaction's own until COMMIT:
// it has made it, or restarted it.
func (d *Draft) Holds(o *cluster.Object) bool { return o.Sequence.From != nil || d.Made(o.ID) }

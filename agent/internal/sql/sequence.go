package sql

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
	"github.com/nodedb/nodedb/agent/internal/store"
)

const (
	// firstBlock is how many numbers of a sequence a node asks for at first, and mostBlock
	// at most, unless CACHE wants more: each block costs a round of the meta range, and
	// what a node has left of it when it stops is a gap.
	firstBlock = 32
	mostBlock  = 256
	// mostNumbers is how many the meta range gives out at once.
	mostNumbers = 1 << 20
)

// sequences are the blocks of numbers that this node has taken, for all sessions.
type sequences struct {
	catalog *catalog.Catalog
	planted Planted
	mu      struct {
		sync.Mutex
		blocks map[cluster.ObjectID]*block
	}
}

// block is what a node has of the numbers of one sequence.
type block struct {
	turn chan struct{} // holds a token while nobody takes numbers
	// What follows is of whoever has the token.
	numbers metastate.Numbers
	used    int64 // of numbers.Count
	size    int64 // of the next block
}

func newSequences(c *catalog.Catalog) *sequences {
	s := &sequences{catalog: c}
	s.mu.blocks = map[cluster.ObjectID]*block{}
	return s
}

// of returns the node's block of a sequence.
func (s *sequences) of(id cluster.ObjectID) *block {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.mu.blocks[id]
	if !ok {
		if len(s.mu.blocks) > len(s.catalog.View().Sequences)+1000 {
			clear(s.mu.blocks) // what was dropped would stay for ever; of the others, a gap
		}
		b = &block{turn: make(chan struct{}, 1), size: firstBlock}
		b.turn <- struct{}{}
		s.mu.blocks[id] = b
	}
	return b
}

// next returns the next number of a sequence, which nobody else has or will have.
func (s *sequences) next(ctx context.Context, o *cluster.Object) (int64, error) {
	b := s.of(o.ID)
	select {
	case <-b.turn:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { b.turn <- struct{}{} }()
	if b.used == b.numbers.Count || s.void(o.ID, b.numbers.Epoch) {
		if err := s.refill(ctx, o, b); err != nil {
			return 0, err
		}
	}
	b.used++
	return b.numbers.First + (b.used-1)*b.numbers.Increment, nil
}

// void reports whether blocks of the epoch count no more.
func (s *sequences) void(id cluster.ObjectID, epoch uint64) bool {
	state := s.catalog.View().Sequences[id]
	return state != nil && state.Epoch > epoch
}

// refill takes another block. One whose answer is lost is nobody's: another is asked for.
func (s *sequences) refill(ctx context.Context, o *cluster.Object, b *block) error {
	b.numbers, b.used = metastate.Numbers{}, 0
	for {
		count := min(max(b.size, o.Sequence.Cache), mostNumbers)
		before := s.catalog.View().Sequences[o.ID]
		numbers, err := s.catalog.AdvanceSequence(ctx, o.ID, count)
		var ambiguous *store.AmbiguousError
		var refusal *metastate.Refusal
		switch {
		case errors.As(err, &ambiguous) && s.planted.guessBlock():
			b.numbers = metastate.Numbers{First: before.Last + 1, Count: count, Increment: 1, Epoch: before.Epoch}
			return nil
		case errors.As(err, &ambiguous) && ctx.Err() == nil:
			continue
		case errors.As(err, &refusal) && refusal.Code == metastate.CodeExhausted:
			return exhausted(o)
		case errors.As(err, &refusal) && refusal.Code == metastate.CodeNotFound:
			return noRelation(o.Name)
		case err != nil:
			return fmt.Errorf("ask for numbers of sequence %q: %w", o.Name, err)
		}
		b.numbers, b.size = *numbers, min(2*b.size, mostBlock)
		return nil
	}
}

// place is how far a sequence has come, by what this node knows: of the newest block, if
// it is this node's, what it has given of it.
func (s *sequences) place(o *cluster.Object) cluster.SequencePlace {
	state := s.catalog.View().Sequences[o.ID]
	if state == nil {
		return cluster.SequencePlace{Last: o.Sequence.Start}
	}
	b := s.of(o.ID)
	select {
	case <-b.turn:
	default: // somebody takes numbers right now
		return state.SequencePlace
	}
	defer func() { b.turn <- struct{}{} }()
	last := b.numbers.First + (b.numbers.Count-1)*b.numbers.Increment
	if b.used > 0 && state.Called && state.Epoch == b.numbers.Epoch && state.Last == last {
		return cluster.SequencePlace{Last: b.numbers.First + (b.used-1)*b.numbers.Increment, Called: true}
	}
	return state.SequencePlace
}

func exhausted(o *cluster.Object) *Error {
	if o.Sequence.Increment > 0 {
		return &Error{Code: "2200H", Message: fmt.Sprintf("nextval: reached maximum value of sequence %q (%d)", o.Name, o.Sequence.Max)}
	}
	return &Error{Code: "2200H", Message: fmt.Sprintf("nextval: reached minimum value of sequence %q (%d)", o.Name, o.Sequence.Min)}
}

func noRelation(name string) *Error {
	return &Error{Code: "42P01", Message: fmt.Sprintf("relation %q does not exist", name)}
}

// numbering is what a session knows of sequences.
type numbering struct {
	// values are what nextval and setval have given to the session; last is the sequence
	// of the last nextval.
	values map[cluster.ObjectID]int64
	last   cluster.ObjectID
	// places are those of sequences that the transaction has made or restarted.
	places map[ownPlace]cluster.SequencePlace
}

// ownPlace is a sequence since it was made, or restarted: a transaction that goes back to
// a savepoint before that goes on from where it was then.
type ownPlace struct {
	id    cluster.ObjectID
	since *cluster.SequencePlace
}

func (n *numbering) note(id cluster.ObjectID, value int64) {
	if n.values == nil {
		n.values = map[cluster.ObjectID]int64{}
	}
	n.values[id] = value
}

// sequence carries out nextval and its like.
func (s *Session) sequence(ctx context.Context, call queryplan.SequenceCall) (int64, error) {
	if call.Function == "lastval" {
		v, ok := s.numbering.values[s.numbering.last]
		o, there := s.scope().Object(s.numbering.last)
		if !ok || !there {
			return 0, &Error{Code: "55000", Message: "lastval is not yet defined in this session"}
		}
		return v, s.permitSequence(o, call)
	}
	o, err := s.calledSequence(call)
	if err != nil {
		return 0, err
	}
	if err := s.permitSequence(o, call); err != nil {
		return 0, err
	}
	if call.Function == "currval" {
		v, ok := s.numbering.values[o.ID]
		if !ok {
			return 0, &Error{Code: "55000", Message: fmt.Sprintf("currval of sequence %q is not yet defined in this session", o.Name)}
		}
		return v, nil
	}
	if s.current().readOnly {
		return 0, &Error{Code: "25006", Message: "cannot execute " + call.Function + "() in a read-only transaction"}
	}
	if call.Function == "setval" {
		return call.Value, s.setval(ctx, o, call)
	}
	v, err := s.nextval(ctx, o)
	if err == nil {
		s.numbering.note(o.ID, v)
		s.numbering.last = o.ID
	}
	return v, err
}

// permitSequence refuses calls that the session's role may not make. The numbers of an
// identity go with its column.
func (s *Session) permitSequence(o *cluster.Object, call queryplan.SequenceCall) error {
	enough := cluster.Usage | cluster.Select
	switch {
	case o.Sequence.Identity && call.Stored:
		return nil
	case call.Function == "nextval":
		enough = cluster.Usage | cluster.Update
	case call.Function == "setval":
		enough = cluster.Update
	}
	if s.rights().Held(o, enough) != 0 {
		return nil
	}
	return s.denied(call.Function, catalog.Denied(o))
}

// calledSequence is the sequence that a call is of.
func (s *Session) calledSequence(call queryplan.SequenceCall) (*cluster.Object, error) {
	if call.ID != 0 {
		o, ok := s.server.catalog.Scope(s.draft, s.database, nil).Object(call.ID)
		if !ok || o.Sequence == nil {
			return nil, &Error{Code: "42P01", Message: "the sequence does not exist any more"}
		}
		return o, nil
	}
	name, err := syntax.RelationName(call.Name)
	if err != nil {
		return nil, err
	}
	return s.scope().Sequence(name)
}

func (s *Session) nextval(ctx context.Context, o *cluster.Object) (int64, error) {
	if !s.draft.Holds(o) {
		return s.server.sequences.next(ctx, o)
	}
	one, place, ok := o.Sequence.Advance(s.placeOf(o), 1)
	if !ok {
		return 0, exhausted(o)
	}
	s.setPlace(o, place)
	return one.First, nil
}

// placeOf is how far a sequence has come, as the session sees it.
func (s *Session) placeOf(o *cluster.Object) cluster.SequencePlace {
	if !s.draft.Holds(o) {
		return s.server.sequences.place(o)
	}
	if place, ok := s.numbering.places[ownPlace{o.ID, o.Sequence.From}]; ok {
		return place
	}
	if o.Sequence.From != nil {
		return *o.Sequence.From
	}
	return cluster.SequencePlace{Last: o.Sequence.Start}
}

func (s *Session) setPlace(o *cluster.Object, place cluster.SequencePlace) {
	if s.numbering.places == nil {
		s.numbering.places = map[ownPlace]cluster.SequencePlace{}
	}
	s.numbering.places[ownPlace{o.ID, o.Sequence.From}] = place
}

func (s *Session) setval(ctx context.Context, o *cluster.Object, call queryplan.SequenceCall) error {
	if call.Value < o.Sequence.Min || call.Value > o.Sequence.Max {
		return &Error{Code: "22003", Message: fmt.Sprintf("setval: value %d is out of bounds for sequence %q (%d..%d)", call.Value, o.Name, o.Sequence.Min, o.Sequence.Max)}
	}
	place := cluster.SequencePlace{Last: call.Value, Called: call.Called}
	if s.draft.Holds(o) {
		s.setPlace(o, place)
	} else {
		if err := s.server.catalog.SetSequence(ctx, o.ID, place); err != nil {
			return err
		}
		s.settle(ctx) // the blocks of other nodes are void
	}
	if call.Called {
		s.numbering.note(o.ID, call.Value)
	}
	return nil
}

// serialSequence is pg_get_serial_sequence.
func (s *Session) serialSequence(table, column string) (string, error) {
	name, err := syntax.RelationName(table)
	if err != nil {
		return "", err
	}
	scope := s.scope()
	t, err := scope.Resolve(name)
	if err != nil {
		return "", err
	}
	i, ok := t.ColumnIndex(column)
	if !ok {
		return "", &Error{Code: "42703", Message: fmt.Sprintf("column %q of relation %q does not exist", column, t.Name())}
	}
	for _, o := range scope.OwnedBy(t.ObjectID(), t.Columns[i].ID) {
		return syntax.QuoteName(syntax.Name{Schema: t.Schema().Name, Name: o.Name}), nil
	}
	return "", nil
}

func (s *Session) createSequence(ctx context.Context, node *syntax.CreateSequence) (string, error) {
	temporary, err := s.forTemporary(node.Temporary, node.Name)
	if err != nil {
		return "", err
	}
	existed := false
	err = s.changeObjects(ctx, "CREATE SEQUENCE", func(in catalog.Scope) (next *catalog.Draft, err error) {
		node := *node
		if temporary {
			if in, node.Name, err = s.inTemporary(ctx, in, node.Name); err != nil {
				return nil, err
			}
		}
		next, existed, err = s.server.catalog.CreateSequence(ctx, in, &node, s.user)
		return next, err
	})
	if err == nil && existed {
		s.notice("NOTICE", "42P07", "relation %q already exists, skipping", node.Name.Name)
	}
	return "CREATE SEQUENCE", err
}

func (s *Session) alterSequence(ctx context.Context, node *syntax.AlterSequence) (string, error) {
	var altered *cluster.Object
	err := s.changeObjects(ctx, "ALTER SEQUENCE", func(in catalog.Scope) (next *catalog.Draft, err error) {
		next, altered, err = s.server.catalog.AlterSequence(in, node, s.placeOf)
		return next, err
	})
	if err == nil && altered == nil {
		s.notice("NOTICE", "00000", "relation %q does not exist, skipping", node.Name.Name)
	}
	return "ALTER SEQUENCE", err
}

func (s *Session) dropSequence(ctx context.Context, node *syntax.DropSequence) (string, error) {
	var told catalog.Dropped
	err := s.changeObjects(ctx, "DROP SEQUENCE", func(in catalog.Scope) (next *catalog.Draft, err error) {
		next, told, err = s.server.catalog.DropSequence(in, node)
		return next, err
	})
	if err != nil {
		return "", err
	}
	s.tellDropped(told, cluster.KindSequence)
	return "DROP SEQUENCE", nil
}

// tellDropped sends the notices of a DROP.
func (s *Session) tellDropped(told catalog.Dropped, kind cluster.ObjectKind) {
	for _, name := range told.Missing {
		s.notice("NOTICE", "00000", "%s %q does not exist, skipping", kind, name)
	}
	s.noticeCascade(told.Cascades)
}

// sequenceTable is what SELECT ... FROM sequence reads.
type sequenceTable struct{ id cluster.ObjectID }

func slowSequence(in catalog.Scope, o *cluster.Object, oid uint32) *duck.Table {
	schema, _ := in.Object(o.Parent)
	return &duck.Table{Schema: schema.Name, Name: o.Name, OID: oid, Ref: &sequenceTable{o.ID}, Columns: []duck.TableColumn{
		{Name: "last_value", Type: datum.Int8, Modifier: -1, NotNull: true},
		{Name: "log_cnt", Type: datum.Int8, Modifier: -1, NotNull: true},
		{Name: "is_called", Type: datum.Bool, Modifier: -1, NotNull: true},
	}}
}

func (s *Session) sequenceRows(t *sequenceTable) [][]datum.Datum {
	o, ok := s.scope().Object(t.id)
	if !ok {
		return nil // dropped since the statement was planned
	}
	place := s.placeOf(o)
	return [][]datum.Datum{{datum.MakeInt(datum.Int8, place.Last), datum.MakeInt(datum.Int8, 0), datum.MakeBool(place.Called)}}
}

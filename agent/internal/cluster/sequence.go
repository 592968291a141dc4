package cluster

import (
	"errors"
	"fmt"
)

// Sequence is what an object says that gives out numbers.
type Sequence struct {
	Type      string `json:"type"` // int2, int4 or int8
	Increment int64  `json:"increment"`
	Min       int64  `json:"min"`
	Max       int64  `json:"max"`
	Start     int64  `json:"start"`
	// Cache is how many numbers are taken at once, at least.
	Cache int64 `json:"cache"`
	Cycle bool  `json:"cycle,omitempty"`
	// OwnedBy is the column that it goes with; nil: none.
	OwnedBy *ColumnRef `json:"ownedBy,omitempty"`
	// Identity says that it is the identity of that column.
	Identity bool `json:"identity,omitempty"`
	// From, of one that is put, says where it is to go on; nil: where it is. It is never
	// stored.
	From *SequencePlace `json:"from,omitempty"`
}

// ColumnRef names a column for ever.
type ColumnRef struct {
	Table  ObjectID `json:"table"`
	Column ColumnID `json:"column"`
}

// SequencePlace is how far a sequence has come.
type SequencePlace struct {
	// Last is the last number that was given out, or the next one if Called is false.
	Last   int64 `json:"last"`
	Called bool  `json:"called,omitempty"`
}

// Block are numbers that were given out: Count of them, from First on.
type Block struct {
	First, Count int64
}

// validate says what is wrong with the sequence.
func (s *Sequence) validate() error {
	switch {
	case s.Type != "int2" && s.Type != "int4" && s.Type != "int8":
		return fmt.Errorf("a sequence has no numbers of the type %q", s.Type)
	case s.Increment == 0:
		return errors.New("a sequence does not stand still")
	case s.Min >= s.Max || s.Start < s.Min || s.Start > s.Max:
		return fmt.Errorf("it cannot start with %d between %d and %d", s.Start, s.Min, s.Max)
	case s.Cache < 1:
		return errors.New("it takes no numbers")
	case s.From != nil && (s.From.Last < s.Min || s.From.Last > s.Max):
		return fmt.Errorf("it cannot go on with %d between %d and %d", s.From.Last, s.Min, s.Max)
	}
	return nil
}

// SameNumbers reports whether s gives out the numbers that other does.
func (s *Sequence) SameNumbers(other *Sequence) bool {
	a, b := *s, *other
	a.OwnedBy, a.Identity, a.From, b.OwnedBy, b.Identity, b.From = nil, false, nil, nil, false, nil
	return a == b
}

// scarce is the part of what a sequence has left that one block may take, unless CACHE
// asks for more: short ones would be used up by blocks that nobody uses.
const scarce = 64

// Advance gives out the next numbers after p: count of them, or less near the end. ok is
// false if there is none left.
func (s *Sequence) Advance(p SequencePlace, count int64) (b Block, next SequencePlace, ok bool) {
	left := s.left(p.Last) // beyond Last
	first := p.Last
	switch {
	case p.Called && left == 0 && !s.Cycle:
		return Block{}, p, false
	case p.Called && left == 0:
		if first = s.Min; s.Increment < 0 {
			first = s.Max
		}
		left = s.left(first)
	case p.Called:
		first, left = p.Last+s.Increment, left-1
	}
	// left are those after first now.
	if most := max(uint64(s.Cache), left/scarce); uint64(count) > most { //nolint:gosec // both are at least 1
		count = int64(most) //nolint:gosec // less than count
	}
	if uint64(count) > left { //nolint:gosec // at least 1
		count = int64(left) + 1 //nolint:gosec // at most count
	}
	return Block{First: first, Count: count}, SequencePlace{Last: first + (count-1)*s.Increment, Called: true}, true
}

// left is how many numbers come after last.
func (s *Sequence) left(last int64) uint64 {
	if last < s.Min || last > s.Max { // of one that was altered meanwhile
		return 0
	}
	if s.Increment > 0 {
		return uint64(s.Max-last) / uint64(s.Increment) //nolint:gosec // the difference fits into 64 bits without a sign
	}
	return uint64(last-s.Min) / uint64(-s.Increment) //nolint:gosec // also of the least number
}

package cluster

import (
	"encoding/binary"
	"fmt"
)

// Boot is one start of a node: a number that grows by one with each start, and a
// random nonce that tells the starts of two copies of one disk apart.
type Boot uint64

// NewBoot makes a boot.
func NewBoot(number, nonce uint32) Boot { return Boot(number)<<32 | Boot(nonce) }

// Number is how many starts there were.
func (b Boot) Number() uint32 { return uint32(b >> 32) }

func (b Boot) String() string { return fmt.Sprintf("boot %d (%08x)", b.Number(), uint32(b)) }

// Mark says how far a store has come: which start of its node wrote it, and how
// many synced rounds of its log there were. Both only grow, so that a disk that
// went back in time is found by those who heard of a later mark.
type Mark struct {
	Boot  Boot
	Round uint64
}

// IsZero reports whether m is the mark of a store that has told none.
func (m Mark) IsZero() bool { return m == Mark{} }

// After reports whether m is later than o.
func (m Mark) After(o Mark) bool {
	return m.Boot > o.Boot || m.Boot == o.Boot && m.Round > o.Round
}

func (m Mark) String() string { return fmt.Sprintf("%s, round %d", m.Boot, m.Round) }

// Standing is what a store says of itself to its peers: where it is, and the mark
// that each of its starts found on disk before it wrote anything, the oldest
// first: the last of Past is what this start found. It is zero while a store is
// new.
type Standing struct {
	Now  Mark
	Past []Mark
}

// MaxPast bounds Past: a node that was started this often since it last met a
// peer is believed by it.
const MaxPast = 64

// Found is the mark that this start found.
func (s Standing) Found() Mark {
	if len(s.Past) == 0 {
		return s.Now
	}
	return s.Past[len(s.Past)-1]
}

// Behind reports whether a store that says s has lost, or never had, what known
// says that it told once. A start that s knows of must have left on disk what it
// told; one that s does not know of was that of another copy. Of this very start
// a peer may know more than a word that comes late says.
func (s Standing) Behind(known Mark) bool {
	if s.Now.IsZero() || known.IsZero() || known.Boot == s.Now.Boot {
		return false
	}
	for _, p := range s.Past {
		if p.Boot == known.Boot {
			return known.Round > p.Round
		}
	}
	oldest := s.Now
	if len(s.Past) > 0 {
		oldest = s.Past[0]
	}
	return known.Boot.Number() >= oldest.Boot.Number()
}

// MarkLen is the length of an encoded mark.
const MarkLen = 16

// Append appends m to b.
func (m Mark) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, uint64(m.Boot)), m.Round)
}

// DecodeMark reads a mark off the front of b; ok is false if b is too short.
func DecodeMark(b []byte) (m Mark, rest []byte, ok bool) {
	if len(b) < MarkLen {
		return m, nil, false
	}
	return Mark{Boot: Boot(binary.BigEndian.Uint64(b)), Round: binary.BigEndian.Uint64(b[8:])}, b[MarkLen:], true
}

// AppendPast appends the marks of starts to b.
func AppendPast(b []byte, past []Mark) []byte {
	b = append(b, byte(len(past)))
	for _, m := range past {
		b = m.Append(b)
	}
	return b
}

// DecodePast reads them off the front of b; ok is false if b is too short or they
// are too many.
func DecodePast(b []byte) (past []Mark, rest []byte, ok bool) {
	if len(b) == 0 || b[0] > MaxPast {
		return nil, nil, false
	}
	count, b := int(b[0]), b[1:]
	for range count {
		var m Mark
		if m, b, ok = DecodeMark(b); !ok {
			return nil, nil, false
		}
		past = append(past, m)
	}
	return past, b, true
}

// Append appends s to b.
func (s Standing) Append(b []byte) []byte { return AppendPast(s.Now.Append(b), s.Past) }

// DecodeStanding reads a standing off the front of b; ok is false if it is
// malformed.
func DecodeStanding(b []byte) (s Standing, rest []byte, ok bool) {
	if s.Now, b, ok = DecodeMark(b); !ok {
		return s, nil, false
	}
	s.Past, b, ok = DecodePast(b)
	return s, b, ok
}

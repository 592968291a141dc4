package cluster

import (
	"encoding/binary"
	"fmt"
)

// Mark says how far a store has come: which start of its node wrote it, and how
// many synced rounds of its log there were. Both only grow, so that a disk that
// went back in time is found by those who heard of a later mark.
type Mark struct {
	Boot  uint64 `json:"boot"`
	Round uint64 `json:"round"`
}

// IsZero reports whether m is the mark of a store that has told none.
func (m Mark) IsZero() bool { return m == Mark{} }

// After reports whether m is later than o.
func (m Mark) After(o Mark) bool {
	return m.Boot > o.Boot || m.Boot == o.Boot && m.Round > o.Round
}

func (m Mark) String() string { return fmt.Sprintf("boot %d, round %d", m.Boot, m.Round) }

// Standing is what a store says of itself to its peers: where it is, and what
// this start of it found on disk before it wrote anything. The two are the same
// until enough peers have said that they know of nothing later.
type Standing struct {
	Now, Found Mark
}

// Behind reports whether a store that says s has lost, or never had, what known
// says that it told once. known may be of this start, and then says nothing: what
// came before was compared when the first word of this start was heard. A store
// that was empty has lost nothing; it must only begin above what is known.
func (s Standing) Behind(known Mark) bool {
	if s.Found.IsZero() {
		return !s.Now.IsZero() && known.Boot > s.Now.Boot
	}
	return known.After(s.Found) && (s.Now == s.Found || known.Boot != s.Now.Boot)
}

// StandingLen is the length of an encoded standing, MarkLen of a mark.
const (
	StandingLen = 2 * MarkLen
	MarkLen     = 16
)

// Append appends m to b.
func (m Mark) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, m.Boot), m.Round)
}

// Append appends s to b.
func (s Standing) Append(b []byte) []byte { return s.Found.Append(s.Now.Append(b)) }

// DecodeMark reads a mark off the front of b; ok is false if b is too short.
func DecodeMark(b []byte) (m Mark, rest []byte, ok bool) {
	if len(b) < MarkLen {
		return m, nil, false
	}
	return Mark{Boot: binary.BigEndian.Uint64(b), Round: binary.BigEndian.Uint64(b[8:])}, b[MarkLen:], true
}

// DecodeStanding reads a standing off the front of b; ok is false if b is too
// short.
func DecodeStanding(b []byte) (s Standing, rest []byte, ok bool) {
	if len(b) < StandingLen {
		return s, nil, false
	}
	s.Now, b, _ = DecodeMark(b)
	s.Found, b, _ = DecodeMark(b)
	return s, b, true
}

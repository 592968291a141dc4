package keys

import (
	"encoding/binary"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// A version's key is its row's, which ends in the terminator, and the suffix: the
// inverted timestamp, so that the newest version comes first, and the suffix's own
// length, by which a suffix is known.
const (
	terminator byte = 0x00
	suffixByte byte = SuffixLen

	// SuffixLen is the length of what makes a version's key of its row's.
	SuffixLen = 8 + 1
)

// minVersion is the length of the shortest version's key. What is not longer than
// the head of a row is never split: a bound of vshards or collections may end in
// any byte.
const minVersion = RowLen + 1 + SuffixLen

// Split returns the length of a version's row; the length of key, if key is no
// version's. It tells them by key alone: rows and bounds inside a collection end in
// the terminator, and no other space has versions.
func Split(key []byte) int {
	n := len(key)
	if n >= minVersion && key[0] == spaceData && key[n-1] == suffixByte && key[n-1-SuffixLen] == terminator {
		return n - SuffixLen
	}
	return n
}

// Suffix is what a version at ts adds to its row.
func Suffix(ts hlc.Timestamp) [SuffixLen]byte {
	var s [SuffixLen]byte
	binary.BigEndian.PutUint64(s[:], ^uint64(ts))
	s[SuffixLen-1] = suffixByte
	return s
}

// Version is the key of one version of a row: newest first under Row.
func Version(row []byte, ts hlc.Timestamp) []byte {
	s := Suffix(ts)
	return append(append(make([]byte, 0, len(row)+SuffixLen), row...), s[:]...)
}

// SuffixTime returns the timestamp of a version's suffix: what Split leaves.
func SuffixTime(suffix []byte) (ts hlc.Timestamp, ok bool) {
	if len(suffix) != SuffixLen {
		return 0, false
	}
	return hlc.Timestamp(^binary.BigEndian.Uint64(suffix)), true
}

// DecodeVersion splits a key made by Version. row aliases key.
func DecodeVersion(key []byte) (row []byte, ts hlc.Timestamp, err error) {
	n := Split(key)
	ts, ok := SuffixTime(key[n:])
	if !ok {
		return nil, 0, fmt.Errorf("%w: row version % x", ErrMalformed, key)
	}
	return key[:n:n], ts, nil
}

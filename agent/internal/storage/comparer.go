package storage

import (
	"bytes"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"

	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
)

// comparer orders keys by row, and the versions of a row by their suffix: newest
// first. Its name is in every store, and stands for this order and for Split.
var comparer = &pebble.Comparer{ //nolint:gochecknoglobals // a table of functions
	Name:                 "nodedb.v2",
	Split:                keys.Split,
	Compare:              compare,
	Equal:                bytes.Equal, // Split is decided by the bytes alone
	ComparePointSuffixes: bytes.Compare,
	CompareRangeSuffixes: bytes.Compare,
	// The first 8 bytes: none of a version's suffix is among them.
	AbbreviatedKey:     pebble.DefaultComparer.AbbreviatedKey,
	FormatKey:          pebble.DefaultComparer.FormatKey,
	Separator:          separator,
	Successor:          successor,
	ImmediateSuccessor: func(dst, row []byte) []byte { return append(append(dst, row...), 0) },
}

// compare is bytes.Compare but where one row's key is the head of another's: its
// versions still sort before that row.
func compare(a, b []byte) int {
	an, bn := keys.Split(a), keys.Split(b)
	if c := bytes.Compare(a[:an], b[:bn]); c != 0 {
		return c
	}
	return bytes.Compare(a[an:], b[bn:])
}

// separator appends a short key that is at or after a and before b: one between
// their rows, if that is no version by chance.
func separator(dst, a, b []byte) []byte {
	row := a[:keys.Split(a)]
	n := len(dst)
	dst = pebble.DefaultComparer.Separator(dst, row, b[:keys.Split(b)])
	return orItself(dst, n, a, row)
}

// successor appends a short key that is at or after a.
func successor(dst, a []byte) []byte {
	row := a[:keys.Split(a)]
	n := len(dst)
	return orItself(pebble.DefaultComparer.Successor(dst, row), n, a, row)
}

// orItself returns dst if what was appended at n is a bare key above row, and
// puts a there otherwise.
func orItself(dst []byte, n int, a, row []byte) []byte {
	if got := dst[n:]; bytes.Equal(got, row) || keys.Split(got) < len(got) {
		return append(dst[:n], a...)
	}
	return dst
}

// timesName is the block property that says from when to when the versions of a
// block, an index block or a table are.
const timesName = "nodedb.times"

// times maps a version to its timestamp. Keys of other spaces have none: a block
// without versions has an empty interval, and no filter of times finds it.
type times struct{}

func (times) MapPointKey(key pebble.InternalKey, _ []byte) (sstable.BlockInterval, error) {
	ts, ok := keys.SuffixTime(key.UserKey[keys.Split(key.UserKey):])
	if !ok {
		return sstable.BlockInterval{}, nil
	}
	return interval(ts, ts), nil
}

func (times) MapRangeKeys(sstable.Span) (sstable.BlockInterval, error) {
	return sstable.BlockInterval{}, nil // nobody writes any
}

// interval is [from, to] in Pebble's half-open form. The end of time, where intents
// are to be, shares its last moment with the one before.
func interval(from, to hlc.Timestamp) sstable.BlockInterval {
	const last = uint64(hlc.Max) - 1
	return sstable.BlockInterval{Lower: min(uint64(from), last), Upper: min(uint64(to), last) + 1}
}

func newTimes() pebble.BlockPropertyCollector {
	return sstable.NewBlockIntervalCollector(timesName, times{}, nil)
}

func timesFilter(from, to hlc.Timestamp) pebble.BlockPropertyFilter {
	i := interval(from, to)
	return sstable.NewBlockIntervalFilter(timesName, i.Lower, i.Upper, nil)
}

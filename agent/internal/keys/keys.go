// Package keys encodes every key the node stores.
//
// docs/FORMATS.md holds the bytes. Key spaces of the one Pebble:
//
//	0x01 store identity, tombstones           (this node only)
//	0x02 raft: range id, then hard state, log (this replica only)
//	0x03 range-local replicated state: range id, then descriptor, applied state, fence,
//	     ids of applied commands; the meta range's records are here too
//	0x04 data: pool, vshard, collection, space, encoded primary key, 00, then of a
//	     version ^timestamp and 09
//
// A data range is exactly two spans: its range-local span and the data span
// between its bounds. The meta range is its range-local span.
//
// # Invariants
//
//  1. Encodings are order-preserving and prefix-free within a space.
//  2. Every decoder returns an error for malformed input; none panics (fuzzed).
//  3. Split of a key or bound is decided by its bytes alone. A bound in the data
//     space is a row, ends in the terminator, or is not longer than the head of a
//     row: none looks like a version.
package keys

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// The key spaces.
const (
	spaceStore byte = 0x01
	spaceRaft  byte = 0x02
	spaceRange byte = 0x03
	spaceData  byte = 0x04
	spaceLock  byte = 0x05
)

// Suffixes in the raft space, after the range id.
const (
	raftHardState byte = 'h'
	raftTruncated byte = 't'
	raftLog       byte = 'l'
	raftReplica   byte = 'i'
	raftLost      byte = 'x'
	raftChecksums byte = 'v'
)

// Suffixes in the range space, after the range id.
const (
	rangeDescriptor byte = 'd'
	rangeApplied    byte = 'a'
	rangeIDs        byte = 'i'
	rangeRecord     byte = 'm'
	rangeFence      byte = 'f'
)

// primarySpace is the space byte of rows in a data key; indexes get others.
const primarySpace byte = 0x00

// ErrMalformed marks a key that no encoder of this package made.
var ErrMalformed = errors.New("malformed key")

// Span is the half-open key interval [Start, End).
type Span struct{ Start, End []byte }

// Contains reports whether key lies in s, in the order of the store: a version lies
// where its row does, and no bound is a version.
func (s Span) Contains(key []byte) bool {
	row := key[:Split(key)]
	return string(row) >= string(s.Start) && string(row) < string(s.End)
}

// StoreAll holds the keys of the store itself.
func StoreAll() Span { return prefixSpan([]byte{spaceStore}) }

// StoreIdent is the key of the store's identity record.
func StoreIdent() []byte { return []byte{spaceStore, 's'} }

// StoreClock is the key of the clock's ceiling.
func StoreClock() []byte { return []byte{spaceStore, 'c'} }

// StoreMark is the key of the mark that the store has reached.
func StoreMark() []byte { return []byte{spaceStore, 'm'} }

// StoreStarts is the key of the marks that the starts of the store found.
func StoreStarts() []byte { return []byte{spaceStore, 'b'} }

// StoreGeneration is the key of how often the node's store was emptied.
func StoreGeneration() []byte { return []byte{spaceStore, 'g'} }

// StoreHeard is the key of the newest mark that was heard of a peer.
func StoreHeard(n cluster.NodeID) []byte {
	return binary.BigEndian.AppendUint32([]byte{spaceStore, 'h'}, uint32(n))
}

// StoreHeardAll holds the keys of all peers.
func StoreHeardAll() Span {
	return Span{Start: []byte{spaceStore, 'h'}, End: []byte{spaceStore, 'h' + 1}}
}

// DecodeStoreHeard returns the peer of such a key.
func DecodeStoreHeard(key []byte) (cluster.NodeID, error) {
	if len(key) != 6 || key[0] != spaceStore || key[1] != 'h' {
		return 0, ErrMalformed
	}
	return cluster.NodeID(binary.BigEndian.Uint32(key[2:])), nil
}

// ReplicaTombstone is the key of the record that outlives a replica: the next
// replica id that range id may have here.
func ReplicaTombstone(id cluster.RangeID) []byte {
	return binary.BigEndian.AppendUint64([]byte{spaceStore, 't'}, uint64(id))
}

// EmptiedReplica is the key of the record of a replica that went with an emptied store.
func EmptiedReplica(id cluster.RangeID) []byte {
	return binary.BigEndian.AppendUint64([]byte{spaceStore, 'e'}, uint64(id))
}

// EmptiedReplicas holds all of them.
func EmptiedReplicas() Span { return prefixSpan([]byte{spaceStore, 'e'}) }

// DecodeEmptiedReplica returns the range of such a key.
func DecodeEmptiedReplica(key []byte) (cluster.RangeID, error) {
	if len(key) != 10 || key[0] != spaceStore || key[1] != 'e' {
		return 0, fmt.Errorf("%w: emptied replica % x", ErrMalformed, key)
	}
	return cluster.RangeID(binary.BigEndian.Uint64(key[2:])), nil
}

func raftKey(id cluster.RangeID, suffix byte) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{spaceRaft}, uint64(id)), suffix)
}

// RaftHardState is the key of a replica's hard state.
func RaftHardState(id cluster.RangeID) []byte { return raftKey(id, raftHardState) }

// RaftTruncated is the key of the index and term that a replica's log starts after.
func RaftTruncated(id cluster.RangeID) []byte { return raftKey(id, raftTruncated) }

// RaftReplica is the key of the replica's own id.
func RaftReplica(id cluster.RangeID) []byte { return raftKey(id, raftReplica) }

// RaftChecksums is the key of what the replica was found to hold when it was
// compared with the others.
func RaftChecksums(id cluster.RangeID) []byte { return raftKey(id, raftChecksums) }

// RaftLost is the key of why a replica stopped for good.
func RaftLost(id cluster.RangeID) []byte { return raftKey(id, raftLost) }

// RaftEntry is the key of one log entry.
func RaftEntry(id cluster.RangeID, index uint64) []byte {
	return AppendRaftEntry(make([]byte, 0, RaftEntryLen), id, index)
}

// RaftEntryLen is the length of the key of a log entry.
const RaftEntryLen = 1 + 8 + 1 + 8

// AppendRaftEntry appends the key of one log entry to b.
func AppendRaftEntry(b []byte, id cluster.RangeID, index uint64) []byte {
	b = binary.BigEndian.AppendUint64(append(b, spaceRaft), uint64(id))
	return binary.BigEndian.AppendUint64(append(b, raftLog), index)
}

// RaftSpan holds everything of a replica's raft space.
func RaftSpan(id cluster.RangeID) Span { return prefixSpan(raftKey(id, 0)[:9]) }

// RaftAll holds the raft space of every replica.
func RaftAll() Span { return prefixSpan([]byte{spaceRaft}) }

// DecodeRaftRange returns the range id of a key in the raft space.
func DecodeRaftRange(key []byte) (cluster.RangeID, error) {
	if len(key) < 10 || key[0] != spaceRaft {
		return 0, fmt.Errorf("%w: raft key % x", ErrMalformed, key)
	}
	return cluster.RangeID(binary.BigEndian.Uint64(key[1:9])), nil
}

func rangeKey(id cluster.RangeID, suffix byte) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{spaceRange}, uint64(id)), suffix)
}

// RangeDescriptor is the key of the range's replicated descriptor.
func RangeDescriptor(id cluster.RangeID) []byte { return rangeKey(id, rangeDescriptor) }

// RangeApplied is the key of the applied state, written with every apply.
func RangeApplied(id cluster.RangeID) []byte { return rangeKey(id, rangeApplied) }

// RangeFence is the key of the range's fence: which collections are no more in it.
func RangeFence(id cluster.RangeID) []byte { return rangeKey(id, rangeFence) }

// AppliedIDs is the key of a part of the ids of commands that were applied in the
// round that ended at index. Older ones come first, so that those to forget are one
// span.
func AppliedIDs(id cluster.RangeID, index uint64, part uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(rangeKey(id, rangeIDs), index), part)
}

// AppliedIDsSpan holds the ids of all commands that are remembered.
func AppliedIDsSpan(id cluster.RangeID) Span { return prefixSpan(rangeKey(id, rangeIDs)) }

// DecodeAppliedIDs returns the index of such a key.
func DecodeAppliedIDs(key []byte) (index uint64, err error) {
	if len(key) != 22 || key[0] != spaceRange || key[9] != rangeIDs {
		return 0, fmt.Errorf("%w: ids of commands % x", ErrMalformed, key)
	}
	return binary.BigEndian.Uint64(key[10:18]), nil
}

// Record is the key of a record of a range-local state machine (the meta range).
func Record(id cluster.RangeID, kind string, key []byte) []byte {
	k := append(rangeKey(id, rangeRecord), kind...)
	return append(append(k, 0), key...)
}

// RecordSpan holds all records of the range's state machine.
func RecordSpan(id cluster.RangeID) Span { return prefixSpan(rangeKey(id, rangeRecord)) }

// DecodeRecord splits a key made by Record.
func DecodeRecord(key []byte) (kind string, rest []byte, err error) {
	if len(key) < 11 || key[0] != spaceRange || key[9] != rangeRecord {
		return "", nil, fmt.Errorf("%w: record key % x", ErrMalformed, key)
	}
	for i := 10; i < len(key); i++ {
		if key[i] == 0 {
			return string(key[10:i]), key[i+1:], nil
		}
	}
	return "", nil, fmt.Errorf("%w: record key % x has no kind", ErrMalformed, key)
}

// RangeSpan holds the range-local state of a range.
func RangeSpan(id cluster.RangeID) Span { return prefixSpan(rangeKey(id, 0)[:9]) }

// DataSpan holds all rows of pool p in [start, end).
func DataSpan(p cluster.PoolID, start, end cluster.Key) Span {
	return Span{dataKey(p, start), dataKey(p, end)}
}

// AllData holds the rows of all pools.
func AllData() Span { return prefixSpan([]byte{spaceData}) }

func dataKey(p cluster.PoolID, k cluster.Key) []byte {
	return append([]byte{spaceData, byte(p)}, k...)
}

// CollectionSpan holds all rows of one collection in one vshard.
func CollectionSpan(p cluster.PoolID, v cluster.VShard, c cluster.CollectionID) Span {
	return prefixSpan(collectionPrefix(p, v, c, 0))
}

// CollectionIn is the part of CollectionSpan that the range d owns; it may be empty.
func CollectionIn(d *cluster.RangeDescriptor, v cluster.VShard, c cluster.CollectionID) Span {
	all, own := CollectionSpan(d.Pool, v, c), DataSpan(d.Pool, d.Start, d.End)
	if bytes.Compare(own.Start, all.Start) > 0 {
		all.Start = own.Start
	}
	if bytes.Compare(own.End, all.End) < 0 {
		all.End = own.End
	}
	if bytes.Compare(all.Start, all.End) > 0 {
		all.End = all.Start
	}
	return all
}

// collectionPrefix returns what rows of a collection begin with, with room for more.
func collectionPrefix(p cluster.PoolID, v cluster.VShard, c cluster.CollectionID, room int) []byte {
	k := append(make([]byte, 0, RowLen+room), spaceData, byte(p))
	k = binary.BigEndian.AppendUint16(k, uint16(v))
	k = binary.BigEndian.AppendUint64(k, uint64(c))
	return append(k, primarySpace)
}

// RowLen is the length of a Row key before the primary key.
const RowLen = 1 + 1 + 2 + 8 + 1

// Row is the key prefix of every version of a row; primary is the encoded
// primary key, or the beginning of one: then it is the bound below all rows that
// begin so.
func Row(p cluster.PoolID, v cluster.VShard, c cluster.CollectionID, primary []byte) []byte {
	k := append(collectionPrefix(p, v, c, len(primary)+1), primary...)
	return append(k, terminator)
}

// RowEnd returns the bound after every version of row, and before the next row.
func RowEnd(row []byte) []byte {
	end := bytes.Clone(row)
	end[len(end)-1] = terminator + 1
	return end
}

// PoolOf returns the pool of a row.
func PoolOf(row []byte) cluster.PoolID { return cluster.PoolID(row[1]) }

// Bound returns the place of row in the key space of its pool.
func Bound(row []byte) cluster.Key { return cluster.Key(row[2:]) }

// Owns reports whether the range d owns row.
func Owns(d *cluster.RangeDescriptor, row []byte) bool {
	return !d.IsMeta() && len(row) > RowLen && row[0] == spaceData && row[1] == byte(d.Pool) &&
		string(row[2:]) >= string(d.Start) && string(row[2:]) < string(d.End)
}

// RowParts is what a row's key says.
type RowParts struct {
	Pool       cluster.PoolID
	VShard     cluster.VShard
	Collection cluster.CollectionID
	Primary    []byte // aliases the row
}

// DecodeRow splits a key made by Row.
func DecodeRow(row []byte) (RowParts, error) {
	if len(row) <= RowLen || row[0] != spaceData || row[len(row)-1] != terminator {
		return RowParts{}, fmt.Errorf("%w: row % x", ErrMalformed, row)
	}
	v := cluster.VShard(binary.BigEndian.Uint16(row[2:4]))
	if v >= cluster.VShards {
		return RowParts{}, fmt.Errorf("%w: row % x is of vshard %d", ErrMalformed, row, v)
	}
	return RowParts{
		Pool: cluster.PoolID(row[1]), VShard: v,
		Collection: cluster.CollectionID(binary.BigEndian.Uint64(row[4:12])), Primary: Primary(row),
	}, nil
}

// Primary returns the encoded primary key of a row. It aliases row.
func Primary(row []byte) []byte { return row[RowLen : len(row)-1] }

// VShardOf returns the vshard of a row: xxhash64(collection, primary key) mod 1024. Of an
// entry of an index it is that of the values that the index is over, so that rows with
// equal values have their entries in one.
func VShardOf(c cluster.CollectionID, primary []byte) cluster.VShard {
	return vshardOfHashed(c, hashed(primary))
}

func vshardOfHashed(c cluster.CollectionID, primary []byte) cluster.VShard {
	var h xxhash.Digest
	h.Reset()
	var id [8]byte
	binary.BigEndian.PutUint64(id[:], uint64(c))
	_, _ = h.Write(id[:])
	_, _ = h.Write(primary)
	return cluster.VShard(h.Sum64() % cluster.VShards)
}

// PrefixEnd returns the first key after all keys that begin with prefix.
func PrefixEnd(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return []byte{0xff}
}

func prefixSpan(prefix []byte) Span { return Span{prefix, PrefixEnd(prefix)} }

package raftlog

import (
	"fmt"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/invariant"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// cacheLimit is how many bytes of a log's tail stay in memory. Followers that
// keep up, and apply, read from there.
const cacheLimit = 256 << 10

// entryOverhead is roughly what an entry costs beyond its data.
const entryOverhead = 64

// Log is one replica's log. It satisfies raft.Storage.
type Log struct {
	id        cluster.RangeID
	r         storage.Reader
	confState func() *pb.ConfState
	snapshot  func() (*pb.Snapshot, error)

	hard      *pb.HardState // as loaded; raft knows the current one
	truncated Position
	last      uint64 // last durable index
	written   uint64 // last index that was handed out to be written
	bytes     int64  // estimate of the log's size on disk

	// cache holds the entries (last-len(cache), last].
	cache      []*pb.Entry
	cacheBytes int64
}

// Source is what raft asks of a replica beside its log.
type Source struct {
	ConfState func() *pb.ConfState
	Snapshot  func() (*pb.Snapshot, error)
}

// Load reads the log of a range. applied is the replica's applied index: the
// hard state's commit index, which is written without a sync, is raised to it.
func Load(r storage.Reader, id cluster.RangeID, applied uint64, src Source) (*Log, error) {
	l := &Log{id: id, r: r, confState: src.ConfState, snapshot: src.Snapshot}
	if err := l.loadState(applied); err != nil {
		return nil, fmt.Errorf("load log of %s: %w", id, err)
	}
	if err := l.loadBounds(); err != nil {
		return nil, fmt.Errorf("load log of %s: %w", id, err)
	}
	if l.truncated.Index > applied || l.last < applied {
		return nil, fmt.Errorf("load log of %s: %w: applied %d is outside of (%d, %d]", id, storage.ErrCorruption, applied, l.truncated.Index, l.last)
	}
	// A crash may lose entries that were committed elsewhere but not synced here,
	// and never acknowledged by this replica: raft learns the commit index again.
	if l.hard.GetCommit() > l.last {
		l.hard.Commit = new(l.last)
	}
	return l, nil
}

func (l *Log) loadState(applied uint64) error {
	v, ok, err := l.r.Get(keys.RaftTruncated(l.id))
	if err != nil {
		return err
	}
	if ok {
		if l.truncated, err = decodePosition(v); err != nil {
			return err
		}
	}
	l.hard = &pb.HardState{}
	if v, ok, err = l.r.Get(keys.RaftHardState(l.id)); err != nil {
		return err
	}
	if ok {
		if l.hard, err = decodeHardState(v); err != nil {
			return err
		}
	}
	if l.hard.GetCommit() < applied {
		l.hard.Commit = new(applied)
	}
	return nil
}

// loadBounds walks over the log once: it must be contiguous.
func (l *Log) loadBounds() error {
	span := keys.RaftSpan(l.id)
	it, err := l.r.NewIter(keys.RaftEntry(l.id, l.truncated.Index+1), span.End)
	if err != nil {
		return err
	}
	l.last = l.truncated.Index
	for ok := it.First(); ok && len(it.Key()) == keys.RaftEntryLen; ok = it.Next() {
		if string(it.Key()) != string(keys.RaftEntry(l.id, l.last+1)) {
			return joinClose(it, fmt.Errorf("%w: entry %d is missing", storage.ErrCorruption, l.last+1))
		}
		l.last++
		l.bytes += int64(len(it.Value()) + entryOverhead)
	}
	l.written = l.last
	return it.Close()
}

func joinClose(it *storage.Iterator, err error) error {
	if e := it.Close(); e != nil {
		return e
	}
	return err
}

// InitialState returns what was loaded.
func (l *Log) InitialState() (*pb.HardState, *pb.ConfState, error) { return l.hard, l.confState(), nil }

// FirstIndex returns the index after the truncated state.
func (l *Log) FirstIndex() (uint64, error) { return l.truncated.Index + 1, nil }

// LastIndex returns the last durable index.
func (l *Log) LastIndex() (uint64, error) { return l.last, nil }

// Truncated returns where the log begins.
func (l *Log) Truncated() Position { return l.truncated }

// Bytes estimates the log's size.
func (l *Log) Bytes() int64 { return l.bytes }

// Snapshot returns the replica's snapshot metadata.
func (l *Log) Snapshot() (*pb.Snapshot, error) { return l.snapshot() }

func (l *Log) cacheFirst() uint64 { return l.last - uint64(len(l.cache)) + 1 }

// Term returns the term of entry i.
func (l *Log) Term(i uint64) (uint64, error) {
	switch {
	case i == l.truncated.Index:
		return l.truncated.Term, nil
	case i < l.truncated.Index:
		return 0, raft.ErrCompacted
	case i > l.last:
		return 0, raft.ErrUnavailable
	case i >= l.cacheFirst():
		return l.cache[i-l.cacheFirst()].GetTerm(), nil
	}
	v, ok, err := l.r.Get(keys.RaftEntry(l.id, i))
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, fmt.Errorf("%w: entry %d of %s is missing", storage.ErrCorruption, i, l.id)
	}
	term, _, err := splitEntry(v)
	return term, err
}

// Entries returns the entries [lo, hi), as many as fit in maxSize but at least one.
func (l *Log) Entries(lo, hi, maxSize uint64) ([]*pb.Entry, error) {
	switch {
	case lo <= l.truncated.Index:
		return nil, raft.ErrCompacted
	case hi > l.last+1:
		return nil, raft.ErrUnavailable
	case lo >= hi:
		return nil, nil
	}
	first := l.cacheFirst()
	if lo >= first {
		es := l.cache[lo-first : hi-first : hi-first]
		return limitSize(es, maxSize), nil
	}
	return l.readEntries(lo, hi, maxSize)
}

func limitSize(es []*pb.Entry, maxSize uint64) []*pb.Entry {
	var size uint64
	for i, e := range es {
		if size += entrySize(e); size > maxSize && i > 0 {
			return es[:i:i]
		}
	}
	return es
}

// entrySize bounds what raft counts: the size of the entry's protocol buffer.
func entrySize(e *pb.Entry) uint64 { return uint64(len(e.Data)) + 24 }

func (l *Log) readEntries(lo, hi, maxSize uint64) ([]*pb.Entry, error) {
	it, err := l.r.NewIter(keys.RaftEntry(l.id, lo), keys.RaftEntry(l.id, hi))
	if err != nil {
		return nil, err
	}
	var es []*pb.Entry
	var size uint64
	next := lo
	for ok := it.First(); ok; ok = it.Next() {
		if string(it.Key()) != string(keys.RaftEntry(l.id, next)) {
			break
		}
		e, err := decodeEntry(next, it.Value())
		if err != nil {
			return nil, joinClose(it, err)
		}
		if size += entrySize(e); size > maxSize && len(es) > 0 {
			return es, it.Close()
		}
		es = append(es, e)
		next++
	}
	if err := it.Close(); err != nil {
		return nil, err
	}
	if next != hi {
		return nil, fmt.Errorf("%w: entry %d of %s is missing", storage.ErrCorruption, next, l.id)
	}
	return es, nil
}

// NewAppend makes the append of what raft wants stored.
func (l *Log) NewAppend(entries []*pb.Entry, hs *pb.HardState) Append {
	a := Append{Range: l.id, Entries: entries, HardState: hs, replaces: l.written}
	if n := len(entries); n > 0 {
		l.written = entries[n-1].GetIndex()
	}
	return a
}

// Appended makes the log show a, which is durable now.
func (l *Log) Appended(a *Append) {
	if len(a.Entries) == 0 {
		return
	}
	first := a.Entries[0].GetIndex()
	invariant.Check(first > l.truncated.Index && first <= l.last+1, "%s: append at %d to a log (%d, %d]", l.id, first, l.truncated.Index, l.last)
	keep := l.cache
	if first <= l.last { // entries are replaced
		keep = nil
		if cf := l.cacheFirst(); first > cf {
			// The full slice expression makes the append below copy: raft may hold
			// slices of the old array.
			keep = l.cache[: first-cf : first-cf]
		}
		l.cacheBytes = cacheSize(keep)
	}
	l.cache = append(keep, a.Entries...)
	added := cacheSize(a.Entries)
	l.cacheBytes += added
	l.bytes += added
	l.last = a.Entries[len(a.Entries)-1].GetIndex()
	l.evict()
}

func cacheSize(es []*pb.Entry) int64 {
	var n int64
	for _, e := range es {
		n += int64(len(e.Data) + entryOverhead)
	}
	return n
}

func (l *Log) evict() {
	n := 0
	for ; l.cacheBytes > cacheLimit && n < len(l.cache)-1; n++ {
		l.cacheBytes -= int64(len(l.cache[n].Data) + entryOverhead)
	}
	l.dropCached(n)
}

// dropCached forgets the n oldest cached entries. The array is copied once it is
// mostly garbage, so that it does not keep them alive.
func (l *Log) dropCached(n int) {
	l.cache = l.cache[n:]
	if n > 0 && cap(l.cache) > 2*len(l.cache)+64 {
		l.cache = append(make([]*pb.Entry, 0, len(l.cache)+32), l.cache...)
	}
}

// Truncate drops the entries up to index, which must be applied, in the batch
// w. The caller must commit w, or stop.
func (l *Log) Truncate(w storage.Writer, index uint64) error {
	if index <= l.truncated.Index || index > l.last {
		return nil
	}
	term, err := l.Term(index)
	if err != nil {
		return fmt.Errorf("truncate log of %s: %w", l.id, err)
	}
	if err := w.DeleteRange(keys.RaftEntry(l.id, l.truncated.Index+1), keys.RaftEntry(l.id, index+1)); err != nil {
		return fmt.Errorf("truncate log of %s: %w", l.id, err)
	}
	if err := w.Set(keys.RaftTruncated(l.id), encodePosition(Position{index, term})); err != nil {
		return fmt.Errorf("truncate log of %s: %w", l.id, err)
	}
	total, gone := l.last-l.truncated.Index, index-l.truncated.Index
	l.bytes -= l.bytes * int64(gone) / int64(total)
	if first := l.cacheFirst(); index >= first {
		n := int(index - first + 1)
		l.cacheBytes -= cacheSize(l.cache[:n])
		l.dropCached(n)
	}
	l.truncated = Position{index, term}
	return nil
}

// Reset makes the log show what WriteReset wrote.
func (l *Log) Reset(at Position) {
	l.truncated, l.last, l.written = at, at.Index, max(at.Index, l.written)
	l.cache, l.cacheBytes, l.bytes = nil, 0, 0
}

package replica

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

const (
	// IDAge is how long the id of an applied command is remembered, in time of the
	// log. Later the command is refused as one whose fate nobody knows, so that
	// gateways must have given up by then: package kv refuses to be patient longer.
	IDAge = 30 * time.Second
	// forgetEvery is how often ids are forgotten, so that this costs one range
	// deletion for thousands of them.
	forgetEvery = 5 * time.Second
	// idPart is where a stored record of ids ends and the next part of it begins:
	// snapshots send records whole.
	idPart = 64 << 10
)

// errForgotten is the cause when a command's id is forgotten by now.
var errForgotten = errors.New("command is too old to know whether it was applied")

// appliedIDs are the ids of the commands that a range applied in the last IDAge,
// with timestamp and result. Apply and propose look here, and never on disk, where
// they are for the next start and for other replicas: one record for each round of
// apply, of whatever that held.
//
// What is forgotten depends on timestamps in the log alone, so that all replicas
// know the same; how it is packed into records is each replica's own.
//
// An id without a result, as all of data ranges that wrote, takes 30 to 60 bytes
// (a test measures): 10,000 commands a second are 9 to 18 MB, over all ranges.
type appliedIDs struct {
	buckets []idBucket // ascending
	// stored are the records on disk, and those of the round under way: ascending.
	stored []idRecord

	round []byte // of the round under way: its ids, encoded
	parts []int  // where in round parts of the record end
}

// idBucket holds the ids that gateways made within one span of forgetEvery: what is
// to be forgotten goes at once.
type idBucket struct {
	span    uint64
	ids     map[CommandID]hlc.Timestamp
	results map[CommandID][]byte // those that are not empty
}

// idRecord is a record on disk.
type idRecord struct {
	index uint64        // of the last entry of its round
	last  hlc.Timestamp // of its newest command
}

func idSpan(ts hlc.Timestamp) uint64 {
	return uint64(ts.Time().UnixMilli() / forgetEvery.Milliseconds()) //nolint:gosec // not negative
}

func (a *appliedIDs) bucket(ts hlc.Timestamp) (at int, found bool) {
	return slices.BinarySearchFunc(a.buckets, idSpan(ts), func(b idBucket, span uint64) int { return cmp.Compare(b.span, span) })
}

// find returns what the command with the id came to.
func (a *appliedIDs) find(id CommandID) (ts hlc.Timestamp, result []byte, ok bool) {
	i, ok := a.bucket(id.Timestamp())
	if !ok {
		return 0, nil, false
	}
	b := &a.buckets[i]
	if ts, ok = b.ids[id]; !ok {
		return 0, nil, false
	}
	return ts, b.results[id], true
}

// add notes a command that was just applied.
func (a *appliedIDs) add(id CommandID, ts hlc.Timestamp, result []byte) {
	a.remember(id, ts, result)
	a.round = appendID(a.round, id, ts, result)
	if from := a.lastPart(); len(a.round)-from >= idPart {
		a.parts = append(a.parts, len(a.round))
	}
}

func (a *appliedIDs) lastPart() int {
	if n := len(a.parts); n > 0 {
		return a.parts[n-1]
	}
	return 0
}

// remember keeps result.
func (a *appliedIDs) remember(id CommandID, ts hlc.Timestamp, result []byte) {
	i, ok := a.bucket(id.Timestamp())
	if !ok {
		a.buckets = slices.Insert(a.buckets, i, idBucket{span: idSpan(id.Timestamp()), ids: map[CommandID]hlc.Timestamp{}})
	}
	b := &a.buckets[i]
	b.ids[id] = ts
	if len(result) > 0 {
		if b.results == nil {
			b.results = map[CommandID][]byte{}
		}
		b.results[id] = result
	}
}

// end writes the record of a round that ends at index, and whose newest command is
// of ts.
func (a *appliedIDs) end(w storage.Writer, id cluster.RangeID, index uint64, ts hlc.Timestamp) error {
	if len(a.round) == 0 {
		return nil
	}
	if a.lastPart() < len(a.round) {
		a.parts = append(a.parts, len(a.round))
	}
	from := 0
	value := make([]byte, 0, 1+min(len(a.round), 2*idPart))
	for part, to := range a.parts {
		value = append(append(value[:0], idsFormat), a.round[from:to]...)
		if err := w.Set(keys.AppliedIDs(id, index, uint32(part)), value); err != nil { //nolint:gosec // few
			return fmt.Errorf("write ids of commands: %w", err)
		}
		from = to
	}
	a.stored = append(a.stored, idRecord{index, ts})
	a.round, a.parts = a.round[:0], a.parts[:0]
	if cap(a.round) > idPart {
		a.round = nil
	}
	return nil
}

// forget drops the ids that were made before horizon. Of a bucket or a record that
// holds newer ones too all stay for now.
func (a *appliedIDs) forget(w storage.Writer, id cluster.RangeID, horizon hlc.Timestamp) error {
	n := 0
	for n < len(a.buckets) && a.buckets[n].span < idSpan(horizon) {
		n++
	}
	a.buckets = slices.Delete(a.buckets, 0, n)
	n = 0
	for n < len(a.stored) && a.stored[n].last < horizon { // an id is older than its command
		n++
	}
	if n == 0 {
		return nil
	}
	end := a.stored[n-1].index + 1
	a.stored = slices.Delete(a.stored, 0, n)
	return w.DeleteRange(keys.AppliedIDs(id, 0, 0), keys.AppliedIDs(id, end, 0))
}

// load reads what is stored of a range, and forgets what was known before.
func (a *appliedIDs) load(r storage.Reader, id cluster.RangeID, forgotten hlc.Timestamp) error {
	*a = appliedIDs{}
	return visitIDs(r, id, func(index uint64, x AppliedID) {
		if n := len(a.stored); n == 0 || a.stored[n-1].index != index {
			a.stored = append(a.stored, idRecord{index: index})
		}
		a.stored[len(a.stored)-1].last = x.TS
		if x.ID.Timestamp() >= forgotten {
			a.remember(x.ID, x.TS, slices.Clone(x.Result))
		}
	})
}

// copyTo writes all ids for the range that was split off, in the order of the log.
func (a *appliedIDs) copyTo(w storage.Writer, child cluster.RangeID, forgotten hlc.Timestamp) error {
	var all []AppliedID
	for i := range a.buckets {
		for id, ts := range a.buckets[i].ids {
			if id.Timestamp() >= forgotten {
				all = append(all, AppliedID{id, ts, a.buckets[i].results[id]})
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(x, y AppliedID) int { return cmp.Compare(x.TS, y.TS) })
	var of appliedIDs
	for _, x := range all {
		of.add(x.ID, x.TS, x.Result)
	}
	return of.end(w, child, initial.Index, all[len(all)-1].TS)
}

// AppliedID is a command that was applied.
type AppliedID struct {
	ID     CommandID
	TS     hlc.Timestamp // of its entry
	Result []byte
}

// AppliedIDs returns the commands that the stored replica of a range remembers, in
// the order of the log: equal on all replicas at one applied index, though their
// records are not.
func AppliedIDs(r storage.Reader, id cluster.RangeID) ([]AppliedID, error) {
	v, ok, err := r.Get(keys.RangeApplied(id))
	if err != nil || !ok {
		return nil, err
	}
	state, err := decodeApplied(v)
	if err != nil {
		return nil, err
	}
	var all []AppliedID
	err = visitIDs(r, id, func(_ uint64, x AppliedID) {
		if x.ID.Timestamp() >= state.Forgotten {
			all = append(all, AppliedID{x.ID, x.TS, slices.Clone(x.Result)})
		}
	})
	return all, err
}

// visitIDs calls fn for each stored id. fn must not keep the result.
func visitIDs(r storage.Reader, id cluster.RangeID, fn func(index uint64, x AppliedID)) (err error) {
	span := keys.AppliedIDsSpan(id)
	it, err := r.NewIter(span.Start, span.End)
	if err != nil {
		return fmt.Errorf("read ids of commands: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		index, err := keys.DecodeAppliedIDs(it.Key())
		if err != nil {
			return fmt.Errorf("%w: %w", storage.ErrCorruption, err)
		}
		if err := decodeIDs(it.Value(), func(x AppliedID) { fn(index, x) }); err != nil {
			return err
		}
	}
	return nil
}

// A record of ids is: format, then id, timestamp and result of each command, in the
// order of the log.
func appendID(b []byte, id CommandID, ts hlc.Timestamp, result []byte) []byte {
	b = binary.BigEndian.AppendUint64(append(b, id[:]...), uint64(ts))
	return codec.AppendBytes(b, result)
}

func decodeIDs(b []byte, fn func(AppliedID)) error {
	if err := storage.CheckFormat(b, idsFormat, 1, "ids of commands"); err != nil {
		return err
	}
	d := codec.Read(b[1:], storage.ErrCorruption)
	for d.Len() > 0 {
		var x AppliedID
		copy(x.ID[:], d.Raw(16))
		x.TS, x.Result = hlc.Timestamp(d.Uint64()), d.Bytes()
		if d.Err() != nil {
			break
		}
		fn(x)
	}
	if err := d.Err(); err != nil {
		return fmt.Errorf("ids of commands: %w", err)
	}
	return nil
}

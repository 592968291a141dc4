package replica

import (
	"bytes"
	"errors"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/invariant"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/raftlog"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

const (
	// smallSnapshot is how much a snapshot may hold to be installed by one batch;
	// a larger one is put into tables while it arrives, which spares the memtable.
	smallSnapshot = 1 << 20
	tableBytes    = 64 << 20
)

// Incoming is a snapshot that has arrived whole and waits to be installed.
type Incoming struct {
	Header *SnapshotHeader

	engine *storage.Engine
	pairs  []pair   // of a small one
	tables []string // of a large one
	done   func(reply []byte, err error)

	// beyond is what the replica holds and the snapshot does not, since the range
	// was split in between.
	beyond []keys.Span
}

type pair struct{ key, value []byte }

// finish answers the sender, once, and drops tables that were not used.
func (in *Incoming) finish(reply []byte, err error) {
	if len(in.tables) > 0 {
		err = errors.Join(err, in.engine.RemoveTables(in.tables))
		in.tables = nil
	}
	if in.done != nil {
		done := in.done
		in.done = nil
		done(reply, err)
	}
}

// Drop gives the snapshot up before it came to a replica.
func (in *Incoming) Drop(err error) { in.finish(nil, err) }

// Large reports whether the snapshot must be ingested, apart from any batch.
func (in *Incoming) Large() bool { return len(in.tables) > 0 }

// WriteBatch replaces the range's state and log in a batch.
func (in *Incoming) WriteBatch(b *storage.Batch, hs *pb.HardState) error {
	for _, s := range append(Spans(&in.Header.Descriptor), in.beyond...) {
		if err := b.DeleteRange(s.Start, s.End); err != nil {
			return fmt.Errorf("install snapshot: %w", err)
		}
	}
	for _, p := range in.pairs {
		if err := b.Set(p.key, p.value); err != nil {
			return fmt.Errorf("install snapshot: %w", err)
		}
	}
	return raftlog.WriteReset(b, in.Header.Range, in.position(), hs)
}

// Ingest replaces the range's state and log at once, durably: after a crash all
// of it is there or none.
func (in *Incoming) Ingest(hs *pb.HardState) error {
	t, err := in.engine.NewTable()
	if err != nil {
		return fmt.Errorf("install snapshot: %w", err)
	}
	if err := raftlog.WriteReset(t, in.Header.Range, in.position(), hs); err != nil {
		return errors.Join(err, t.Abort())
	}
	path, err := t.Finish()
	if err != nil {
		return fmt.Errorf("install snapshot: %w", err)
	}
	tables := append(in.tables, path)
	if len(in.beyond) > 0 {
		if path, err = in.deleteBeyond(); err != nil {
			return fmt.Errorf("install snapshot: %w", err)
		}
		tables = append(tables, path)
	}
	if err := in.engine.Ingest(tables); err != nil {
		return fmt.Errorf("install snapshot: %w", err)
	}
	in.tables = nil
	return nil
}

// deleteBeyond makes a table that deletes what the range has given away.
func (in *Incoming) deleteBeyond() (path string, err error) {
	t, err := in.engine.NewTable()
	if err != nil {
		return "", err
	}
	for _, s := range in.beyond {
		if err := t.DeleteRange(s.Start, s.End); err != nil {
			return "", errors.Join(err, t.Abort())
		}
	}
	return t.Finish()
}

func (in *Incoming) position() raftlog.Position {
	return raftlog.Position{Index: in.Header.Index, Term: in.Header.LogTerm}
}

// Install gives a snapshot to raft, which may have no use for it. done is called
// with a reply for the sender once it is installed and durable, or not needed.
func (r *Replica) Install(in *Incoming, done func(reply []byte, err error)) {
	in.done = done
	h := in.Header
	switch {
	case r.stopped():
		in.finish(nil, r.failedError())
		return
	case h.To != r.id || r.incoming != nil:
		in.finish(nil, &RefusedError{Range: r.rangeID, Reason: "snapshot is for another replica, or another one is being installed"})
		return
	case h.Index > r.applied.Index && (h.Descriptor.Pool != r.desc.Pool || h.Descriptor.Start != r.desc.Start || h.Descriptor.End > r.desc.End):
		// A split takes from a range, nothing gives.
		in.finish(nil, &RefusedError{Range: r.rangeID, Reason: "snapshot is of another span"})
		return
	}
	defer r.guard()
	r.incoming = in
	r.setNodes(h)
	m := &pb.Message{
		Type: pb.MsgSnap.Enum(), From: new(uint64(h.From)), To: new(uint64(h.To)), Term: new(h.Term),
		Snapshot: &pb.Snapshot{Metadata: &pb.SnapshotMetadata{
			Index: new(h.Index), Term: new(h.LogTerm), ConfState: confState(&h.Descriptor),
		}},
	}
	r.hears(m) // as one that leads
	if err := r.rn.Step(m); err != nil {
		r.incoming = nil
		in.finish(nil, err)
	}
}

func (r *Replica) setNodes(h *SnapshotHeader) {
	for _, d := range h.Descriptor.Replicas {
		r.nodes[d.Replica] = d.Node
	}
}

// takeIncoming is called when raft accepted the snapshot of Install.
func (r *Replica) takeIncoming(s *pb.Snapshot) *Incoming {
	in := r.incoming
	invariant.Check(in != nil && in.Header.Index == s.GetMetadata().GetIndex(), "%s: raft restores a snapshot that did not arrive", r.rangeID)
	r.incoming = nil
	r.installing, r.counting = true, nil
	r.voidChecksum()
	r.followPast()
	r.lastIndex = in.Header.Index
	if end := in.Header.Descriptor.End; end < r.desc.End {
		in.beyond = rowSpans(r.desc.Pool, end, r.desc.End)
	}
	return in
}

// installed follows a snapshot that is durable now.
func (r *Replica) installed(a *Append) {
	in := a.Snapshot
	r.installing = false
	r.log.Reset(in.position())
	r.jump(in.Header.Index, errors.New("a snapshot replaced the log"))
	invariant.Check(r.Settled(), "%s: a snapshot was installed beside a round", r.rangeID)
	err := r.loadState()
	if err == nil && r.applied.Index != in.Header.Index {
		err = fmt.Errorf("%w: snapshot at %d holds state at %d", storage.ErrCorruption, in.Header.Index, r.applied.Index)
	}
	if err != nil {
		in.finish(nil, err)
		r.fail(fmt.Errorf("load snapshot: %w", err))
		return
	}
	r.damaged = nil // what was there is covered
	r.keepChecksums(nil)
	r.followPast()
	r.cfg.Logger.Debug("snapshot installed", logattr.Range(r.rangeID), logattr.Replica(r.id))
	var reply []byte
	for _, m := range a.responses {
		if m.GetType() == pb.MsgAppResp && m.GetTo() == uint64(in.Header.From) {
			reply = EncodeMessage(nil, r.rangeID, m)
		}
	}
	r.out.Changed(r, false)
	in.finish(reply, nil)
}

// SnapshotWriter takes the chunks of a snapshot while they arrive. One goroutine
// uses it; it needs no replica.
type SnapshotWriter struct {
	engine *storage.Engine
	header *SnapshotHeader

	spans   []keys.Span // of which the first is being received
	last    []byte
	pairs   []pair
	size    int
	spilled bool

	table  *storage.TableWriter
	start  []byte // of the table's own span
	tables []string
}

// NewSnapshotWriter begins to receive the snapshot that header announces.
func NewSnapshotWriter(e *storage.Engine, header *SnapshotHeader) *SnapshotWriter {
	spans := Spans(&header.Descriptor)
	return &SnapshotWriter{engine: e, header: header, spans: spans, start: spans[0].Start}
}

// Add takes one chunk. Keys must rise and belong to the range.
func (w *SnapshotWriter) Add(chunk []byte) error {
	return decodeChunk(chunk, func(key, value []byte) error {
		if w.last != nil && bytes.Compare(key, w.last) <= 0 {
			return errors.New("receive snapshot: keys are not in order")
		}
		w.last = append(w.last[:0], key...)
		if !w.spilled {
			w.pairs = append(w.pairs, pair{bytes.Clone(key), bytes.Clone(value)})
			if w.size += len(key) + len(value); w.size <= smallSnapshot {
				return w.check(key)
			}
			return w.spill()
		}
		return w.put(key, value)
	})
}

func (w *SnapshotWriter) check(key []byte) error {
	for _, s := range w.spans {
		if s.Contains(key) {
			return nil
		}
	}
	return errors.New("receive snapshot: a key is not of the range")
}

func (w *SnapshotWriter) spill() error {
	w.spilled = true
	pairs := w.pairs
	w.pairs = nil
	for _, p := range pairs {
		if err := w.put(p.key, p.value); err != nil {
			return err
		}
	}
	return nil
}

// put adds a pair to the current table. Each table deletes what the engine holds
// in its own span; together they cover the range's spans.
func (w *SnapshotWriter) put(key, value []byte) error {
	for len(w.spans) > 0 && !w.spans[0].Contains(key) {
		if err := w.endSpan(); err != nil {
			return err
		}
	}
	if len(w.spans) == 0 {
		return errors.New("receive snapshot: a key is not of the range")
	}
	if w.table != nil && w.table.Size() > tableBytes {
		if err := w.endTable(key); err != nil {
			return err
		}
	}
	if err := w.open(); err != nil {
		return err
	}
	return w.table.Set(key, value)
}

func (w *SnapshotWriter) open() (err error) {
	if w.table == nil {
		w.table, err = w.engine.NewTable()
	}
	return err
}

func (w *SnapshotWriter) endTable(end []byte) error {
	if err := w.table.DeleteRange(w.start, end); err != nil {
		return err
	}
	path, err := w.table.Finish()
	w.table = nil
	if err != nil {
		return err
	}
	w.tables = append(w.tables, path)
	w.start = bytes.Clone(end)
	return nil
}

func (w *SnapshotWriter) endSpan() error {
	if err := w.open(); err != nil {
		return err
	}
	if err := w.endTable(w.spans[0].End); err != nil {
		return err
	}
	if w.spans = w.spans[1:]; len(w.spans) > 0 {
		w.start = w.spans[0].Start
	}
	return nil
}

// Finish returns the snapshot, whole.
func (w *SnapshotWriter) Finish() (*Incoming, error) {
	for w.spilled && len(w.spans) > 0 {
		if err := w.endSpan(); err != nil {
			return nil, fmt.Errorf("receive snapshot: %w", err)
		}
	}
	return &Incoming{Header: w.header, engine: w.engine, pairs: w.pairs, tables: w.tables}, nil
}

// Abort drops what was received.
func (w *SnapshotWriter) Abort() error {
	var err error
	if w.table != nil {
		err = w.table.Abort()
	}
	return errors.Join(err, w.engine.RemoveTables(w.tables))
}

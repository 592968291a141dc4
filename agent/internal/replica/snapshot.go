package replica

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

const (
	snapshotFormat      = 1
	chunkFormat    byte = 1
	chunkBytes          = 256 << 10
)

// SnapshotHeader comes before the chunks of a snapshot.
type SnapshotHeader struct {
	Format     int                     `json:"format"`
	Range      cluster.RangeID         `json:"range"`
	From       cluster.ReplicaID       `json:"from"`
	To         cluster.ReplicaID       `json:"to"`
	Term       uint64                  `json:"term"` // of the leader
	Index      uint64                  `json:"index"`
	LogTerm    uint64                  `json:"logTerm"`
	Descriptor cluster.RangeDescriptor `json:"descriptor"`
	// Bytes is about what the range holds: the receiver looks for room first.
	Bytes uint64 `json:"bytes,omitempty"`
}

// DecodeSnapshotHeader reads a header and checks that it makes sense.
func DecodeSnapshotHeader(b []byte) (*SnapshotHeader, error) {
	h := &SnapshotHeader{}
	if err := readJSON(b, h, "snapshot header"); err != nil {
		return nil, err
	}
	if h.Format != snapshotFormat {
		return nil, gate.Newer("snapshot header of format %d", h.Format)
	}
	if err := h.Descriptor.Validate(); err != nil {
		return nil, fmt.Errorf("decode snapshot header: %w", err)
	}
	if h.Range != h.Descriptor.ID || h.Index == 0 || h.LogTerm == 0 || h.Term == 0 || h.From == h.To {
		return nil, errors.New("decode snapshot header: it contradicts itself")
	}
	if _, ok := h.Descriptor.ByReplica(h.To); !ok {
		return nil, errors.New("decode snapshot header: the receiver is not in its descriptor")
	}
	return h, nil
}

// SnapshotJob is a snapshot that raft wants sent.
type SnapshotJob struct {
	Range cluster.RangeID
	Node  cluster.NodeID // where it goes

	to      cluster.ReplicaID
	replica *Replica
	reader  *SnapshotReader
}

// Replica returns whose snapshot it is.
func (j *SnapshotJob) Replica() *Replica { return j.replica }

func (r *Replica) snapshotMetadata() (*pb.Snapshot, error) {
	if !r.Initialised() {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return &pb.Snapshot{Metadata: &pb.SnapshotMetadata{
		Index: new(r.applied.Index), Term: new(r.applied.Term), ConfState: confState(r.desc),
	}}, nil
}

func (r *Replica) requestSnapshot(m *pb.Message) {
	to := cluster.ReplicaID(m.GetTo())
	node := r.nodeOf(to)
	if node == 0 {
		r.rn.ReportSnapshot(m.GetTo(), raft.SnapshotFailure)
		return
	}
	r.out.SendSnapshot(&SnapshotJob{Range: r.rangeID, Node: node, to: to, replica: r})
}

// Open takes the view that a job sends, at the index that is committed to the engine
// now, and keeps the log from there on until SnapshotDone.
func (j *SnapshotJob) Open() (header []byte, reader *SnapshotReader, err error) {
	r := j.replica
	if r.stopped() || !r.leading {
		return nil, nil, r.notLeader()
	}
	if _, ok := r.desc.ByReplica(j.to); !ok {
		return nil, nil, fmt.Errorf("%s: replica %d is no longer wanted", r.rangeID, j.to)
	}
	snap := r.cfg.Engine.NewSnapshot()
	state, err := storedState(snap, r.rangeID) // a round may have been committed, and not told of
	if err == nil {
		header, err = json.Marshal(&SnapshotHeader{
			Format: snapshotFormat, Range: r.rangeID, From: r.id, To: j.to,
			Term: r.term, Index: state.Index, LogTerm: state.Term, Descriptor: *r.desc,
			Bytes: uint64(max(state.Counts.Bytes(), 0)),
		})
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: begin a snapshot: %w", r.rangeID, err), snap.Close())
	}
	j.reader = &SnapshotReader{snap: snap, spans: Spans(r.desc), index: state.Index}
	if r.sending == nil {
		r.sending = map[cluster.ReplicaID]*SnapshotReader{}
	}
	r.sending[j.to] = j.reader
	r.holds = append(r.holds, j.reader.index)
	return header, j.reader, nil
}

// SnapshotDone ends a job. reply is the receiver's; its messages are stepped
// before raft hears that the snapshot is done: a late rejection would make it
// send another.
func (r *Replica) SnapshotDone(j *SnapshotJob, reply []byte, err error) {
	if j.reader != nil {
		delete(r.sending, j.to)
		for i, h := range r.holds {
			if h == j.reader.index {
				r.holds = append(r.holds[:i], r.holds[i+1:]...)
				break
			}
		}
	}
	if r.stopped() {
		return
	}
	defer r.guard()
	status := raft.SnapshotFinish
	if err == nil {
		err = r.stepReply(j, reply)
	}
	if err != nil {
		_ = r.unreadable(err) // nobody waits for it
		status = raft.SnapshotFailure
		r.cfg.Logger.Warn("snapshot not sent, trying again", logattr.Range(r.rangeID), logattr.Peer(j.Node), logattr.Err(err))
	}
	r.rn.ReportSnapshot(uint64(j.to), status)
}

func (r *Replica) stepReply(j *SnapshotJob, reply []byte) error {
	if len(reply) == 0 {
		return nil
	}
	id, m, rest, err := DecodeMessage(reply)
	if err != nil {
		return err
	}
	if id != r.rangeID || m.GetType() != pb.MsgAppResp || len(rest) > 0 {
		return errors.New("reply to a snapshot is no acknowledgement")
	}
	r.Step(j.Node, m)
	return nil
}

// Spans are the key spans that a range is: all of its state, and nothing else.
func Spans(d *cluster.RangeDescriptor) []keys.Span {
	spans := []keys.Span{keys.RangeSpan(d.ID)}
	if !d.IsMeta() {
		spans = append(spans, rowSpans(d.Pool, d.Start, d.End)...)
	}
	return spans
}

// rowSpans hold the rows of a pool in [start, end), and what transactions have left there.
func rowSpans(p cluster.PoolID, start, end cluster.Key) []keys.Span {
	return []keys.Span{keys.DataSpan(p, start, end), keys.LockSpan(p, start, end)}
}

// SnapshotReader makes the chunks of a snapshot. One goroutine uses it, but for
// Sent.
type SnapshotReader struct {
	snap  *storage.Snapshot
	spans []keys.Span
	index uint64
	it    *storage.Iterator
	last  int // bytes of the chunk that Next returned last
	sent  atomic.Uint64
}

// Sent is how many bytes have gone out: those of all chunks but the last, which
// may still wait for its turn. Any goroutine may ask.
func (s *SnapshotReader) Sent() uint64 { return s.sent.Load() }

// Next returns the next chunk, io.EOF after the last.
func (s *SnapshotReader) Next() ([]byte, error) {
	s.sent.Add(uint64(s.last))
	s.last = 0
	chunk := []byte{chunkFormat}
	for len(chunk) < chunkBytes {
		if s.it == nil {
			if len(s.spans) == 0 {
				break
			}
			it, err := s.snap.NewIter(s.spans[0].Start, s.spans[0].End)
			if err != nil {
				return nil, fmt.Errorf("read snapshot: %w", err)
			}
			s.it, s.spans = it, s.spans[1:]
			s.it.First()
		}
		if !s.it.Valid() {
			if err := s.it.Close(); err != nil {
				return nil, fmt.Errorf("read snapshot: %w", err)
			}
			s.it = nil
			continue
		}
		chunk = codec.AppendBytes(chunk, s.it.Key())
		chunk = codec.AppendBytes(chunk, s.it.Value())
		s.it.Next()
	}
	if len(chunk) == 1 {
		return nil, io.EOF
	}
	s.last = len(chunk)
	return chunk, nil
}

// Close releases the view.
func (s *SnapshotReader) Close() error {
	var err error
	if s.it != nil {
		err = s.it.Close()
	}
	return errors.Join(err, s.snap.Close())
}

var errChunk = errors.New("malformed chunk of a snapshot")

// decodeChunk calls fn for each pair of a chunk; both alias it.
func decodeChunk(chunk []byte, fn func(key, value []byte) error) error {
	if len(chunk) == 0 || chunk[0] != chunkFormat {
		return fmt.Errorf("%w: unknown format", errChunk)
	}
	d := codec.Read(chunk[1:], errChunk)
	for d.Len() > 0 {
		key, value := d.Bytes(), d.Bytes()
		if len(key) == 0 {
			d.Fail("a pair without a key")
		}
		if err := d.Err(); err != nil {
			return err
		}
		if err := fn(key, value); err != nil {
			return err
		}
	}
	return nil
}

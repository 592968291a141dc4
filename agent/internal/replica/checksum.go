package replica

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"slices"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// ChecksumJob reads what a replica held at the entry of its log that asked for it:
// whoever carries it out gives the result back with Checksummed. The view is taken
// where the entry is applied, which stands alone: later entries take old versions away
// and add some below the entry's timestamp, as transactions are resolved. Replicas read
// it at different moments and compare all the same.
type ChecksumJob struct {
	Range cluster.RangeID

	replica *Replica
	desc    *cluster.RangeDescriptor
	index   uint64
	ts      hlc.Timestamp

	jobView
}

// Replica returns whose range it is.
func (j *ChecksumJob) Replica() *Replica { return j.replica }

// Sum reads the view, and releases it as Drop does. Any goroutine may call it, once.
// pace is told of the bytes that were read, and ends the reading by its error; nil:
// nobody waits.
func (j *ChecksumJob) Sum(pace func(bytes int64) error) (c cluster.Checksum, err error) {
	view := j.take()
	if view == nil {
		return c, errVoid
	}
	if j.replica.cfg.Planted.sumLate() {
		_ = view.Close() // nobody has read it
		view = j.replica.cfg.Engine.NewSnapshot()
	}
	s := &summer{hash: sha256.New(), pace: pace}
	if j.desc.IsMeta() {
		err = j.sumRecords(view, s)
	} else {
		err = j.sumVersions(view, s)
	}
	if err = errors.Join(err, view.Close()); err != nil {
		return c, err
	}
	c = j.checksum()
	c.Generation, c.Versions = j.desc.Generation, s.n
	c.Sum = binary.BigEndian.Uint64(s.hash.Sum(nil))
	return c, nil
}

// checksum is the job's, of which nothing was read yet.
func (j *ChecksumJob) checksum() cluster.Checksum {
	return cluster.Checksum{Index: j.index, At: j.ts.Time()}
}

// sumVersions reads the descriptor, the versions of rows, tombstones included, and what
// transactions have left.
func (j *ChecksumJob) sumVersions(r storage.Reader, s *summer) error {
	d, err := encodeDescriptor(j.desc)
	if err != nil {
		return err
	}
	s.add(nil, d)
	for _, span := range rowSpans(j.desc.Pool, j.desc.Start, j.desc.End) {
		if err := s.readAll(r, span); err != nil {
			return err
		}
	}
	return nil
}

// sumRecords reads the records of the meta range.
func (j *ChecksumJob) sumRecords(r storage.Reader, s *summer) error {
	return s.readAll(r, keys.RecordSpan(j.Range))
}

// summer adds up what it is given, in order.
type summer struct {
	hash hash.Hash
	n    uint64 // versions, or records
	pace func(bytes int64) error
	head []byte
}

// paceEvery is how much is read between two calls of pace.
const paceEvery = 64 << 10

// readAll adds all pairs of span.
func (s *summer) readAll(r storage.Reader, span keys.Span) (err error) {
	it, err := r.NewIter(span.Start, span.End)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	size := int64(0)
	for ok := it.First(); ok; ok = it.Next() {
		value := it.Value()
		s.n++
		s.add(it.Key(), value)
		if size += int64(len(it.Key()) + len(value)); s.pace != nil && size >= paceEvery {
			if err := s.pace(size); err != nil {
				return err
			}
			size = 0
		}
	}
	return it.Err()
}

// add adds a pair; the lengths keep one from running into the next.
func (s *summer) add(key, value []byte) {
	s.head = binary.AppendUvarint(binary.AppendUvarint(s.head[:0], uint64(len(key))), uint64(len(value)))
	for _, b := range [][]byte{s.head, key, value} {
		_, _ = s.hash.Write(b) // a hash takes everything
	}
}

// Verify proposes the entry at which every replica reads what it holds. done is
// called once it is applied here, with its index.
func (r *Replica) Verify(done func(Outcome)) {
	r.Propose(&Proposal{verify: true, Done: done})
}

// applyVerify asks for the job. It replaces one that has not ended: only the newest
// entry is of interest.
func (r *Replica) applyVerify(e *pb.Entry, env *envelope) {
	r.voidChecksum()
	r.summing = &ChecksumJob{Range: r.rangeID, replica: r, desc: r.desc.Clone(), index: e.GetIndex(), ts: env.ts}
	r.fate(e, Outcome{TS: env.ts, Index: e.GetIndex()})
}

// emitChecksum hands out the job of the entry that was just applied and committed, with
// its view.
func (r *Replica) emitChecksum() {
	if j := r.summing; j != nil && j.index == r.decoded.Index && j.open(r.cfg.Engine) {
		r.out.Checksum(j)
	}
}

// voidChecksum gives up the job under way, if there is one.
func (r *Replica) voidChecksum() {
	if r.summing != nil {
		r.summing.Drop()
		r.summing = nil
	}
}

// Checksummed ends a job. The result is kept with the replica, so that it is known
// after a restart, too.
func (r *Replica) Checksummed(j *ChecksumJob, c cluster.Checksum, err error) {
	if r.summing != j || r.stopped() {
		return
	}
	defer r.guard()
	r.summing = nil
	if err != nil {
		if r.unreadable(err) == nil && !errors.Is(err, errVoid) {
			r.cfg.Logger.Warn("replica not compared", logattr.Range(r.rangeID), logattr.Err(err))
		}
		c = j.checksum()
		c.Void = true
	}
	kept := append([]cluster.Checksum{c}, r.checksums...)
	r.keepChecksums(kept[:min(len(kept), cluster.ChecksumsKept)])
}

// keepChecksums replaces what the replica has told: nil after a snapshot, which may
// have mended what differed.
func (r *Replica) keepChecksums(cs []cluster.Checksum) {
	if len(cs) == 0 && len(r.checksums) == 0 {
		return
	}
	r.checksums = cs
	b := r.cfg.Engine.NewWriteBatch()
	err := b.Set(keys.RaftChecksums(r.rangeID), encodeChecksums(cs))
	if err == nil {
		err = b.Commit(false)
	}
	if err = errors.Join(err, b.Close()); err != nil {
		r.fail(fmt.Errorf("store checksums: %w", err))
		return
	}
	r.out.Changed(r, false)
}

// loadChecksums reads what the replica has told before.
func (r *Replica) loadChecksums() error {
	v, ok, err := r.cfg.Engine.Get(keys.RaftChecksums(r.rangeID))
	if err != nil || !ok {
		return err
	}
	r.checksums, err = decodeChecksums(v)
	return err
}

const (
	checksumsFormat byte = 1
	checksumLen          = 1 + 5*8
)

// encodeChecksums encodes a format byte, then each checksum: 1 if it is void, index,
// time of the entry in milliseconds, generation, sum, versions.
func encodeChecksums(cs []cluster.Checksum) []byte {
	b := []byte{checksumsFormat}
	for _, c := range cs {
		void := byte(0)
		if c.Void {
			void = 1
		}
		b = append(b, void)
		for _, v := range [...]uint64{c.Index, uint64(c.At.UnixMilli()), c.Generation, c.Sum, c.Versions} { //nolint:gosec // of an entry: after 1970
			b = binary.BigEndian.AppendUint64(b, v)
		}
	}
	return b
}

func decodeChecksums(b []byte) ([]cluster.Checksum, error) {
	if err := storage.CheckFormat(b, checksumsFormat, 1, "checksums"); err != nil {
		return nil, err
	}
	if len(b)%checksumLen != 1 {
		return nil, fmt.Errorf("%w: checksums of %d bytes", storage.ErrCorruption, len(b))
	}
	var out []cluster.Checksum
	for part := range slices.Chunk(b[1:], checksumLen) {
		if part[0] > 1 {
			return nil, gate.Newer("checksum that is void %d", part[0])
		}
		u := func(i int) uint64 { return binary.BigEndian.Uint64(part[1+8*i:]) }
		out = append(out, cluster.Checksum{
			Void: part[0] == 1, Index: u(0), At: time.UnixMilli(int64(u(1))).UTC(), Generation: u(2), Sum: u(3), Versions: u(4), //nolint:gosec // checked by nobody: a time is shown
		})
	}
	return out, nil
}

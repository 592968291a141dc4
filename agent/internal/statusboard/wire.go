package statusboard

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
)

// answerFormat is the version of an encoded Answer; see docs/FORMATS.md.
const answerFormat byte = 1

// What a range's record holds beyond its figures.
const (
	hasDescriptor = 1 << iota
	hasFailed
	hasLoad
	hasRates
	isCounted
	hasChecksums
	hasLease
	hasClosed
	knownParts = 1<<iota - 1
)

var roles = []cluster.ReplicaRole{cluster.Voter, cluster.Learner, cluster.VoterIncoming, cluster.VoterOutgoing}

// errAnswer is returned for bytes that are no answer.
var errAnswer = errors.New("malformed status")

// peersOnWire are the changes of peers; they are few, and rare.
type peersOnWire struct {
	Changed map[cluster.NodeID]*cluster.PeerStatus `json:"changed,omitempty"`
	Gone    []cluster.NodeID                       `json:"gone,omitempty"`
}

// Encode packs an Answer.
func (a *Answer) Encode() ([]byte, error) {
	head := a.Head
	head.Ranges, head.Peers = nil, nil
	h, err := json.Marshal(&head)
	if err != nil {
		return nil, fmt.Errorf("encode the status of %s: %w", head.Node, err)
	}
	p := peersOnWire{Gone: a.Peers.Gone, Changed: map[cluster.NodeID]*cluster.PeerStatus{}}
	for _, x := range a.Peers.Changed {
		p.Changed[x.Key] = x.Value
	}
	peers, err := json.Marshal(&p)
	if err != nil {
		return nil, fmt.Errorf("encode the peers of %s: %w", head.Node, err)
	}
	b := make([]byte, 0, len(h)+len(peers)+64+len(a.Ranges.Changed)*96)
	b = append(b, answerFormat)
	b = codec.AppendBytes(b, h)
	for _, v := range []uint64{a.Peers.From, a.Peers.To} {
		b = binary.AppendUvarint(b, v)
	}
	b = codec.AppendBytes(b, peers)
	for _, v := range []uint64{a.Ranges.From, a.Ranges.To, uint64(len(a.Ranges.Gone))} {
		b = binary.AppendUvarint(b, v)
	}
	for _, id := range a.Ranges.Gone {
		b = binary.AppendUvarint(b, uint64(id))
	}
	b = binary.AppendUvarint(b, uint64(len(a.Ranges.Changed)))
	for i := range a.Ranges.Changed {
		b = appendRange(b, &a.Ranges.Changed[i])
	}
	return b, nil
}

func appendFloat(b []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(b, math.Float64bits(v))
}

func appendRange(b []byte, x *Changed[cluster.RangeID, cluster.RangeStatus]) []byte {
	st := x.Value
	parts := byte(0)
	for _, p := range []struct {
		part byte
		has  bool
	}{{hasDescriptor, x.Root}, {hasFailed, st.Failed != ""}, {hasLoad, st.Load != nil}, {isCounted, st.Counted}, {hasChecksums, len(st.Checksums) > 0}, {hasLease, st.Lease != nil}, {hasClosed, !st.Closed.IsZero()}, {hasRates, st.ReadsPerSecond != 0 || st.WritesPerSecond != 0}} {
		if p.has {
			parts |= p.part
		}
	}
	b = append(binary.AppendUvarint(b, uint64(x.Key)), parts)
	for _, v := range []uint64{
		uint64(st.Replica), uint64(st.Leader), st.Term, st.Commit, st.Settled, st.Applied, st.Bytes, st.Keys, st.LiveBytes, st.DeadBytes, st.Reads, st.Writes, st.Cleared, millis(st.Collected),
	} {
		b = binary.AppendUvarint(b, v)
	}
	b = binary.AppendUvarint(b, uint64(len(st.Progress)))
	for i := range st.Progress {
		b = appendProgress(b, &st.Progress[i])
	}
	if parts&hasDescriptor != 0 {
		b = appendDescriptor(b, &st.Descriptor)
	}
	if parts&hasFailed != 0 {
		b = codec.AppendBytes(b, st.Failed)
	}
	if l := st.Load; l != nil {
		b = appendFloat(appendFloat(b, l.Rate), l.Left)
		b = codec.AppendBytes(b, l.Middle)
	}
	if parts&hasRates != 0 {
		b = appendFloat(appendFloat(b, st.ReadsPerSecond), st.WritesPerSecond)
	}
	if parts&hasChecksums != 0 {
		b = binary.AppendUvarint(b, uint64(len(st.Checksums)))
		for i := range st.Checksums {
			b = appendChecksum(b, &st.Checksums[i])
		}
	}
	if l := st.Lease; l != nil {
		b = appendLease(b, l)
	}
	if parts&hasClosed != 0 {
		b = binary.AppendUvarint(b, millis(st.Closed))
	}
	return b
}

// millis is a time in milliseconds since 1970; 0: it is none.
func millis(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixMilli()) //nolint:gosec // after 1970
}

func appendLease(b []byte, l *cluster.LeaseStatus) []byte {
	b = codec.AppendBytes(codec.AppendBytes(b, l.Lack), l.Awake)
	for _, v := range []uint64{l.Confirmed, l.Refused, uint64(len(l.Voters))} {
		b = binary.AppendUvarint(b, v)
	}
	for i := range l.Voters {
		v := &l.Voters[i]
		bits := byte(0)
		if v.Supports {
			bits = 1
		}
		b = append(binary.AppendUvarint(b, uint64(v.Node)), bits)
		b = binary.AppendUvarint(binary.BigEndian.AppendUint64(b, uint64(v.Bound.Boot)), v.Bound.Count)
	}
	return b
}

func appendChecksum(b []byte, c *cluster.Checksum) []byte {
	b = binary.AppendUvarint(b, c.Index)
	b = binary.AppendUvarint(b, uint64(c.At.UnixMilli())) //nolint:gosec // of an entry: after 1970
	bits := byte(0)
	if c.Void {
		bits = 1
	}
	b = binary.AppendUvarint(append(b, bits), c.Generation)
	return binary.AppendUvarint(binary.BigEndian.AppendUint64(b, c.Sum), c.Versions)
}

func appendProgress(b []byte, p *cluster.ReplicaProgress) []byte {
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(p.Node)), p.Match)
	bits := byte(0)
	if p.Active {
		bits |= 1
	}
	if p.Snapshot {
		bits |= 2
	}
	return binary.AppendUvarint(append(b, bits), p.Sent)
}

func appendDescriptor(b []byte, d *cluster.RangeDescriptor) []byte {
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(d.Parent)), uint64(d.Pool))
	b = codec.AppendBytes(codec.AppendBytes(b, d.Start), d.End)
	for _, v := range []uint64{d.Generation, uint64(d.NextReplica), uint64(len(d.Replicas))} {
		b = binary.AppendUvarint(b, v)
	}
	for _, r := range d.Replicas {
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(r.Node)), uint64(r.Replica))
		b = append(b, byte(slices.Index(roles, r.Role))) //nolint:gosec // an unknown role is 255, which no reader takes
	}
	return b
}

// DecodeAnswer unpacks what Encode made. Of a range without Root, the descriptor
// has the id only: the asker's Copy has the rest.
func DecodeAnswer(b []byte) (Answer, error) {
	var a Answer
	if len(b) == 0 || b[0] != answerFormat {
		return a, fmt.Errorf("%w: not of version %d", errAnswer, answerFormat)
	}
	d := &decoder{codec.Read(b[1:], errAnswer)}
	if err := json.Unmarshal(d.Bytes(), &a.Head); err != nil && d.Err() == nil {
		return a, fmt.Errorf("%w: %w", errAnswer, err)
	}
	a.Peers.From, a.Peers.To = d.Uvarint(), d.Uvarint()
	var p peersOnWire
	if err := json.Unmarshal(d.Bytes(), &p); err != nil && d.Err() == nil {
		return a, fmt.Errorf("%w: %w", errAnswer, err)
	}
	a.Peers.Gone = p.Gone
	for _, id := range sortedKeys(p.Changed) {
		if p.Changed[id] == nil {
			return a, fmt.Errorf("%w: a peer without a status", errAnswer)
		}
		a.Peers.Changed = append(a.Peers.Changed, Changed[cluster.NodeID, cluster.PeerStatus]{Key: id, Value: p.Changed[id], Root: true})
	}
	a.Ranges.From, a.Ranges.To = d.Uvarint(), d.Uvarint()
	for range d.Count(1) {
		a.Ranges.Gone = append(a.Ranges.Gone, cluster.RangeID(d.Uvarint()))
	}
	a.Ranges.Changed = make([]Changed[cluster.RangeID, cluster.RangeStatus], d.Count(leastRange))
	last := cluster.RangeID(0)
	for i := range a.Ranges.Changed {
		a.Ranges.Changed[i] = d.rangeStatus()
		if id := a.Ranges.Changed[i].Key; id <= last {
			d.Fail("%s after %s", id, last)
		} else {
			last = id
		}
	}
	if d.Len() > 0 {
		d.Fail("%d bytes too many", d.Len())
	}
	return a, d.Err()
}

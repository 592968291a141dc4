package replica

import (
	"encoding/binary"
	"errors"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
	"github.com/nodedb/nodedb/agent/internal/raftlog"
)

// ErrMalformedMessage marks bytes that are no message between replicas.
var ErrMalformedMessage = errors.New("malformed raft message")

// campaignTransfer is the context of a vote request in a hand-over: raft's own.
const campaignTransfer = "CampaignTransfer"

// A message is: type, flags, range, from, to, term, then the fields that flags
// name. A heartbeat is about ten bytes, so that those of all ranges of a node
// fit in one batch.
const (
	hasIndex byte = 1 << iota
	hasLogTerm
	hasCommit
	hasReject
	hasHint
	hasContext
	hasEntries
)

// fromNetwork says which messages replicas send each other, and how long their
// contexts may be. All others are local to a node, or travel as snapshots.
func fromNetwork(t pb.MessageType, context []byte) bool {
	switch t {
	case pb.MsgApp, pb.MsgAppResp, pb.MsgVoteResp, pb.MsgPreVoteResp, pb.MsgTimeoutNow:
		return len(context) == 0
	case pb.MsgVote, pb.MsgPreVote:
		return len(context) == 0 || string(context) == campaignTransfer
	case pb.MsgHeartbeat, pb.MsgHeartbeatResp:
		return len(context) == 0 || len(context) == 8
	default:
		return false
	}
}

// EncodeMessage appends m to buf.
func EncodeMessage(buf []byte, id cluster.RangeID, m *pb.Message) []byte {
	var flags byte
	set := func(on bool, f byte) {
		if on {
			flags |= f
		}
	}
	set(m.GetIndex() != 0, hasIndex)
	set(m.GetLogTerm() != 0, hasLogTerm)
	set(m.GetCommit() != 0, hasCommit)
	set(m.GetReject(), hasReject)
	set(m.GetRejectHint() != 0, hasHint)
	set(len(m.GetContext()) > 0, hasContext)
	set(len(m.GetEntries()) > 0, hasEntries)
	buf = append(buf, byte(m.GetType()), flags)
	buf = binary.AppendUvarint(buf, uint64(id))
	buf = binary.AppendUvarint(buf, m.GetFrom())
	buf = binary.AppendUvarint(buf, m.GetTo())
	buf = binary.AppendUvarint(buf, m.GetTerm())
	for _, f := range [...]struct {
		flag byte
		v    uint64
	}{{hasIndex, m.GetIndex()}, {hasLogTerm, m.GetLogTerm()}, {hasCommit, m.GetCommit()}, {hasHint, m.GetRejectHint()}} {
		if flags&f.flag != 0 {
			buf = binary.AppendUvarint(buf, f.v)
		}
	}
	if flags&hasContext != 0 {
		buf = codec.AppendBytes(buf, m.GetContext())
	}
	if flags&hasEntries == 0 {
		return buf
	}
	buf = binary.AppendUvarint(buf, uint64(len(m.GetEntries())))
	for _, e := range m.GetEntries() {
		buf = append(buf, byte(e.GetType()))
		buf = binary.AppendUvarint(buf, e.GetTerm())
		buf = codec.AppendBytes(buf, e.GetData())
	}
	return buf
}

// DecodeMessage reads the first message of b and returns the rest. The message
// is fit for Step: nothing that raft would panic at passes. It shares no memory
// with b but the data of entries, which nobody changes.
func DecodeMessage(b []byte) (id cluster.RangeID, m *pb.Message, rest []byte, err error) {
	d := decode(b)
	a := &struct {
		m                                            pb.Message
		kind                                         pb.MessageType
		from, to, term, index, logTerm, commit, hint uint64
		reject                                       bool
	}{}
	a.kind = pb.MessageType(d.Byte())
	flags := d.Byte()
	id = cluster.RangeID(d.Uvarint())
	a.from, a.to, a.term = d.Uvarint(), d.Uvarint(), d.Uvarint()
	a.m.Type, a.m.From, a.m.To, a.m.Term = &a.kind, &a.from, &a.to, &a.term
	optional := func(flag byte, at *uint64) *uint64 {
		if flags&flag == 0 {
			return nil
		}
		*at = d.Uvarint()
		return at
	}
	a.m.Index = optional(hasIndex, &a.index)
	a.m.LogTerm = optional(hasLogTerm, &a.logTerm)
	a.m.Commit = optional(hasCommit, &a.commit)
	a.m.RejectHint = optional(hasHint, &a.hint)
	if flags&hasReject != 0 {
		a.reject = true
		a.m.Reject = &a.reject
	}
	if flags&hasContext != 0 {
		a.m.Context = append([]byte(nil), d.Bytes()...)
	}
	if flags&hasEntries != 0 {
		a.m.Entries = d.entries(a.index)
	}
	if err := d.Err(); err != nil {
		return 0, nil, nil, err
	}
	if err := checkMessage(&a.m); err != nil {
		return 0, nil, nil, err
	}
	return id, &a.m, d.Rest(), nil
}

func checkMessage(m *pb.Message) error {
	switch t := m.GetType(); {
	case !fromNetwork(t, m.GetContext()):
		return fmt.Errorf("%w: type %d with %d bytes of context", ErrMalformedMessage, t, len(m.GetContext()))
	case m.GetFrom() == 0 || m.GetTo() == 0 || m.GetFrom() == m.GetTo():
		return fmt.Errorf("%w: from %d to %d", ErrMalformedMessage, m.GetFrom(), m.GetTo())
	case m.GetFrom() > maxReplicaID || m.GetTo() > maxReplicaID:
		return fmt.Errorf("%w: from %d to %d", ErrMalformedMessage, m.GetFrom(), m.GetTo())
	case m.GetTerm() == 0: // raft takes it for a local message
		return fmt.Errorf("%w: no term", ErrMalformedMessage)
	case len(m.GetEntries()) > 0 && t != pb.MsgApp:
		return fmt.Errorf("%w: entries in a message of type %d", ErrMalformedMessage, t)
	}
	last := m.GetLogTerm()
	for _, e := range m.GetEntries() {
		if e.GetTerm() < last || e.GetTerm() > m.GetTerm() {
			return fmt.Errorf("%w: terms of entries", ErrMalformedMessage)
		}
		last = e.GetTerm()
	}
	return nil
}

// maxReplicaID keeps replica ids apart from raft's ids of its own threads.
const maxReplicaID = 1 << 62

// entries reads entries that follow index.
func (d *decoder) entries(index uint64) []*pb.Entry {
	n := d.Count(3)
	if index+uint64(n) < index {
		d.Fail("entries past the last index")
		return nil
	}
	es := make([]*pb.Entry, n)
	for i := range es {
		kind := pb.EntryType(d.Byte())
		e := raftlog.NewEntry(kind, d.Uvarint(), index+1+uint64(i))
		if data := d.Bytes(); len(data) > 0 {
			e.Data = data
		}
		if kind != pb.EntryNormal && kind != pb.EntryConfChangeV2 {
			d.Fail("entry of type %d", kind)
		}
		es[i] = e
	}
	return es
}

// decoder reads what this package puts on the wire.
type decoder struct{ codec.Reader }

func decode(b []byte) decoder { return decoder{codec.Read(b, ErrMalformedMessage)} }

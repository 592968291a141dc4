package replica

import (
	"encoding/binary"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/lease"
)

// LeaseKind is what replicas of a range say to each other about leases.
type LeaseKind byte

// The kinds.
const (
	Bind     LeaseKind = iota + 1 // the leader asks a follower to bind itself (rule 8)
	Bound                         // it has (rule 9)
	Release                       // the leader of the term leads no more (rule 20)
	Released                      // whoever was bound to it is not
	Rest                          // the leader asks whether the follower has all, to sleep (rule 22)
	Rested                        // it has
	Close                         // a follower asks the leader to close time (ADR 0033)
	Closed                        // it has, up to TS, for who has applied Index
	Locks                         // what transactions held in the memory of the last leader
)

// LeaseMessage is one of them.
type LeaseMessage struct {
	Kind     LeaseKind
	From, To cluster.ReplicaID
	Term     uint64
	Epoch    lease.Epoch   // of Bind and Bound
	Boot     cluster.Boot  // of the leader's node, of Bind and Bound
	Index    uint64        // of Rest, Rested and Closed
	TS       hlc.Timestamp // of Closed
	Held     []HeldLock    // of Locks
}

// EncodeLease appends a message of a range to buf.
func EncodeLease(buf []byte, id cluster.RangeID, m *LeaseMessage) []byte {
	buf = append(buf, byte(m.Kind))
	for _, v := range [...]uint64{uint64(id), uint64(m.From), uint64(m.To), m.Term} {
		buf = binary.AppendUvarint(buf, v)
	}
	switch m.Kind {
	case Bind, Bound:
		buf = binary.BigEndian.AppendUint64(buf, uint64(m.Epoch.Boot))
		buf = binary.AppendUvarint(buf, m.Epoch.Count)
		buf = binary.BigEndian.AppendUint64(buf, uint64(m.Boot))
	case Rest, Rested:
		buf = binary.AppendUvarint(buf, m.Index)
	case Closed:
		buf = binary.AppendUvarint(buf, m.Index)
		buf = binary.BigEndian.AppendUint64(buf, uint64(m.TS))
	case Locks:
		buf = appendHeld(buf, m.Held)
	case Release, Released, Close:
	}
	return buf
}

// DecodeLease reads the first message of b and returns the rest.
func DecodeLease(b []byte) (id cluster.RangeID, m LeaseMessage, rest []byte, err error) {
	d := decode(b)
	m.Kind = LeaseKind(d.Byte())
	id = cluster.RangeID(d.Uvarint())
	m.From, m.To, m.Term = cluster.ReplicaID(d.Uvarint()), cluster.ReplicaID(d.Uvarint()), d.Uvarint()
	switch m.Kind {
	case Bind, Bound:
		m.Epoch = lease.Epoch{Boot: cluster.Boot(d.Uint64()), Count: d.Uvarint()}
		m.Boot = cluster.Boot(d.Uint64())
	case Rest, Rested:
		m.Index = d.Uvarint()
	case Closed:
		m.Index, m.TS = d.Uvarint(), hlc.Timestamp(d.Uint64())
	case Locks:
		m.Held = d.held()
	case Release, Released, Close:
	default:
		d.Fail("a word of kind %d about leases", m.Kind)
	}
	if m.From == 0 || m.To == 0 || m.Term == 0 {
		d.Fail("a word about leases from nobody, to nobody or of no term")
	}
	return id, m, d.Rest(), d.Err()
}

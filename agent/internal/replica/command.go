package replica

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// CommandID names a command through all of its retries: eight bytes of the
// gateway's timestamp, big-endian, then eight random ones.
type CommandID [16]byte

// Timestamp returns when the gateway made the id.
func (id CommandID) Timestamp() hlc.Timestamp {
	return hlc.Timestamp(binary.BigEndian.Uint64(id[:8]))
}

// Formats of what raft entries and this package's records hold; docs/FORMATS.md.
const (
	envelopeFormat   byte = 1
	changeFormat     byte = 2
	appliedFormat    byte = 1
	descriptorFormat byte = 1
	identityFormat   byte = 1
	idsFormat        byte = 1
)

// readJSON reads JSON that this binary knows every field of: it would drop others
// when it writes the same again, and act as if they were not there.
func readJSON(b []byte, into any, what string) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	switch err := d.Decode(into); {
	case err == nil:
		return nil
	case json.Valid(b):
		return gate.Newer("%s: %v", what, err)
	default:
		return fmt.Errorf("%w: %s: %w", storage.ErrCorruption, what, err)
	}
}

// An envelope is: format, flags, command id, timestamp, payload. The timestamp
// is that of the range's leader, when it proposed.
const envelopeHeader = 2 + 16 + 8

// The flags of an envelope.
const (
	// envelopeRetry says that an earlier attempt may still arrive. It is kept for
	// those who read logs; deduplication does not depend on it.
	envelopeRetry byte = 1
	// envelopeSplit says that the command is not for the state machine: the range
	// is split. It has no id.
	envelopeSplit byte = 2
	// envelopeVerify says that the entry changes nothing: every replica reads what it
	// holds there, to be compared. It has no id and no payload.
	envelopeVerify byte = 4
)

// envelope is a command as an entry holds it.
type envelope struct {
	id      CommandID
	ts      hlc.Timestamp
	split   bool
	verify  bool
	payload []byte // aliases the entry
}

func encodeEnvelope(p *Proposal) []byte {
	payload := p.Payload
	if p.command != nil {
		payload = p.command
	}
	b := make([]byte, envelopeHeader, envelopeHeader+len(payload))
	b[0] = envelopeFormat
	if p.Retry {
		b[1] |= envelopeRetry
	}
	if p.split {
		b[1] |= envelopeSplit
	}
	if p.verify {
		b[1] |= envelopeVerify
	}
	copy(b[2:], p.ID[:])
	binary.BigEndian.PutUint64(b[18:], uint64(p.ts))
	return append(b, payload...)
}

// decodeEnvelope splits an entry's data.
func decodeEnvelope(b []byte) (e envelope, err error) {
	if err := storage.CheckFormat(b, envelopeFormat, envelopeHeader, "command envelope"); err != nil {
		return e, err
	}
	if b[1] > envelopeRetry|envelopeSplit|envelopeVerify {
		return e, gate.Newer("command envelope with flags %#x", b[1])
	}
	copy(e.id[:], b[2:18])
	e.ts = hlc.Timestamp(binary.BigEndian.Uint64(b[18:26]))
	e.split, e.verify, e.payload = b[1]&envelopeSplit != 0, b[1]&envelopeVerify != 0, b[envelopeHeader:]
	return e, nil
}

// changeCommand is the context of a conf change.
type changeCommand struct {
	Format byte                  `json:"format"`
	Change cluster.ReplicaChange `json:"change"`
}

func encodeChange(c cluster.ReplicaChange) ([]byte, error) {
	return json.Marshal(changeCommand{Format: changeFormat, Change: c})
}

func decodeChange(b []byte) (cluster.ReplicaChange, error) {
	var c changeCommand
	err := readJSON(b, &c, "change of replicas")
	if err == nil && c.Format != changeFormat {
		err = gate.Newer("change of replicas of format %d", c.Format)
	}
	return c.Change, err
}

// appliedState is written with every apply: it says which prefix of the log the
// state is.
type appliedState struct {
	Index, Term uint64
	// LastTS is the timestamp of the newest applied command.
	LastTS hlc.Timestamp
	// Forgotten bounds the command ids that are forgotten: older ones are refused,
	// because nobody knows whether they were applied.
	Forgotten hlc.Timestamp
	// Threshold is the time below which the range is not read: its garbage is collected.
	// Collected is up to where all of it is.
	Threshold, Collected hlc.Timestamp
	// Counts is what the range holds, if its state machine counts: with Counted
	// exactly, else a guess to which all that was written since is added.
	Counts  cluster.Counts
	Counted bool
}

const appliedLen = 1 + 9*8 + 1

func (a *appliedState) encode() []byte {
	b := append(make([]byte, 0, appliedLen), appliedFormat)
	for _, v := range [...]uint64{a.Index, a.Term, uint64(a.LastTS), uint64(a.Forgotten), uint64(a.Threshold), uint64(a.Collected), uint64(a.Counts.Rows), uint64(a.Counts.Live), uint64(a.Counts.Dead)} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	if a.Counted {
		return append(b, 1)
	}
	return append(b, 0)
}

func decodeApplied(b []byte) (a appliedState, err error) {
	if err := storage.CheckFixed(b, appliedFormat, appliedLen, "applied state"); err != nil {
		return a, err
	}
	if b[appliedLen-1] > 1 {
		return a, gate.Newer("applied state that is counted %d", b[appliedLen-1])
	}
	u := func(i int) uint64 { return binary.BigEndian.Uint64(b[1+8*i:]) }
	return appliedState{
		Index: u(0), Term: u(1), LastTS: hlc.Timestamp(u(2)), Forgotten: hlc.Timestamp(u(3)),
		Threshold: hlc.Timestamp(u(4)), Collected: hlc.Timestamp(u(5)),
		Counts: cluster.Counts{Rows: int64(u(6)), Live: int64(u(7)), Dead: int64(u(8))}, Counted: b[appliedLen-1] == 1,
	}, nil
}

func encodeDescriptor(d *cluster.RangeDescriptor) ([]byte, error) {
	j, err := json.Marshal(d)
	return append([]byte{descriptorFormat}, j...), err
}

func decodeDescriptor(b []byte) (*cluster.RangeDescriptor, error) {
	d := &cluster.RangeDescriptor{}
	if err := storage.CheckFormat(b, descriptorFormat, 1, "range descriptor"); err != nil {
		return nil, err
	}
	return d, readJSON(b[1:], d, "range descriptor")
}

// Identity is a replica's own record: which replica of which range it is. The
// descriptor is the one it was made with; it says which span a replica without
// state is going to hold, and where its peers are.
type Identity struct {
	ID         cluster.ReplicaID
	Descriptor cluster.RangeDescriptor
}

func encodeIdentity(i *Identity) ([]byte, error) {
	j, err := json.Marshal(&i.Descriptor)
	b := binary.BigEndian.AppendUint64([]byte{identityFormat}, uint64(i.ID))
	return append(b, j...), err
}

func decodeIdentity(b []byte) (*Identity, error) {
	if err := storage.CheckFormat(b, identityFormat, 9, "replica identity"); err != nil {
		return nil, err
	}
	i := &Identity{ID: cluster.ReplicaID(binary.BigEndian.Uint64(b[1:]))}
	return i, readJSON(b[9:], &i.Descriptor, "replica identity")
}

// Tombstones hold the lowest replica id that a range may have here.
func encodeTombstone(next cluster.ReplicaID) []byte {
	return binary.BigEndian.AppendUint64([]byte{identityFormat}, uint64(next))
}

func decodeTombstone(b []byte) (cluster.ReplicaID, error) {
	if err := storage.CheckFixed(b, identityFormat, 9, "replica tombstone"); err != nil {
		return 0, err
	}
	return cluster.ReplicaID(binary.BigEndian.Uint64(b[1:])), nil
}

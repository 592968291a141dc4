package statusboard

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// The least bytes of records: a count that promises more than is there is refused
// before anything is made for it.
const (
	leastRange    = 15
	leastProgress = 4
	leastReplica  = 3
)

// decoder reads what wire.go appends. After its first error it reads zeros.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", errAnswer, fmt.Sprintf(format, args...))
	}
	d.b = nil
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail("cut off")
		return 0
	}
	d.b = d.b[n:]
	return v
}

// upTo reads a number that is at most most.
func (d *decoder) upTo(most uint64) uint64 {
	v := d.uvarint()
	if v > most {
		d.fail("%d is more than %d", v, most)
		return 0
	}
	return v
}

func (d *decoder) node() cluster.NodeID {
	return cluster.NodeID(d.upTo(math.MaxUint32)) //nolint:gosec // bounded
}

func (d *decoder) key() cluster.Key { return cluster.Key(d.bytes()) }

// count reads how many records of at least size bytes follow.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/size) {
		d.fail("%d records in %d bytes", n, len(d.b))
		return 0
	}
	return int(n) //nolint:gosec // bounded
}

func (d *decoder) bytes() []byte {
	n := d.count(1)
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail("cut off")
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) float() float64 {
	if len(d.b) < 8 {
		d.fail("cut off")
		return 0
	}
	v := math.Float64frombits(binary.BigEndian.Uint64(d.b))
	d.b = d.b[8:]
	return v
}

func (d *decoder) rangeStatus() Changed[cluster.RangeID, cluster.RangeStatus] {
	st := &cluster.RangeStatus{}
	st.Descriptor.ID = cluster.RangeID(d.uvarint())
	parts := d.byte()
	if parts > knownParts {
		d.fail("parts %x of %s are not known here", parts, st.Descriptor.ID)
	}
	st.Replica, st.Leader = cluster.ReplicaID(d.uvarint()), d.node()
	for _, v := range []*uint64{&st.Term, &st.Commit, &st.Settled, &st.Applied, &st.Bytes, &st.Keys, &st.LiveBytes, &st.DeadBytes, &st.Reads, &st.Writes} {
		*v = d.uvarint()
	}
	st.Counted = parts&isCounted != 0
	if n := d.count(leastProgress); n > 0 {
		st.Progress = make([]cluster.ReplicaProgress, n)
	}
	for i := range st.Progress {
		d.progress(&st.Progress[i])
	}
	if parts&hasDescriptor != 0 {
		d.descriptor(&st.Descriptor)
	}
	if parts&hasFailed != 0 {
		st.Failed = string(d.bytes())
	}
	if parts&hasLoad != 0 {
		st.Load = &cluster.RangeLoad{Rate: d.float(), Left: d.float(), Middle: d.key()}
	}
	if parts&hasRates != 0 {
		st.ReadsPerSecond, st.WritesPerSecond = d.float(), d.float()
	}
	return Changed[cluster.RangeID, cluster.RangeStatus]{Key: st.Descriptor.ID, Value: st, Root: parts&hasDescriptor != 0}
}

func (d *decoder) progress(p *cluster.ReplicaProgress) {
	p.Node, p.Match = d.node(), d.uvarint()
	bits := d.byte()
	p.Active, p.Snapshot = bits&1 != 0, bits&2 != 0
	p.Sent = d.uvarint()
}

func (d *decoder) descriptor(x *cluster.RangeDescriptor) {
	x.Parent = cluster.RangeID(d.uvarint())
	x.Pool = cluster.PoolID(d.upTo(math.MaxUint8)) //nolint:gosec // bounded
	x.Start, x.End = d.key(), d.key()
	x.Generation, x.NextReplica = d.uvarint(), cluster.ReplicaID(d.uvarint())
	if n := d.count(leastReplica); n > 0 {
		x.Replicas = make([]cluster.ReplicaDescriptor, n)
	}
	for i := range x.Replicas {
		r := &x.Replicas[i]
		r.Node, r.Replica = d.node(), cluster.ReplicaID(d.uvarint())
		role := int(d.byte())
		if role >= len(roles) {
			d.fail("role %d of a replica of %s is not known here", role, x.ID)
			return
		}
		r.Role = roles[role]
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

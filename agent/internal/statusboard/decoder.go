package statusboard

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
)

// The least bytes of records: a count that promises more than is there is refused
// before anything is made for it.
const (
	leastRange    = 17
	leastProgress = 4
	leastReplica  = 3
	leastChecksum = 12
	leastVoter    = 11
)

// decoder reads what wire.go appends.
type decoder struct{ codec.Reader }

func (d *decoder) node() cluster.NodeID {
	return cluster.NodeID(d.UpTo(math.MaxUint32)) //nolint:gosec // bounded
}

func (d *decoder) key() cluster.Key { return cluster.Key(d.Bytes()) }

func (d *decoder) float() float64 { return math.Float64frombits(d.Uint64()) }

func (d *decoder) rangeStatus() Changed[cluster.RangeID, cluster.RangeStatus] {
	st := &cluster.RangeStatus{}
	st.Descriptor.ID = cluster.RangeID(d.Uvarint())
	parts := d.Byte()
	if parts > knownParts {
		d.Fail("parts %x of %s are not known here", parts, st.Descriptor.ID)
	}
	st.Replica, st.Leader = cluster.ReplicaID(d.Uvarint()), d.node()
	for _, v := range []*uint64{&st.Term, &st.Commit, &st.Settled, &st.Applied, &st.Bytes, &st.Keys, &st.LiveBytes, &st.DeadBytes, &st.Reads, &st.Writes, &st.Cleared} {
		*v = d.Uvarint()
	}
	if ms := d.Uvarint(); ms > 0 {
		st.Collected = millisTime(ms)
	}
	st.Counted = parts&isCounted != 0
	if n := d.Count(leastProgress); n > 0 {
		st.Progress = make([]cluster.ReplicaProgress, n)
	}
	for i := range st.Progress {
		d.progress(&st.Progress[i])
	}
	if parts&hasDescriptor != 0 {
		d.descriptor(&st.Descriptor)
	}
	if parts&hasFailed != 0 {
		st.Failed = string(d.Bytes())
	}
	if parts&hasLoad != 0 {
		st.Load = &cluster.RangeLoad{Rate: d.float(), Left: d.float(), Middle: d.key()}
	}
	if parts&hasRates != 0 {
		st.ReadsPerSecond, st.WritesPerSecond = d.float(), d.float()
	}
	if parts&hasChecksums != 0 {
		if n := d.Count(leastChecksum); n > 0 {
			st.Checksums = make([]cluster.Checksum, n)
		}
		for i := range st.Checksums {
			d.checksum(&st.Checksums[i])
		}
	}
	if parts&hasLease != 0 {
		st.Lease = d.lease()
	}
	if parts&hasClosed != 0 {
		st.Closed = millisTime(d.Uvarint())
	}
	return Changed[cluster.RangeID, cluster.RangeStatus]{Key: st.Descriptor.ID, Value: st, Root: parts&hasDescriptor != 0}
}

func millisTime(ms uint64) time.Time {
	return time.UnixMilli(int64(min(ms, math.MaxInt64))).UTC() //nolint:gosec // bounded
}

func (d *decoder) lease() *cluster.LeaseStatus {
	l := &cluster.LeaseStatus{Lack: cluster.LeaseLack(d.Bytes()), Awake: string(d.Bytes())}
	l.Confirmed, l.Refused = d.Uvarint(), d.Uvarint()
	if n := d.Count(leastVoter); n > 0 {
		l.Voters = make([]cluster.LeaseVoter, n)
	}
	for i := range l.Voters {
		v := &l.Voters[i]
		v.Node, v.Supports = d.node(), d.Byte()&1 != 0
		v.Bound = cluster.SupportEpoch{Boot: cluster.Boot(d.Uint64()), Count: d.Uvarint()}
	}
	return l
}

func (d *decoder) checksum(c *cluster.Checksum) {
	c.Index = d.Uvarint()
	c.At = time.UnixMilli(int64(d.UpTo(math.MaxInt64))).UTC() //nolint:gosec // bounded
	c.Void = d.Byte()&1 != 0
	c.Generation, c.Sum, c.Versions = d.Uvarint(), d.Uint64(), d.Uvarint()
}

func (d *decoder) progress(p *cluster.ReplicaProgress) {
	p.Node, p.Match = d.node(), d.Uvarint()
	bits := d.Byte()
	p.Active, p.Snapshot = bits&1 != 0, bits&2 != 0
	p.Sent = d.Uvarint()
}

func (d *decoder) descriptor(x *cluster.RangeDescriptor) {
	x.Parent = cluster.RangeID(d.Uvarint())
	x.Pool = cluster.PoolID(d.UpTo(math.MaxUint8)) //nolint:gosec // bounded
	x.Start, x.End = d.key(), d.key()
	x.Generation, x.NextReplica = d.Uvarint(), cluster.ReplicaID(d.Uvarint())
	if n := d.Count(leastReplica); n > 0 {
		x.Replicas = make([]cluster.ReplicaDescriptor, n)
	}
	for i := range x.Replicas {
		r := &x.Replicas[i]
		r.Node, r.Replica = d.node(), cluster.ReplicaID(d.Uvarint())
		role := int(d.Byte())
		if role >= len(roles) {
			d.Fail("role %d of a replica of %s is not known here", role, x.ID)
			return
		}
		r.Role = roles[role]
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

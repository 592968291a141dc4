package statusboard

import (
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Ranges are the rules of a board of replicas' statuses. The root is the
// descriptor: a busy range changes its figures each second, its descriptor hardly
// ever.
func Ranges() Rules[cluster.RangeStatus] {
	return Rules[cluster.RangeStatus]{Same: sameRange, SameRoot: sameDescriptor}
}

func sameDescriptor(a, b *cluster.RangeStatus) bool {
	x, y := &a.Descriptor, &b.Descriptor
	return x.Generation == y.Generation && x.ID == y.ID && x.Parent == y.Parent && x.Pool == y.Pool && x.Start == y.Start && x.End == y.End &&
		x.NextReplica == y.NextReplica && slices.Equal(x.Replicas, y.Replicas)
}

func sameRange(a, b *cluster.RangeStatus) bool {
	load := a.Load == b.Load || a.Load != nil && b.Load != nil && *a.Load == *b.Load
	return load && a.Lease.Same(b.Lease) && slices.Equal(a.Checksums, b.Checksums) && sameFigures(a, b) && a.Failed == b.Failed && slices.Equal(a.Progress, b.Progress) && sameDescriptor(a, b)
}

func sameFigures(a, b *cluster.RangeStatus) bool {
	return a.Replica == b.Replica && a.Leader == b.Leader && a.Term == b.Term && a.Commit == b.Commit &&
		a.Settled == b.Settled && a.Applied == b.Applied && a.Bytes == b.Bytes && a.Keys == b.Keys &&
		a.Counted == b.Counted && a.LiveBytes == b.LiveBytes && a.DeadBytes == b.DeadBytes &&
		a.Reads == b.Reads && a.Writes == b.Writes && a.Closed.Equal(b.Closed) && a.Cleared == b.Cleared && a.Collected.Equal(b.Collected) &&
		a.ReadsPerSecond == b.ReadsPerSecond && a.WritesPerSecond == b.WritesPerSecond
}

// Peers are the rules of a board of what a node finds of its peers. The root is
// what matters when it changes: whether a peer is reached, and whether it is
// supported. How long a ping takes, or a promise counts, is another figure each time.
func Peers() Rules[cluster.PeerStatus] {
	return Rules[cluster.PeerStatus]{
		Same: func(a, b *cluster.PeerStatus) bool { return *a == *b },
		SameRoot: func(a, b *cluster.PeerStatus) bool {
			x := *b
			x.RTT, x.ClockOffset, x.LastPing = a.RTT, a.ClockOffset, a.LastPing
			for to, from := range map[*cluster.Support]*cluster.Support{&x.Given: &a.Given, &x.Received: &a.Received} {
				to.Left, to.Ceiling = from.Left, from.Ceiling
			}
			return *a == x
		},
	}
}

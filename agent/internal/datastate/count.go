package datastate

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// TakeCounts returns what commands have added to the range since it was called
// last; it satisfies replica.Counter.
func (m *Machine) TakeCounts() cluster.Counts {
	n := m.added
	m.added = cluster.Counts{}
	return n
}

// Count counts what r holds of a range; it satisfies replica.Counter.
func (*Machine) Count(r storage.Reader, d *cluster.RangeDescriptor, pace func(bytes int64) error) (cluster.Counts, error) {
	return Count(r, keys.DataSpan(d.Pool, d.Start, d.End), pace)
}

// Count counts what r holds of span. It reads all of it, so it must not run where
// anything waits for it.
func Count(r storage.Reader, span keys.Span, pace Pace) (n cluster.Counts, err error) {
	err = versions(r, span, pace, func(_, value []byte, newest bool, size int64) error {
		v, err := decodeVersion(value)
		if err != nil {
			return err
		}
		if newest && v.Live {
			n.Rows++
			n.Live += size
		} else {
			n.Dead += size
		}
		return nil
	})
	if err != nil {
		return n, fmt.Errorf("count rows: %w", err)
	}
	return n, nil
}

// counted is what a write adds that leaves a row as next says, over the newest version.
func (v *Version) counted(next *Version) (n cluster.Counts) {
	if v.Live {
		n = cluster.Counts{Rows: -1, Live: -v.size, Dead: v.size}
	}
	if !next.Live {
		n.Dead += next.size
		return n
	}
	return n.Plus(cluster.Counts{Rows: 1, Live: next.size})
}

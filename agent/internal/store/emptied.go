package store

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Emptied is a replica that a node had before its store was emptied.
type Emptied struct {
	Range   cluster.RangeID   `json:"range"`
	Replica cluster.ReplicaID `json:"replica"`
	// Next is the lowest replica id that the range may have on the node from now on.
	Next cluster.ReplicaID `json:"next"`
}

// whyEmptied is what the node says of such a replica, until it is made anew or
// removed: the cluster counts on it no more.
const whyEmptied = "it is gone: the store of its node was emptied (nodedb-agent reset)"

// WriteEmptied makes the engine the store of a node that lost all these replicas:
// none of their ids comes back, and each is reported as gone. Generation is how
// often the node's store was emptied, this time counted.
func WriteEmptied(w storage.Writer, generation uint64, lost []Emptied) error {
	if err := writeGeneration(w, generation); err != nil {
		return err
	}
	for _, e := range lost {
		if e.Range == 0 || e.Replica == 0 || e.Next <= e.Replica {
			return fmt.Errorf("a lost replica that cannot be: %s, replica %d, next %d", e.Range, e.Replica, e.Next)
		}
		if err := replica.WriteTombstone(w, e.Range, e.Next); err != nil {
			return err
		}
		if err := w.Set(keys.EmptiedReplica(e.Range), encodeEmptied(e.Replica)); err != nil {
			return err
		}
	}
	return nil
}

const emptiedFormat byte = 1

func encodeEmptied(id cluster.ReplicaID) []byte {
	return binary.BigEndian.AppendUint64([]byte{emptiedFormat}, uint64(id))
}

func decodeEmptied(b []byte) (cluster.ReplicaID, error) {
	if len(b) != 9 || b[0] != emptiedFormat {
		return 0, fmt.Errorf("%w: record of an emptied replica", storage.ErrCorruption)
	}
	return cluster.ReplicaID(binary.BigEndian.Uint64(b[1:])), nil
}

// loadEmptied reads what is still gone.
func (c *Core) loadEmptied() error {
	span := keys.EmptiedReplicas()
	it, err := c.cfg.Engine.NewIter(span.Start, span.End)
	if err != nil {
		return err
	}
	c.emptied = map[cluster.RangeID]cluster.ReplicaID{}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var id cluster.RangeID
		if id, err = keys.DecodeEmptiedReplica(it.Key()); err == nil {
			c.emptied[id], err = decodeEmptied(it.Value())
		}
	}
	if closeErr := it.Close(); err == nil {
		err = closeErr
	}
	return err
}

// emptiedStatus describes what is still gone.
func (c *Core) emptiedStatus() []cluster.RangeStatus {
	var out []cluster.RangeStatus
	for _, id := range slices.Sorted(maps.Keys(c.emptied)) {
		out = append(out, cluster.RangeStatus{Descriptor: cluster.RangeDescriptor{ID: id}, Replica: c.emptied[id], Failed: whyEmptied})
	}
	return out
}

// bury sees to it that no replica below next of a range that has none here comes,
// and forgets one that is gone and that its range has removed.
func (c *Core) bury(id cluster.RangeID, next cluster.ReplicaID, done func(error)) {
	stone, err := replica.Tombstone(c.cfg.Engine, id)
	if err != nil {
		done(err)
		return
	}
	was, gone := c.emptied[id]
	if gone = gone && was < next; !gone && stone >= next {
		done(nil)
		return
	}
	c.writes = append(c.writes, write{
		apply: func(b *storage.Batch) error {
			if stone < next {
				if err := replica.WriteTombstone(b, id, next); err != nil {
					return err
				}
			}
			if !gone {
				return nil
			}
			return b.Delete(keys.EmptiedReplica(id))
		},
		done: func() {
			if gone {
				delete(c.emptied, id)
				if c.slots[id] == nil {
					c.unpublish(id)
				}
			}
			done(nil)
		},
	})
}

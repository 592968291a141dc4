package operation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// verifyTries is how often a comparison is begun again that was void: the range had
// changed meanwhile.
const verifyTries = 5

// verifyPoll is the pause between two looks at who has told.
const verifyPoll = 100 * time.Millisecond

// Verify has the replicas of a range compared now. It returns what is known when ctx
// ends, if not all have told by then.
func (s *Service) Verify(ctx context.Context, id cluster.RangeID) (cluster.Comparison, error) {
	for try := 1; ; try++ {
		cmp, void, err := s.verifyOnce(ctx, id)
		if err != nil || !void || try == verifyTries || ctx.Err() != nil {
			return cmp, err
		}
	}
}

func (s *Service) verifyOnce(ctx context.Context, id cluster.RangeID) (cmp cluster.Comparison, void bool, err error) {
	o := s.ClusterStatus(ctx, 0)
	x := o.Snapshot.Range(id)
	switch {
	case x == nil:
		return cmp, false, refused(NotFound, "there is no range %s", id)
	case x.Leader == 0:
		return cmp, false, refused(NoLeader, "%s has no leader that is known", id)
	}
	rep, err := s.replica(ctx, x.Leader, MethodVerify, &request{Range: id})
	if err != nil {
		return cmp, false, fmt.Errorf("ask the leader of %s: %w", id, err)
	}
	told := map[cluster.NodeID]cluster.Checksum{}
	for {
		void = s.askTold(ctx, &x.Descriptor, rep.Index, told)
		if len(told) == len(x.Descriptor.Replicas) {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(verifyPoll):
			continue
		}
		break
	}
	cmp = cluster.Compare(&x.Descriptor, func(r cluster.ReplicaDescriptor) []cluster.Checksum {
		if c, ok := told[r.Node]; ok {
			return []cluster.Checksum{c}
		}
		return nil
	})
	return cmp, void, nil
}

// askTold asks the replicas of d that have not told yet what they hold at index; void
// says that one could not tell.
func (s *Service) askTold(ctx context.Context, d *cluster.RangeDescriptor, index uint64, told map[cluster.NodeID]cluster.Checksum) (void bool) {
	for _, r := range d.Replicas {
		if _, ok := told[r.Node]; !ok {
			rep, err := s.replica(ctx, r.Node, MethodStatuses, &request{Ranges: []cluster.RangeID{d.ID}})
			if err != nil {
				continue // it is among those that have not told
			}
			for _, st := range rep.Statuses {
				for _, c := range st.Checksums {
					if c.Index == index && st.Replica == r.Replica {
						told[r.Node] = c
					}
				}
			}
		}
		void = void || told[r.Node].Void
	}
	return void
}

// replica calls a method of a node, this one included.
func (s *Service) replica(ctx context.Context, node cluster.NodeID, method string, r *request) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	payload, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	var b []byte
	if node == s.cfg.Self {
		b, err = s.cfg.Server.Methods()[method](ctx, node, payload)
	} else {
		b, err = s.cfg.Caller.Call(ctx, node, method, payload)
	}
	if err != nil {
		return nil, err
	}
	rep := &reply{}
	if err := json.Unmarshal(b, rep); err != nil {
		return nil, errors.Join(errors.New("decode the answer"), err)
	}
	return rep, nil
}

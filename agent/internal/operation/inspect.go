package operation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

var errNotTold = errors.New("this node does not tell its raft state")

// inspect answers with the raft state of this node's replica of a range.
func (s *Server) inspect(ctx context.Context, _ cluster.NodeID, payload []byte) ([]byte, error) {
	req, err := decodeRequest(payload)
	if err != nil {
		return nil, err
	}
	if s.Inspect == nil {
		return nil, errNotTold
	}
	st, err := s.Inspect(ctx, req.Range)
	if err != nil {
		return nil, err
	}
	return json.Marshal(st)
}

// InspectRaft asks each of nodes for the raft state of its replica of a range,
// at once, and waits for each no longer than perNode (0: 3 s). Who does not
// answer, or has none, is not in the result.
func (s *Service) InspectRaft(ctx context.Context, id cluster.RangeID, nodes []cluster.NodeID, perNode time.Duration) map[cluster.NodeID]*cluster.RaftState {
	if perNode <= 0 {
		perNode = pollTimeout
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	out := map[cluster.NodeID]*cluster.RaftState{}
	for _, node := range nodes {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, perNode)
			defer cancel()
			st, err := s.inspect(ctx, node, id)
			if err != nil {
				return // it is missing from the answer, which says so
			}
			mu.Lock()
			defer mu.Unlock()
			out[node] = st
		})
	}
	wg.Wait()
	return out
}

func (s *Service) inspect(ctx context.Context, node cluster.NodeID, id cluster.RangeID) (*cluster.RaftState, error) {
	payload, err := json.Marshal(request{Range: id})
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	var b []byte
	if node == s.cfg.Self {
		b, err = s.cfg.Server.inspect(ctx, node, payload)
	} else {
		b, err = s.cfg.Caller.Call(ctx, node, MethodInspect, payload)
	}
	if err != nil {
		return nil, err
	}
	st := &cluster.RaftState{}
	if err := json.Unmarshal(b, st); err != nil {
		return nil, fmt.Errorf("decode the raft state of %s on %s: %w", id, node, err)
	}
	return st, nil
}

package operation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/statusboard"
)

// intake asks nodes for their statuses and keeps what they said, so that each
// tells only what changed since.
type intake struct {
	brief bool // without how long pings take
	mu    sync.Mutex
	// copies and drop are guarded by mu.
	copies map[cluster.NodeID]*statusboard.Copy
	drop   *time.Timer
}

func (in *intake) of(id cluster.NodeID) *statusboard.Copy {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.copies == nil {
		in.copies = map[cluster.NodeID]*statusboard.Copy{}
	}
	if in.copies[id] == nil {
		in.copies[id] = &statusboard.Copy{}
	}
	return in.copies[id]
}

// keepFor forgets everything d from now, and calls also, unless it is called again.
func (in *intake) keepFor(d time.Duration, also func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.drop == nil {
		in.drop = time.AfterFunc(d, func() {
			also()
			in.mu.Lock()
			defer in.mu.Unlock()
			in.copies = nil
		})
		return
	}
	in.drop.Reset(d)
}

// ask returns what a node says now. News says that something about its ranges or
// peers differs from what it said before.
func (in *intake) ask(ctx context.Context, id cluster.NodeID, call func(ctx context.Context, to cluster.NodeID, method string, payload []byte) ([]byte, error)) (st *cluster.NodeStatus, news bool, err error) {
	c := in.of(id)
	for range 2 {
		var payload, b []byte
		if payload, err = json.Marshal(statusboard.Request{Have: c.Have(), Brief: in.brief}); err != nil {
			return nil, false, fmt.Errorf("encode the request: %w", err)
		}
		if b, err = call(ctx, id, MethodStatus, payload); err != nil {
			return nil, false, err
		}
		var a statusboard.Answer
		if a, err = statusboard.DecodeAnswer(b); err != nil {
			return nil, false, fmt.Errorf("decode the status of %s: %w", id, err)
		}
		if a.Head.Node != id {
			return nil, false, fmt.Errorf("%s answered for %s", a.Head.Node, id)
		}
		if st, news, err = c.Apply(a); !errors.Is(err, statusboard.ErrBase) {
			break
		}
		c.Forget() // the node restarted between two questions that overtook each other
	}
	if err != nil {
		return nil, false, fmt.Errorf("take in the status of %s: %w", id, err)
	}
	return st, news, nil
}

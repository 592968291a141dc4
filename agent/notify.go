package agent

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/sql"
)

const (
	methodNotify = "sql.notify" // tells the sessions of the node that is called what was notified
	// notifyWithin is how long a node has to take what it is told: one that does not is
	// left out until it answers again.
	notifyWithin = 3 * time.Second
	// maxNotifying and maxNotifyingBytes bound the notifications that wait for one node.
	maxNotifying      = 100_000
	maxNotifyingBytes = 64 << 20
)

// notifier tells the other nodes of notifications, each in the order in which they were
// committed here (ADR 0060). To each goes one call at a time.
type notifier struct {
	n  *Node
	mu struct {
		sync.Mutex
		waiting map[cluster.NodeID][]sql.Notification
		bytes   map[cluster.NodeID]int // of those that wait
		sending map[cluster.NodeID]bool
	}
	running sync.WaitGroup
}

// Notify implements sql.Notifier.
func (x *notifier) Notify(list []sql.Notification) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.mu.waiting == nil {
		x.mu.waiting, x.mu.sending, x.mu.bytes = map[cluster.NodeID][]sql.Notification{}, map[cluster.NodeID]bool{}, map[cluster.NodeID]int{}
	}
	size := 0
	for i := range list {
		size += list[i].Size()
	}
	for _, id := range x.n.others() {
		if len(x.mu.waiting[id])+len(list) > maxNotifying || x.mu.bytes[id]+size > maxNotifyingBytes {
			x.n.logger.Warn("notifications are not sent to a node: too many wait for it", logattr.Peer(id))
			continue
		}
		x.mu.waiting[id], x.mu.bytes[id] = append(x.mu.waiting[id], list...), x.mu.bytes[id]+size
		if !x.mu.sending[id] {
			x.mu.sending[id] = true
			x.running.Add(1)
			go x.send(id)
		}
	}
}

// next is what a node is to be told now; nil: nothing, and send ends.
func (x *notifier) next(id cluster.NodeID) []sql.Notification {
	x.mu.Lock()
	defer x.mu.Unlock()
	list := x.mu.waiting[id]
	delete(x.mu.bytes, id)
	if delete(x.mu.waiting, id); len(list) == 0 {
		delete(x.mu.sending, id)
	}
	return list
}

// send tells a node what waits for it. A node that cannot be reached has nobody who listens,
// as far as anybody can tell.
func (x *notifier) send(id cluster.NodeID) {
	defer x.running.Done()
	for {
		list := x.next(id)
		if len(list) == 0 {
			return
		}
		if x.n.suspects(id) {
			continue
		}
		for len(list) > 0 { // a call has a bound
			const atOnce = 1 << 20
			n, bytes := 0, 0
			for n < len(list) && bytes < atOnce {
				bytes += list[n].Size()
				n++
			}
			if err := x.tell(id, list[:n]); err != nil {
				x.n.logger.Debug("notifications not sent", logattr.Peer(id), logattr.Err(err))
				break
			}
			list = list[n:]
		}
	}
}

func (x *notifier) tell(id cluster.NodeID, list []sql.Notification) error {
	payload, err := json.Marshal(list)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), notifyWithin)
	defer cancel()
	_, err = x.n.transport.Call(ctx, id, methodNotify, payload)
	return err
}

// stop waits until all is sent that was notified.
func (x *notifier) stop() { x.running.Wait() }

// notified gives the sessions of this node what another tells.
func (n *Node) notified(_ context.Context, _ cluster.NodeID, payload []byte) ([]byte, error) {
	var list []sql.Notification
	if err := json.Unmarshal(payload, &list); err != nil {
		return nil, err
	}
	if srv := n.sql.Load(); srv != nil {
		srv.Deliver(list)
	}
	return nil, nil
}

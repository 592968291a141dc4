package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/pprof"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/nodedb/nodedb/agent/internal/admin"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/health"
	"github.com/nodedb/nodedb/agent/internal/transport"
	"github.com/nodedb/nodedb/client"
)

// The calls that nodes answer each other for those who look into them.
const (
	methodRouting = "debug.routing"
	methodCollect = "debug.collect"
)

// debugMost bounds one item of a bundle, bytes; the end of it is kept.
const debugMost = 8 << 20

func (n *Node) debugMethods() map[string]method {
	return map[string]method{
		methodRouting: func(context.Context, cluster.NodeID, []byte) ([]byte, error) { return json.Marshal(n.routingTable()) },
		methodCollect: func(_ context.Context, _ cluster.NodeID, item []byte) ([]byte, error) {
			out, err := n.debugItem(string(item))
			if err != nil {
				return nil, err
			}
			return json.Marshal(out)
		},
	}
}

// routingTable is what this node would send requests by.
func (n *Node) routingTable() admin.RoutingTable {
	v := n.machine.View()
	t := admin.RoutingTable{MetaIndex: v.Index, Generations: map[cluster.RangeID]uint64{}, Leaders: map[cluster.RangeID]cluster.NodeID{}}
	for id := range v.Ranges.All() {
		r, ok := n.table.Range(id)
		if !ok {
			continue
		}
		t.Generations[id] = r.Descriptor.Generation
		if r.Leader != 0 {
			t.Leaders[id] = r.Leader
		}
	}
	t.WrongPerSecond = n.wrongHints.rate(time.Now(), n.table.Wrong())
	return t
}

// RoutingTables implements admin.Debugger.
func (b *backend) RoutingTables(ctx context.Context, perNode time.Duration) map[cluster.NodeID]admin.RoutingTable {
	var wg sync.WaitGroup
	var mu sync.Mutex
	out := map[cluster.NodeID]admin.RoutingTable{}
	for _, id := range append(b.n.others(), b.n.id.Node) {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, perNode)
			defer cancel()
			var t admin.RoutingTable
			reply, err := b.n.transport.Call(ctx, id, methodRouting, nil)
			if err == nil {
				err = json.Unmarshal(reply, &t)
			}
			if err != nil {
				return // the node is missing: the caller says so
			}
			mu.Lock()
			defer mu.Unlock()
			out[id] = t
		})
	}
	wg.Wait()
	return out
}

// Behind implements admin.Debugger.
func (b *backend) Behind(index uint64) time.Duration { return b.n.metaTimes.since(index, time.Now()) }

// Collect implements admin.Debugger.
func (b *backend) Collect(ctx context.Context, node cluster.NodeID, item string) (admin.DebugItem, error) {
	var out admin.DebugItem
	reply, err := b.n.transport.Call(ctx, node, methodCollect, []byte(item))
	var call *transport.CallError
	switch {
	case errors.As(err, &call) && call.Code == transport.CodeInternal:
		return out, &admin.Error{Kind: admin.KindInternal, Message: fmt.Sprintf("%s: %s", node, call.Message), Err: err}
	case err != nil:
		return out, &admin.Error{Kind: admin.KindUnavailable, Message: fmt.Sprintf("%s does not answer: %v", node, err), Err: err}
	}
	return out, json.Unmarshal(reply, &out)
}

// debugItem makes one item of a bundle, without secrets.
func (n *Node) debugItem(item string) (admin.DebugItem, error) {
	var buf bytes.Buffer
	out := admin.DebugItem{Name: item + ".txt"}
	var err error
	switch item {
	case "config":
		var text []byte
		text, err = n.cfg.Encode()
		buf.Write(text)
		out.Name = "config.yaml"
	case "log":
		var text []byte
		text, out.Truncated = n.logTail.tail()
		buf.Write(text)
	case "goroutines":
		err = pprof.Lookup("goroutine").WriteTo(&buf, 2)
	case "metrics":
		w := &bodyWriter{Buffer: &buf, header: http.Header{}}
		r, rerr := http.NewRequestWithContext(context.Background(), http.MethodGet, "/metrics", nil)
		if rerr != nil {
			return out, rerr
		}
		promhttp.HandlerFor(n.metrics(), promhttp.HandlerOpts{Timeout: 10 * time.Second}).ServeHTTP(w, r)
	case "heap":
		out.Name = "heap.pprof"
		err = pprof.Lookup("heap").WriteTo(&buf, 0)
	case "status":
		out.Name = "status.json"
		e := json.NewEncoder(&buf)
		e.SetIndent("", "  ")
		err = e.Encode(n.selfPortrait())
	default:
		return out, fmt.Errorf("a node has no %q to collect", item)
	}
	if err != nil {
		return out, fmt.Errorf("collect %s: %w", item, err)
	}
	out.Content = buf.Bytes()
	if item != "heap" { // a profile is binary and holds no data
		out.Content = client.Redact(out.Content)
	}
	if over := len(out.Content) - debugMost; over > 0 {
		out.Content, out.Truncated = out.Content[over:], true
	}
	return out, nil
}

// portrait is a node as it sees itself.
type portrait struct {
	Identity Identity            `json:"identity"`
	Status   cluster.NodeStatus  `json:"status"`
	Leader   cluster.NodeID      `json:"metaLeader"`
	Problems []health.Problem    `json:"problems"`
	Peers    []transportPortrait `json:"peers"`
	Routing  admin.RoutingTable  `json:"routing"`
}

type transportPortrait struct {
	Node      cluster.NodeID `json:"node"`
	Connected bool           `json:"connected"`
	Since     time.Time      `json:"since"`
	Error     string         `json:"error,omitempty"`
}

func (n *Node) selfPortrait() portrait {
	leader, _, _ := n.meta.Leader()
	p := portrait{Identity: n.id, Status: n.source.Whole(), Leader: leader, Problems: n.board.Problems(), Routing: n.routingTable()}
	for _, s := range n.transport.Status() {
		t := transportPortrait{Node: s.Node, Connected: s.Connected, Since: s.Since}
		if s.Err != nil {
			t.Error = s.Err.Error()
		}
		p.Peers = append(p.Peers, t)
	}
	return p
}

// bodyWriter is an http.ResponseWriter that keeps the body.
type bodyWriter struct {
	*bytes.Buffer
	header http.Header
}

func (w *bodyWriter) Header() http.Header { return w.header }
func (w *bodyWriter) WriteHeader(int)     {}

// counterRate makes a rate of a counter that is looked at now and then.
type counterRate struct {
	mu    sync.Mutex
	at    time.Time
	count uint64
	last  float64
}

// hintRateGap is the least time between two samples.
const hintRateGap = time.Second

func (c *counterRate) rate(now time.Time, count uint64) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	gap := now.Sub(c.at)
	if gap < hintRateGap {
		return c.last
	}
	if !c.at.IsZero() {
		c.last = float64(count-c.count) / gap.Seconds()
	}
	c.at, c.count = now, count
	return c.last
}

// indexTimes remembers when this node saw the last changes of the meta range.
type indexTimes struct {
	mu  sync.Mutex
	log []indexTime // ascending
}

type indexTime struct {
	index uint64
	at    time.Time
}

// indexTimesMost is how many changes are remembered.
const indexTimesMost = 1024

func (t *indexTimes) note(index uint64, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.log) >= indexTimesMost {
		t.log = slices.Delete(t.log, 0, indexTimesMost/2)
	}
	t.log = append(t.log, indexTime{index, at})
}

// since is how long ago the first change after index was seen here; 0: none was.
func (t *indexTimes) since(index uint64, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.log {
		if e.index > index {
			return now.Sub(e.at)
		}
	}
	return 0
}

package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/offline"
)

// Limits of collecting.
const (
	parallel   = 8
	rangesMost = 64 // ranges whose raft state and placement are asked for one by one
	answerMost = 64 << 20
)

// itemsOfNodes are what CollectDebug knows.
var itemsOfNodes = []string{"config", "status", "log", "metrics", "goroutines", "heap"}

// step is one thing to collect. It returns the name of a file and its content.
type step struct {
	name string
	run  func(context.Context) (file string, content []byte, truncated bool, err error)
}

// collected is what a step gave.
type collected struct {
	offline.Step
	content []byte
}

// collector collects the steps of a bundle.
type collector struct {
	client      *client.Client
	stepTimeout time.Duration
	nodeTimeout float64
	progress    func(done, all int, name string)
}

// all collects every step at once, as many as parallel allows at a time, and
// returns them in their order. A step that fails is missing, no more.
func (c *collector) all(ctx context.Context, steps []step) []collected {
	out := make([]collected, len(steps))
	slots := make(chan struct{}, parallel)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for i, s := range steps {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			out[i] = c.one(ctx, s)
			mu.Lock()
			defer mu.Unlock()
			done++
			c.progress(done, len(steps), s.name)
		})
	}
	wg.Wait()
	return out
}

func (c *collector) one(ctx context.Context, s step) collected {
	ctx, cancel := context.WithTimeout(ctx, c.stepTimeout)
	defer cancel()
	began := time.Now()
	file, content, truncated, err := s.run(ctx)
	got := collected{Step: offline.Step{Name: s.name, Seconds: time.Since(began).Round(time.Millisecond).Seconds()}}
	if err != nil {
		got.Error = string(client.Redact([]byte(err.Error())))
		return got
	}
	if !strings.HasSuffix(file, ".pprof") { // a profile is binary and holds no data
		content = client.Redact(content)
	}
	got.File, got.content, got.Bytes, got.Truncated = file, content, len(content), truncated
	return got
}

// call is the step that keeps the answer of a read of the API.
func (c *collector) call(method string, req proto.Message) step {
	name := "calls/" + method
	if key := offline.Key(req); key != "" {
		name += "/" + key
	}
	return step{name: name, run: func(ctx context.Context) (string, []byte, bool, error) {
		body, err := c.ask(ctx, method, req)
		return name + ".json", body, false, err
	}}
}

// ask makes a call as JSON, which is what the bundle keeps.
func (c *collector) ask(ctx context.Context, method string, req proto.Message) ([]byte, error) {
	body, err := protojson.Marshal(req)
	if err != nil {
		return nil, err
	}
	resp, err := c.client.HTTP(ctx, http.MethodPost, "/nodedb.admin.v1.Admin/"+method, http.Header{"Content-Type": {"application/json"}}, strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, answerMost))
	if err != nil {
		return nil, client.AsError(err)
	}
	if resp.StatusCode != http.StatusOK {
		var said struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		}
		if json.Unmarshal(answer, &said) != nil || said.Code == "" {
			return nil, errors.New(resp.Status)
		}
		return nil, fmt.Errorf("%s: %s", said.Code, said.Message)
	}
	return answer, nil
}

// clusterCalls are the reads that are asked once: every one that the protocol has
// and that needs no argument.
func (c *collector) clusterCalls() []step {
	skip := []string{"CollectDebug", "PlanOperation", "LookupRoute", "GetOperation", "ExplainMember", "ExplainRange", "InspectRaft", "CheckSafe"}
	var steps []step
	methods := adminpb.File_admin_proto.Services().ByName("Admin").Methods()
	for i := range methods.Len() {
		m := methods.Get(i)
		o, ok := m.Options().(*descriptorpb.MethodOptions)
		if !ok || o.GetIdempotencyLevel() != descriptorpb.MethodOptions_NO_SIDE_EFFECTS || m.IsStreamingServer() || slices.Contains(skip, string(m.Name())) {
			continue
		}
		steps = append(steps, c.call(string(m.Name()), c.request(string(m.Name()))))
	}
	return append(steps, c.call("CheckSafe", &adminpb.CheckSafeRequest{Question: "survive", NodeTimeout: c.nodeTimeout}))
}

// request is what asks a call for everything that it has.
func (c *collector) request(method string) proto.Message {
	switch method {
	case "ListNodes":
		return &adminpb.ListNodesRequest{All: true, NodeTimeout: c.nodeTimeout}
	case "ListOperations":
		return &adminpb.ListOperationsRequest{All: true}
	}
	return &adminpb.WhoAmIRequest{} // no field set: {}
}

// nodeSteps are what is asked of, and about, each node.
func (c *collector) nodeSteps(nodes []*adminpb.Node) []step {
	var steps []step
	for _, n := range nodes {
		if n.GetMembership() == "decommissioned" {
			continue
		}
		id := n.GetId()
		steps = append(steps,
			c.call("ExplainMember", &adminpb.ExplainMemberRequest{Node: id, NodeTimeout: c.nodeTimeout}),
			c.call("CheckSafe", &adminpb.CheckSafeRequest{Question: "stop", Nodes: []uint32{id}, NodeTimeout: c.nodeTimeout}),
			c.call("CheckSafe", &adminpb.CheckSafeRequest{Question: "remove", Nodes: []uint32{id}, NodeTimeout: c.nodeTimeout}))
		for _, item := range itemsOfNodes {
			steps = append(steps, c.nodeItem(n, item))
		}
	}
	return steps
}

// nodeItem asks through the cluster, and the node itself if that fails: where the
// nodes cannot reach each other, the operator may reach them all.
func (c *collector) nodeItem(n *adminpb.Node, item string) step {
	name := fmt.Sprintf("nodes/n%d/%s", n.GetId(), item)
	return step{name: name, run: func(ctx context.Context) (string, []byte, bool, error) {
		half, cancel := context.WithTimeout(ctx, c.stepTimeout/2)
		defer cancel()
		r, err := c.client.CollectDebug(half, &adminpb.CollectDebugRequest{Node: n.GetId(), Item: item})
		if err != nil && client.AsError(err).Retryable() {
			if direct, derr := c.direct(ctx, n, item); derr == nil {
				r, err = direct, nil
			}
		}
		if err != nil {
			return "", nil, false, err
		}
		return fmt.Sprintf("nodes/n%d/%s", n.GetId(), fileName(r.GetName(), item)), r.GetContent(), r.GetTruncated(), nil
	}}
}

// direct asks the node at its own address and at no other: another node would
// answer of itself.
func (c *collector) direct(ctx context.Context, n *adminpb.Node, item string) (*adminpb.CollectDebugResponse, error) {
	cx := c.client.Context()
	cx.Addrs, cx.Known = []string{n.GetAddresses().GetAdmin()}, nil
	d, err := client.Dial(cx)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.CollectDebug(ctx, &adminpb.CollectDebugRequest{Node: n.GetId(), Item: item})
}

// fileName is the name that a node gives, if it is only a name.
func fileName(given, item string) string {
	if given == "" || strings.ContainsAny(given, "/\\") || strings.HasPrefix(given, ".") {
		return item
	}
	return given
}

// rangeSteps look closely at ranges: those that are not healthy first.
func (c *collector) rangeSteps(ranges []*adminpb.Range) []step {
	ranges = slices.Clone(ranges)
	slices.SortStableFunc(ranges, func(a, b *adminpb.Range) int {
		ill := func(r *adminpb.Range) int {
			if r.GetState() == "healthy" {
				return 1
			}
			return 0
		}
		return ill(a) - ill(b)
	})
	var steps []step
	for _, r := range ranges[:min(len(ranges), rangesMost)] {
		steps = append(steps,
			c.call("InspectRaft", &adminpb.InspectRaftRequest{Range: r.GetId(), NodeTimeout: c.nodeTimeout}),
			c.call("ExplainRange", &adminpb.ExplainRangeRequest{Range: r.GetId(), NodeTimeout: c.nodeTimeout}))
	}
	return steps
}

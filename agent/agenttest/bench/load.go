package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/nodedb/nodedb/agent/agenttest/bench/figures"
	"github.com/nodedb/nodedb/agent/agenttest/bench/systems"
)

func clientsName(n int) string {
	if n == 1 {
		return "1 client"
	}
	return strconv.Itoa(n) + " clients"
}

// against is a target by ratio to etcd with TLS.
func against(reach, aim float64) *figures.Target {
	return &figures.Target{Of: systems.EtcdTLS, Reach: reach, Aim: aim}
}

func (b *bench) insert(t *testing.T) {
	rates := map[int]*figures.Target{1: against(1.2, 1.4), 16: against(1.3, 1.8), 64: against(1.6, 2.5), 256: against(1.6, 3)}
	for _, n := range b.opts.Clients {
		targets := map[string]*figures.Target{"rate": rates[n], "p99": against(1, 0)}
		if n == 64 {
			targets["CPU"] = &figures.Target{Reach: 0.25, Aim: 0.20}
			targets["nodes' CPU"] = &figures.Target{Reach: 0.17, Aim: 0.125}
		}
		all := b.contenders()
		wait := b.profile(t, "insert", n, len(all))
		got := b.turns(t, n, all, func(ctx context.Context, s systems.Session, client, seq int) error {
			return s.Write(ctx, b.turn<<48|int64(client)<<32|int64(seq))
		})
		wait()
		flawless(t, all, got)
		b.report(t, clientsName(n), all, got, usual(), targets)
	}
}

func (b *bench) selects(t *testing.T) {
	anyRow := func(ctx context.Context, s systems.Session, _, _ int) error {
		return s.Read(ctx, rand.Int64N(int64(b.opts.Fill)))
	}
	for _, n := range b.opts.Clients {
		targets := map[string]*figures.Target{}
		switch n {
		case 1:
			targets["p50"] = &figures.Target{Reach: 0.20, Aim: 0.12}
		case 64:
			targets["rate"] = against(2.5, 4)
		}
		all := b.contenders()
		wait := b.profile(t, "select", n, len(all))
		got := b.turns(t, n, all, anyRow)
		wait()
		flawless(t, all, got)
		b.report(t, clientsName(n), all, got, usual(), targets)
	}
	b.leaderHere(t)
	b.boundedStaleness(t, anyRow)
}

// staleness is how old the rows may be that boundedStaleness reads: more than followers
// are behind while they are read, 3 s.
const staleness = "bounded_staleness:10"

// boundedStaleness measures reads of any rows that the client's own node answers,
// whoever leads them. Its peer reads linearizably: what that costs is what is saved.
func (b *bench) boundedStaleness(t *testing.T, anyRow act) {
	const n = 64
	all := b.contenders()[:min(2, len(b.contenders()))]
	all[0] = b.ours.Stale(staleness)
	got := b.turns(t, n, all, anyRow)
	flawless(t, all, got)
	b.report(t, clientsName(n)+", bounded staleness", all, got, usual(), map[string]*figures.Target{"rate": against(4, 6)})
}

// leaderHere measures reads of rows that the client's own node leads.
func (b *bench) leaderHere(t *testing.T) {
	const n, sample = 64, 96
	keys := map[int][]int64{}
	for key := range int64(sample) {
		node, err := b.leader(key)
		b.must(t, err)
		keys[node] = append(keys[node], key)
	}
	nodes := b.c.Nodes()
	for _, node := range nodes {
		if len(keys[node.Number]) == 0 {
			b.skip(t, "64 clients, leader here", fmt.Sprintf("%s leads none of the first %d rows", node.Name, sample))
			return
		}
	}
	all := b.contenders()[:min(2, len(b.contenders()))]
	got := b.turns(t, n, all, func(ctx context.Context, s systems.Session, client, _ int) error {
		here := keys[nodes[client%len(nodes)].Number]
		return s.Read(ctx, here[rand.IntN(len(here))])
	})
	flawless(t, all, got)
	targets := map[string]*figures.Target{"rate": against(4, 6)}
	b.report(t, clientsName(n)+", leader here", all, got, usual(), targets)
}

// leader is the number of the node that leads a row of bench.
func (b *bench) leader(key int64) (int, error) {
	r := b.c.TryCtl("routing", "lookup", "bench", strconv.FormatInt(key, 10), "-o", "json")
	if r.Code != 0 {
		return 0, fmt.Errorf("routing lookup of row %d: exit %d: %s", key, r.Code, r.Stderr)
	}
	var route struct {
		Leader int `json:"leader"`
	}
	if err := json.Unmarshal([]byte(r.Stdout), &route); err != nil {
		return 0, fmt.Errorf("routing lookup of row %d: %w", key, err)
	}
	return route.Leader, nil
}

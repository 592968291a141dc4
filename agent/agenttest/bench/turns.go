package bench

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest/bench/figures"
	"github.com/nodedb/nodedb/agent/agenttest/bench/systems"
)

// act is what a client does in a turn, again and again.
type act func(ctx context.Context, s systems.Session, client, seq int) error

// turns measures contenders that are all up, one after the other, for so many
// rounds: what the machine does meanwhile falls on all of them. The order turns
// by one each round. Result: by contender, its rounds.
func (b *bench) turns(t *testing.T, clients int, all []systems.System, do act) [][]measured {
	t.Helper()
	sessions := make([][]systems.Session, len(all))
	for i, s := range all {
		sessions[i] = open(t, s, clients)
	}
	got := make([][]measured, len(all))
	for round := range b.opts.Rounds {
		for i := range all {
			i = (i + round) % len(all)
			b.turn++
			m := closedLoop(t.Context(), clients, b.opts.Turn, all[i].CPU, func(ctx context.Context, client, seq int) error {
				return do(ctx, sessions[i][client], client, seq)
			})
			fmt.Fprintf(os.Stdout, "    round %d of %d, %s, %s: %s/s, p99 %s, %d failed\n",
				round+1, b.opts.Rounds, clientsName(clients), all[i].Name, figures.Amount(m.perSecond(), ""), m.P99.Round(10*time.Microsecond), m.failed())
			got[i] = append(got[i], m)
		}
	}
	for _, of := range sessions {
		for _, s := range of {
			s.Close()
		}
	}
	return got
}

// opening is how many sessions are opened at once: handshakes cost CPU, and the
// nodes bound them.
const opening = 16

func open(t *testing.T, s systems.System, clients int) []systems.Session {
	t.Helper()
	sessions := make([]systems.Session, clients)
	err := systems.All(t.Context(), opening, func(ctx context.Context, first int) error {
		for i := first; i < clients; i += opening {
			var err error
			if sessions[i], err = s.Open(ctx, i); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("open %d sessions of %s: %v", clients, s.Name, err)
	}
	return sessions
}

// flawless ends the group if any operation failed: a rate with failures is none.
func flawless(t *testing.T, all []systems.System, got [][]measured) {
	t.Helper()
	for i, rounds := range got {
		for _, m := range rounds {
			if m.FirstErr != nil || m.Ops == 0 {
				t.Fatalf("%s: %d done, %d failed: %v", all[i].Name, m.Ops, m.failed(), m.FirstErr)
			}
		}
	}
}

// metric is one column of a table of turns.
type metric struct {
	name, unit string
	better     figures.Better
	of         func(m measured) float64
}

// usual are the columns of every table of turns.
func usual() []metric {
	return []metric{
		{"rate", "/s", figures.More, measured.perSecond},
		{"p50", "ms", figures.Less, func(m measured) float64 { return inMS(m.P50) }},
		{"p99", "ms", figures.Less, func(m measured) float64 { return inMS(m.P99) }},
		{"CPU", "ms", figures.Less, func(m measured) float64 { return m.each(m.Nodes + m.Load) }},
		{"nodes' CPU", "ms", figures.Less, func(m measured) float64 { return m.each(m.Nodes) }},
	}
}

// report adds the figures of turns, ours first, with ratios to all others.
// Targets are ours, by metric.
func (b *bench) report(t *testing.T, name string, all []systems.System, got [][]measured, metrics []metric, targets map[string]*figures.Target) {
	t.Helper()
	for _, m := range metrics {
		rounds := make([][]float64, len(all))
		for i := range all {
			for _, one := range got[i] {
				rounds[i] = append(rounds[i], m.of(one))
			}
		}
		for i, s := range all {
			f := figures.Of(b.step, name, s.Name, m.name, m.unit, m.better, rounds[i]...)
			if i == 0 && s.Name == figures.Ours {
				f.Target = targets[m.name]
				f.Against = map[string]figures.Ratio{}
				for j := 1; j < len(all); j++ {
					if r, ok := figures.RatioOf(rounds[0], rounds[j]); ok {
						f.Against[all[j].Name] = r
					}
				}
			}
			b.add(t, f)
		}
	}
}

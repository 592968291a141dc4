package bench

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/nodedb/nodedb/agent/agenttest/bench/figures"
	"github.com/nodedb/nodedb/agent/agenttest/bench/systems"
)

// hot is many clients that increment one row, and a look whether each
// acknowledged increment is in the sum.
func (b *bench) hot(t *testing.T) {
	counts := []int{1, 8, 64}
	if b.opts.Quick {
		counts = []int{64}
	}
	var all []systems.System
	done := map[string]*atomic.Int64{} // acknowledged, warm-ups included
	for _, s := range b.sqlContenders() {
		b.must(t, s.Exec(t.Context(), "CREATE TABLE hot (id int8 PRIMARY KEY, n int8)", "INSERT INTO hot VALUES (1, 0)"))
		done[s.Name] = &atomic.Int64{}
		increment := s.Statements(func(int64) (string, []any) { return "UPDATE hot SET n = n + 1 WHERE id = $1", []any{1} })
		all = append(all, counting(increment, done[s.Name]))
	}
	columns := append(usual()[:3], metric{"40001", "%", figures.Less, func(m measured) float64 {
		return 100 * float64(m.Errors["40001"]) / float64(max(1, m.Ops+m.failed()))
	}})
	for _, n := range counts {
		targets := map[string]*figures.Target{}
		if n == 64 {
			targets["rate"] = &figures.Target{Reach: 2000, Aim: 4000}
			targets["40001"] = &figures.Target{Reach: 0}
		}
		got := b.turns(t, n, all, func(ctx context.Context, s systems.Session, _, _ int) error { return s.Write(ctx, 0) })
		for i, s := range all {
			for _, m := range got[i] {
				if m.failed() > m.Errors["40001"] {
					t.Fatalf("%s: statements failed with other errors than 40001: %v", s.Name, m.Errors)
				}
			}
		}
		b.report(t, clientsName(n), all, got, columns, targets)
	}
	for _, s := range b.sqlContenders() {
		var n int64
		b.must(t, s.QueryRow(t.Context(), "SELECT n FROM hot WHERE id = 1", &n))
		if n != done[s.Name].Load() {
			t.Fatalf("%s acknowledged %d increments, and the row has %d", s.Name, done[s.Name].Load(), n)
		}
	}
}

// counting counts the writes that a system acknowledges.
func counting(s systems.System, acked *atomic.Int64) systems.System {
	open := s.Open
	s.Open = func(ctx context.Context, client int) (systems.Session, error) {
		session, err := open(ctx, client)
		return countingSession{session, acked}, err
	}
	return s
}

type countingSession struct {
	systems.Session
	acked *atomic.Int64
}

func (s countingSession) Write(ctx context.Context, key int64) error {
	err := s.Session.Write(ctx, key)
	if err == nil {
		s.acked.Add(1)
	}
	return err
}

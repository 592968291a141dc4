package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nodedb/nodedb/agent/agenttest/bench/figures"
	"github.com/nodedb/nodedb/agent/agenttest/bench/systems"
)

// bulk is statements of many rows: one large one, many of 500 rows, COPY.
func (b *bench) bulk(t *testing.T) {
	for _, s := range b.sqlContenders() {
		b.must(t, s.Exec(t.Context(), "CREATE TABLE bulk (id int8 PRIMARY KEY, v text)"))
	}
	b.oneLarge(t)
	var all []systems.System
	for _, s := range b.sqlContenders() {
		all = append(all, s.Statements(func(key int64) (string, []any) { return systems.InsertRows("bulk", key, systems.BulkRows), nil }))
	}
	got := b.turns(t, systems.BulkClients, all, func(ctx context.Context, s systems.Session, client, seq int) error {
		return s.Write(ctx, b.turn<<48|int64(client)<<32|int64(seq*systems.BulkRows))
	})
	flawless(t, all, got)
	b.report(t, fmt.Sprintf("%d clients x %d rows", systems.BulkClients, systems.BulkRows), all, got, []metric{
		{"rows", "rows/s", figures.More, func(m measured) float64 { return m.perSecond() * systems.BulkRows }},
		{"p99", "ms", figures.Less, func(m measured) float64 { return inMS(m.P99) }},
		{"CPU of 1,000 rows", "ms", figures.Less, func(m measured) float64 { return m.each(m.Nodes+m.Load) / systems.BulkRows * 1000 }},
	}, map[string]*figures.Target{"rows": {Reach: 25_000, Aim: 35_000}})
	b.copyIn(t)
}

// oneLarge is one INSERT of 10,000 rows, round by round.
func (b *bench) oneLarge(t *testing.T) {
	const rows = 10_000
	took := map[string][]float64{}
	for range b.opts.Rounds {
		b.turn++
		sql := systems.InsertRows("bulk", b.turn<<48, rows)
		for _, s := range b.sqlContenders() {
			conn, err := s.Connect(t.Context(), 0)
			b.must(t, err)
			begin := time.Now()
			_, err = conn.Exec(t.Context(), sql)
			took[s.Name] = append(took[s.Name], time.Since(begin).Seconds())
			b.must(t, err)
			b.must(t, conn.Close(t.Context()))
		}
	}
	b.beside(t, "INSERT of 10,000 rows", "took", "s", figures.Less, took, &figures.Target{Reach: 0.4, Aim: 0.25})
}

// beside adds a figure of each system that takes SQL, from its rounds; those that
// have none are left out. The target is ours.
func (b *bench) beside(t *testing.T, name, metric, unit string, better figures.Better, rounds map[string][]float64, target *figures.Target) {
	t.Helper()
	for _, s := range b.sqlContenders() {
		if len(rounds[s.Name]) == 0 {
			continue
		}
		f := figures.Of(b.step, name, s.Name, metric, unit, better, rounds[s.Name]...)
		if s == b.ours {
			f.Target, f.Against = target, map[string]figures.Ratio{}
			for _, other := range b.sqlContenders()[1:] {
				if r, ok := figures.RatioOf(rounds[s.Name], rounds[other.Name]); ok {
					f.Against[other.Name] = r
				}
			}
		}
		b.add(t, f)
	}
}

// copyIn is COPY FROM STDIN, if the server takes it.
func (b *bench) copyIn(t *testing.T) {
	const rows = 20_000
	rates, refused := map[string][]float64{}, map[string]bool{}
	for range b.opts.Rounds {
		for _, s := range b.sqlContenders() {
			if refused[s.Name] {
				continue
			}
			b.turn++
			took, err := copyRows(t.Context(), s, b.turn<<48, rows)
			if systems.Kind(err) == "0A000" {
				refused[s.Name] = true
				b.skip(t, "COPY", fmt.Sprintf("%s does not have it yet: %v", s.Name, err))
				continue
			}
			b.must(t, err)
			rates[s.Name] = append(rates[s.Name], rows/took.Seconds())
		}
	}
	b.beside(t, "COPY of 20,000 rows, 1 client", "rows", "rows/s", figures.More, rates, &figures.Target{Reach: 60_000, Aim: 120_000})
}

// copyRows copies n rows from id first into bulk.
func copyRows(ctx context.Context, s *systems.SQL, first int64, n int) (time.Duration, error) {
	conn, err := s.Connect(ctx, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(ctx) }()
	source := pgx.CopyFromSlice(n, func(i int) ([]any, error) { return []any{first + int64(i), systems.Payload}, nil })
	begin := time.Now()
	_, err = conn.CopyFrom(ctx, pgx.Identifier{"bulk"}, []string{"id", "v"}, source)
	return time.Since(begin), err
}

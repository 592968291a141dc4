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

// rows loads many rows into a new cluster, looks at its memory, and scans them.
func (b *bench) rows(t *testing.T) {
	_, ours := b.cluster(t, ranges)
	n := b.opts.Rows
	name := figures.Amount(float64(n), "") + " rows"
	b.must(t, ours.Exec(t.Context(), "CREATE TABLE big (id int8 PRIMARY KEY, v text)"))
	begin := time.Now()
	b.must(t, ours.Load(t.Context(), "big", n))
	rate := float64(n) / time.Since(begin).Seconds()
	b.add(t, figures.Of(b.step, name, figures.Ours, fmt.Sprintf("load by %d clients", systems.BulkClients), "rows/s", figures.More, rate))
	agent, worker := memory(ours.PIDs)
	f := figures.Of(b.step, name, figures.Ours, "memory of the largest agent", "MiB", figures.Less, agent)
	if n >= 1_000_000 { // the target is for so many
		f.Target = &figures.Target{Reach: 200}
	}
	b.add(t, f)
	b.add(t, figures.Of(b.step, name, figures.Ours, "of its worker", "MiB", figures.Less, worker))
	conn, err := ours.Connect(t.Context(), 0)
	b.must(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	for _, q := range []struct {
		what, sql string
		want      float64
	}{
		{"count(*)", "SELECT count(*) FROM big", float64(n)},
		{"sum(id)", "SELECT sum(id) FROM big", float64(n) * float64(n-1) / 2},
	} {
		var rates []float64
		for range b.opts.Rounds {
			begin := time.Now()
			var got float64
			err := conn.QueryRow(t.Context(), q.sql, pgx.QueryExecModeExec, pgx.QueryResultFormats{pgx.TextFormatCode}).Scan(&got)
			b.must(t, err)
			if got != q.want {
				t.Fatalf("%s = %v, want %v", q.what, got, q.want)
			}
			rates = append(rates, float64(n)/time.Since(begin).Seconds())
		}
		b.add(t, figures.Of(b.step, name, figures.Ours, q.what, "rows/s", figures.More, rates...))
	}
}

package duck

import (
	"context"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// sleeper is the Source of pg_sleep: one row, late.
type sleeper struct{}

type sleepScan struct {
	Scan
	wait time.Duration
}

func (sleeper) Scan(_ context.Context, spec ScanSpec) (Scan, error) {
	s := &sleepScan{Scan: RowScan(spec, [][]datum.Datum{{datum.MakeFloat(datum.Float8, 0)}})}
	for _, c := range spec.Constraints {
		if c.Op == OpEQ {
			s.wait = time.Duration(c.Values[0].F * float64(time.Second))
		}
	}
	return s, nil
}

func (s *sleepScan) Fill(ctx context.Context, b *Batch) (bool, error) {
	timer := time.NewTimer(s.wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	return s.Scan.Fill(ctx, b)
}

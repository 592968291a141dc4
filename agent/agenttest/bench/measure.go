package bench

import (
	"context"
	"slices"
	"sync"
	"time"
)

// warmup is how long a load runs before it counts.
const warmup = 500 * time.Millisecond

// measured is what a closed loop of clients saw.
type measured struct {
	Clients  int
	Ops      int
	Failed   int
	FirstErr error
	Elapsed  time.Duration
	P50, P99 time.Duration
	// CPU is what all processes of the system and the load generator used.
	CPU time.Duration
}

func (m measured) perSecond() float64 { return float64(m.Ops) / m.Elapsed.Seconds() }

// cpuPerOp is zero if nothing was measured.
func (m measured) cpuPerOp() time.Duration {
	if m.Ops == 0 {
		return 0
	}
	return m.CPU / time.Duration(m.Ops)
}

// operation is one statement of client number client; seq rises by one.
type operation func(ctx context.Context, client, seq int) error

// closedLoop runs op by so many clients for d and returns what they saw. cpu
// returns the CPU time used so far.
func closedLoop(ctx context.Context, clients int, d time.Duration, cpu func() time.Duration, op operation) measured {
	begin := time.Now()
	counted, end := begin.Add(warmup), begin.Add(warmup+d)
	per := make([][]time.Duration, clients)
	failed := make([]int, clients)
	errs := make([]error, clients)
	var cpuStart time.Duration
	var wg sync.WaitGroup
	wg.Go(func() {
		waitUntil(ctx, counted)
		cpuStart = cpu()
	})
	for client := range clients {
		wg.Go(func() {
			for seq := 0; ctx.Err() == nil; seq++ {
				start := time.Now()
				if !start.Before(end) {
					return
				}
				err := op(ctx, client, seq)
				switch {
				case err != nil:
					failed[client]++
					errs[client] = err
				case start.After(counted):
					per[client] = append(per[client], time.Since(start))
				}
			}
		})
	}
	wg.Wait()
	m := measured{Clients: clients, Elapsed: time.Since(counted), CPU: cpu() - cpuStart}
	all := slices.Concat(per...)
	m.Ops = len(all)
	m.P50, m.P99 = percentiles(all)
	for i := range failed {
		m.Failed += failed[i]
		if m.FirstErr == nil {
			m.FirstErr = errs[i]
		}
	}
	return m
}

func percentiles(all []time.Duration) (p50, p99 time.Duration) {
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return all[len(all)/2], all[min(len(all)-1, len(all)*99/100)]
}

func waitUntil(ctx context.Context, when time.Time) {
	timer := time.NewTimer(time.Until(when))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// gaps is what paced writers met while something happened to the cluster.
type gaps struct {
	Writers int
	Acked   int
	Failed  int // statements that got an error
	// Sessions is how often a session was ended by the node's own word (57P01).
	Sessions int
	Longest  time.Duration
	// Affected is how many writers waited longer than twice the usual at least once.
	Affected int
	P99      time.Duration
	Errors   map[string]int // by SQLSTATE or kind
}

// writer is one paced client: write does one write and says how it went.
type writer interface {
	write(ctx context.Context) error
	// classify tells an ended session, which is expected, from a failure.
	classify(err error) (kind string, ended bool)
}

// paced runs the writers, one write per pace each, while event runs and for
// settle after it.
func paced(ctx context.Context, writers []writer, pace, settle time.Duration, event func()) gaps {
	ctx, stop := context.WithCancel(ctx)
	g := gaps{Writers: len(writers), Errors: map[string]int{}}
	var mu sync.Mutex
	var all []time.Duration
	var wg sync.WaitGroup
	for i, w := range writers {
		wg.Go(func() {
			// Spread over the pace, so that the writers don't march in step.
			waitUntil(ctx, time.Now().Add(pace*time.Duration(i)/time.Duration(len(writers))))
			tick := time.NewTicker(pace)
			defer tick.Stop()
			var longest time.Duration
			for ctx.Err() == nil {
				took, attempts := oneWrite(ctx, w, &mu, &g)
				if attempts {
					mu.Lock()
					all = append(all, took)
					mu.Unlock()
					longest = max(longest, took)
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
			mu.Lock()
			defer mu.Unlock()
			g.Longest = max(g.Longest, longest)
			if longest > 200*time.Millisecond {
				g.Affected++
			}
		})
	}
	waitUntil(ctx, time.Now().Add(settle/2))
	event()
	waitUntil(ctx, time.Now().Add(settle))
	stop()
	wg.Wait()
	g.Acked = len(all)
	_, g.P99 = percentiles(all)
	return g
}

// oneWrite tries until the write is acknowledged; ok is false if the run ended first.
func oneWrite(ctx context.Context, w writer, mu *sync.Mutex, g *gaps) (took time.Duration, ok bool) {
	start := time.Now()
	for {
		err := w.write(ctx)
		if err == nil {
			return time.Since(start), true
		}
		if ctx.Err() != nil {
			return 0, false
		}
		kind, ended := w.classify(err)
		mu.Lock()
		g.Errors[kind]++
		if ended {
			g.Sessions++
		} else {
			g.Failed++
		}
		mu.Unlock()
		waitUntil(ctx, time.Now().Add(2*time.Millisecond))
	}
}

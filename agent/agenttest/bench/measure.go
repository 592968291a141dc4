package bench

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest/bench/systems"
)

// warmup is how long a load runs before it counts.
const warmup = 500 * time.Millisecond

// measured is what a closed loop of clients saw.
type measured struct {
	Ops  int // done, after the warm-up
	Done int // done, the warm-up included
	// Errors counts what failed, by systems.Kind.
	Errors   map[string]int
	FirstErr error
	Elapsed  time.Duration
	P50, P99 time.Duration
	// Nodes is the CPU time of the system's processes for what is done, Load that of
	// the load generator.
	Nodes, Load time.Duration
}

func (m measured) perSecond() float64 { return float64(m.Ops) / m.Elapsed.Seconds() }

func (m measured) failed() (n int) {
	for _, of := range m.Errors {
		n += of
	}
	return n
}

// each is how much of a CPU time an operation has, in milliseconds; 0 if nothing
// was done.
func (m measured) each(cpu time.Duration) float64 {
	if m.Done == 0 {
		return 0
	}
	return inMS(cpu) / float64(m.Done)
}

func inMS(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// operation is one statement of client number client; seq rises by one.
type operation func(ctx context.Context, client, seq int) error

// tally is what one client saw.
type tally struct {
	took   []time.Duration
	done   int // the warm-up included
	errors map[string]int
	first  error
}

// closedLoop runs op by so many clients for d and returns what they saw. cpu
// returns the CPU time that the system's processes used so far: it is asked before
// the clients begin and after they end, because reading hundreds of processes while
// they compete for the CPUs would take long enough to be wrong. What begins during
// the warm-up does not count otherwise, neither as done nor as failed.
func closedLoop(ctx context.Context, clients int, d time.Duration, cpu func() time.Duration, op operation) measured {
	nodes, load := cpu(), systems.OwnCPU()
	begin := time.Now()
	counted, end := begin.Add(warmup), begin.Add(warmup+d)
	per := make([]tally, clients)
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() { per[client] = loop(ctx, counted, end, client, op) })
	}
	wg.Wait()
	m := measured{Elapsed: time.Since(counted), Load: systems.OwnCPU() - load, Nodes: cpu() - nodes, Errors: map[string]int{}}
	var all []time.Duration
	for _, t := range per {
		all = append(all, t.took...)
		m.Done += t.done
		for kind, n := range t.errors {
			m.Errors[kind] += n
		}
		if m.FirstErr == nil {
			m.FirstErr = t.first
		}
	}
	m.Ops = len(all)
	m.P50, m.P99 = percentiles(all)
	return m
}

// loop is one client.
func loop(ctx context.Context, counted, end time.Time, client int, op operation) tally {
	t := tally{errors: map[string]int{}}
	for seq := 0; ctx.Err() == nil; seq++ {
		start := time.Now()
		if !start.Before(end) {
			break
		}
		err := op(ctx, client, seq)
		counts := !start.Before(counted)
		switch {
		case err != nil:
			kind := systems.Kind(err)
			if t.first == nil {
				t.first = err
			}
			if counts {
				t.errors[kind]++
			}
			if kind == "other" { // no server said it: don't spin on a lost connection
				waitUntil(ctx, time.Now().Add(10*time.Millisecond))
			}
		case counts:
			t.took = append(t.took, time.Since(start))
			t.done++
		default:
			t.done++
		}
	}
	return t
}

func percentiles(all []time.Duration) (p50, p99 time.Duration) {
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return all[len(all)/2], all[min(len(all)-1, len(all)*99/100)]
}

// gaps is what paced writers met while something happened to the cluster.
type gaps struct {
	Acked  int
	Failed int // statements that got an error
	// Sessions is how often a session was ended by the node's own word (57P01).
	Sessions int
	Longest  time.Duration
	P99      time.Duration
	Errors   map[string]int // by SQLSTATE or kind
}

// writer is one paced client: write does one write and says how it went.
type writer interface {
	write(ctx context.Context) error
	// classify tells an ended session, which is expected, from a failure.
	classify(err error) (kind string, ended bool)
}

// paced runs the writers, one write per pace each, while event runs, and for
// settle before and after it.
func paced(ctx context.Context, writers []writer, pace, settle time.Duration, event func()) gaps {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	per := make([]gaps, len(writers))
	took := make([][]time.Duration, len(writers))
	var wg sync.WaitGroup
	for i, w := range writers {
		wg.Go(func() {
			// Spread over the pace, so that the writers don't march in step.
			waitUntil(ctx, time.Now().Add(pace*time.Duration(i)/time.Duration(len(writers))))
			per[i], took[i] = write(ctx, w, pace)
		})
	}
	waitUntil(ctx, time.Now().Add(settle))
	event()
	waitUntil(ctx, time.Now().Add(settle))
	stop()
	wg.Wait()
	sum := gaps{Errors: map[string]int{}}
	for _, g := range per {
		sum.Failed += g.Failed
		sum.Sessions += g.Sessions
		sum.Longest = max(sum.Longest, g.Longest)
		for kind := range maps.Keys(g.Errors) {
			sum.Errors[kind] += g.Errors[kind]
		}
	}
	all := slices.Concat(took...)
	sum.Acked = len(all)
	_, sum.P99 = percentiles(all)
	return sum
}

// write is one writer, until the context ends.
func write(ctx context.Context, w writer, pace time.Duration) (g gaps, took []time.Duration) {
	g.Errors = map[string]int{}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for ctx.Err() == nil {
		one, acked := oneWrite(ctx, w, &g)
		if acked {
			took = append(took, one)
		}
		// A write that still hangs when the run ends has waited as long at least.
		g.Longest = max(g.Longest, one)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	return g, took
}

// oneWrite tries until the write is acknowledged; acked is false if the run
// ended first.
func oneWrite(ctx context.Context, w writer, g *gaps) (took time.Duration, acked bool) {
	start := time.Now()
	for {
		err := w.write(ctx)
		if err == nil {
			return time.Since(start), true
		}
		if ctx.Err() != nil {
			return time.Since(start), false
		}
		kind, ended := w.classify(err)
		g.Errors[kind]++
		if ended {
			g.Sessions++
		} else {
			g.Failed++
		}
		waitUntil(ctx, time.Now().Add(2*time.Millisecond))
	}
}

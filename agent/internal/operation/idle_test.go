package operation

import (
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestAnIdleRunnerRests has a cluster in which nothing happens for a minute: its
// coordinator looks once a second, as do the others, and asks each node as often. What
// happens then is seen at once, or within a fifth of a second.
func TestAnIdleRunnerRests(t *testing.T) {
	inShell(t, 3, func(t *testing.T, s *shell) {
		s.mu.Lock()
		s.r.still = true
		s.mu.Unlock()
		last, since := uint64(0), time.Now()
		s.eventually("rest", time.Minute, func() bool {
			if is := s.r.view().Index; is != last {
				last, since = is, time.Now()
			}
			return s.led(1) > 0 && time.Since(since) > 10*time.Second
		})
		looks := func() map[cluster.NodeID]int {
			s.mu.Lock()
			defer s.mu.Unlock()
			out := map[cluster.NodeID]int{}
			for id, n := range s.nodes {
				out[id] = n.looks
			}
			return out
		}
		before, began := looks(), time.Now()
		s.eventually("a minute", 2*time.Minute, func() bool { return time.Since(began) >= time.Minute })
		if s.r.view().Index != last {
			t.Fatalf("the cluster was not idle: index %d, then %d", last, s.r.view().Index)
		}
		for id, n := range looks() {
			if n -= before[id]; n < 55 || n > 70 {
				t.Errorf("the runner of %s looked %d times in a minute, want about 60", id, n)
			}
		}
	})
}

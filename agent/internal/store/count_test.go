package store

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestACountIsAskedForAgainAfterAnOverload: the queue of requests is full when the
// turn of a count comes, and the range is counted later all the same.
func TestACountIsAskedForAgainAfterAnOverload(t *testing.T) {
	c := newCluster(t, 1, func(cfg *Config) { cfg.QueueRequests = 8 })
	c.bootstrap(1)
	c.write(2, "a", "1")
	s := c.leader(2).get()
	s.counting <- struct{}{} // counts wait for their turn
	if _, _, err := s.Split(t.Context(), 2, cluster.RangeSplit{At: cluster.VShard(40).Key(), Child: 9, Expect: 1}); err != nil {
		t.Fatal(err)
	}
	begun := uint64(0)
	eventually(t, "ticks that ask for counts", func() error {
		now, err := request(t.Context(), s, func(c *Core, done func(uint64, error)) { done(c.ticks, nil) })
		if begun == 0 {
			begun = now
		}
		if err == nil && now < begun+3 {
			err = errors.New("too few")
		}
		return err
	})
	stuck, free := make(chan struct{}), make(chan struct{})
	if err := s.inbox.complete(func(*Core) {
		close(stuck)
		<-free
	}); err != nil {
		t.Fatal(err)
	}
	<-stuck
	for s.inbox.ask(Urgent, func(*Core) {}) == nil {
	}
	<-s.counting             // both have their turn
	s.counting <- struct{}{} // and had it
	<-s.counting
	close(free)
	for _, id := range []cluster.RangeID{2, 9} {
		eventually(t, fmt.Sprintf("%s is counted", id), func() error {
			if st, ok := s.RangeStatus(id); !ok || !st.Counted {
				return fmt.Errorf("%+v, %v", st, ok)
			}
			return nil
		})
	}
}

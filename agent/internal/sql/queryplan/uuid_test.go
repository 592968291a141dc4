package queryplan

import (
	"sync"
	"testing"
	"time"
)

func TestTimedUUIDsAscend(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_123)
	seen := map[string]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			last := ""
			for i := range 5000 {
				id := timedUUID(now.Add(-time.Duration(i) * time.Hour)).S // also of a clock that goes back
				if id <= last {
					t.Errorf("%x is behind %x", id, last)
				}
				last = id
				mu.Lock()
				if seen[id] {
					t.Errorf("%x again", id)
				}
				seen[id] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if got := timedUUID(now.Add(time.Hour)).Text(); got[:8] != "018bd01c" || got[14] != '7' {
		t.Errorf("got %s", got)
	}
}

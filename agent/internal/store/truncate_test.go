package store

import "testing"

// TestLogIsKeptForWhoIsAway: while all replicas are there little log is kept; a node
// that was away finds what it missed.
func TestLogIsKeptForWhoIsAway(t *testing.T) {
	x := newTrio(t, func(cfg *Config) { cfg.LogEntries = 64 })
	snaps := x.snaps
	write := func(n int) {
		for range n {
			done := x.propose()
			x.deliver()
			x.tick()
			if !*done {
				t.Fatal("a write is not answered")
			}
		}
	}
	kept := func() uint64 {
		st, err := x.leading().Inspect(2)
		x.must(err)
		return st.LastIndex + 1 - st.FirstIndex
	}
	write(60)
	if got := kept(); got > 17 {
		t.Errorf("%d entries are kept while all are there, want at most 17", got)
	}
	away := 2
	if x.leader().r.ID() == 3 {
		away = 1
	}
	x.close(away)
	write(50)
	if got := kept(); got < 50 {
		t.Errorf("%d entries are kept while a follower is away, want the 50 that it missed", got)
	}
	x.open(away)
	x.settle()
	write(20)
	if got := x.behind(); got != 0 || x.snaps != snaps {
		t.Errorf("back, %d are behind, after %d snapshots", got, x.snaps-snaps)
	}
	if got := kept(); got > 17 {
		t.Errorf("%d entries are kept now that all are there", got)
	}
	x.close(away)
	write(100)
	if got := kept(); got > 65 {
		t.Errorf("%d entries are kept for a follower that does not come back", got)
	}
}

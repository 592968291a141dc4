package admission

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestSessionsTakeTurns has one session run statements as fast as it can beside
// others that do the same: each gets as many turns as the others.
func TestSessionsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const sessions, rounds = 5, 20
		q := New("long", 1, sessions)
		var turns [sessions]int
		for i := range sessions {
			go func() {
				for range rounds {
					p, err := q.Take(t.Context(), false)
					if err != nil {
						t.Error(err)
						return
					}
					<-time.After(time.Second) // of the bubble: it takes none
					turns[i]++
					for _, n := range turns {
						if n < turns[i]-1 {
							t.Errorf("session %d had %d turns: %v", i, turns[i], turns)
						}
					}
					p.End()
				}
			}()
		}
		synctest.Wait()
		if u := q.Usage(); u.Running != 1 || u.Waiting != sessions-1 {
			t.Errorf("got %+v, want one running", u)
		}
		<-time.After(time.Second * sessions * rounds)
		synctest.Wait()
		u := q.Usage()
		if u.Running != 0 || u.Waiting != 0 || u.Waited < sessions*rounds/2 || u.WaitedFor < time.Second || u.Oldest != 0 {
			t.Errorf("at the end: %+v", u)
		}
	})
}

// TestSlowClientsKeepNoPlace wants a statement whose client does not read to let
// others run, and to go ahead of those in line when it reads on.
func TestSlowClientsKeepNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New("long", 1, 2)
		slow, err := q.Take(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		reads, back := make(chan struct{}), make(chan error, 1)
		go func() {
			back <- slow.During(func() error {
				<-reads
				return nil
			})
		}()
		second, err := q.Take(t.Context(), false) // waits for waitsAfter
		if err != nil {
			t.Fatal(err)
		}
		third := make(chan *Place, 1)
		go func() {
			p, _ := q.Take(t.Context(), false)
			third <- p
		}()
		synctest.Wait()
		close(reads)
		synctest.Wait()
		if len(back) > 0 {
			t.Error("two run at once")
		}
		second.End()
		synctest.Wait()
		if err := <-back; err != nil || len(third) > 0 {
			t.Errorf("the one that had begun does not go first: %v", err)
		}
		slow.End()
		(<-third).End()
		if u := q.Usage(); u.Running != 0 {
			t.Errorf("got %+v", u)
		}
		// What a client that is quick takes, it keeps.
		p, _ := q.Take(t.Context(), false)
		if err := p.During(func() error { return errors.ErrUnsupported }); !errors.Is(err, errors.ErrUnsupported) || q.Usage().Running != 1 {
			t.Errorf("got %v", err)
		}
		p.End()
	})
}

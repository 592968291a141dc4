package admin

import (
	"fmt"
	"testing"
	"time"
)

func TestLimits(t *testing.T) {
	now := time.Unix(1000, 0)
	l := newLimiter(func() time.Time { return now })
	served := func(who string) int {
		n := 0
		for range 2 * callsBurst {
			free, err := l.enter(who, true)
			if err != nil {
				break
			}
			free()
			n++
		}
		return n
	}
	if got := served("alice"); got != callsBurst {
		t.Errorf("at once: %d calls, want %d", got, callsBurst)
	}
	if got := served("bob"); got != callsBurst {
		t.Errorf("another caller: %d calls, want %d", got, callsBurst)
	}
	now = now.Add(time.Second)
	if got := served("alice"); got != callsPerSecond {
		t.Errorf("a second later: %d calls, want %d", got, callsPerSecond)
	}
	var open []func()
	for {
		free, err := l.enter("carol", true)
		if err != nil {
			break
		}
		open = append(open, free)
	}
	if len(open) != callsAtOnce {
		t.Errorf("%d calls at once, want %d", len(open), callsAtOnce)
	}
	if _, err := l.enter("carol", false); err != nil {
		t.Errorf("a watch beside the calls: %v", err)
	}
	open[0]()
	if _, err := l.enter("carol", true); err != nil {
		t.Errorf("after one has ended: %v", err)
	}
}

func TestGuessersAreSlowedDown(t *testing.T) {
	now := time.Unix(1000, 0)
	l := newLimiter(func() time.Time { return now })
	tries := func() int {
		for i := range 2 * failuresBurst {
			if l.failed("10.0.0.9") != nil {
				return i
			}
		}
		return -1
	}
	if got := tries(); got != failuresBurst {
		t.Errorf("%d tries, want %d", got, failuresBurst)
	}
	if l.failed("10.0.0.8") != nil {
		t.Error("another address is refused")
	}
	now = now.Add(10 * time.Second)
	if got := tries(); got != 10*failuresPerSecond {
		t.Errorf("10 s later: %d tries, want %d", got, 10*failuresPerSecond)
	}
	for i := range 3 * bucketsMost {
		_ = l.failed(fmt.Sprint(i))
	}
	if n := len(l.mu.failures); n > bucketsMost {
		t.Errorf("%d addresses are remembered, want %d at most", n, bucketsMost)
	}
}

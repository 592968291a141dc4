package peers

import "time"

// State is where a breaker stands.
type State string

// The states.
const (
	Closed   State = "closed"    // calls go through
	Open     State = "open"      // calls fail at once; pings probe
	HalfOpen State = "half-open" // one probe succeeded: calls go through, one failure opens it again
)

// breaker counts the results of calls and pings to one peer.
type breaker struct {
	limit    int // failures in a row that open it
	state    State
	failures int
	since    time.Time // of the state
}

// record takes a result and reports the state before if it changed.
func (b *breaker) record(ok bool, now time.Time) (from State, changed bool) {
	from = b.state
	if ok {
		b.failures = 0
		switch b.state {
		case Open:
			b.state = HalfOpen
		case HalfOpen, Closed:
			b.state = Closed
		}
	} else {
		b.failures++
		if b.state == HalfOpen || b.failures >= b.limit {
			b.state = Open
		}
	}
	if b.state != from {
		b.since = now
	}
	return from, b.state != from
}

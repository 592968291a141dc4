package pgwire

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

const (
	throttleFirstDelay = 100 * time.Millisecond
	throttleMaxDelay   = 10 * time.Second
	// throttleForget is how long a failure is remembered after the last attempt.
	throttleForget = 10 * time.Minute
	// throttleEntries bounds memory: an attacker who invents users pushes out
	// only the oldest entries.
	throttleEntries = 8192
	// networkAllowance is how many failures a network may have, over all users,
	// before its logins are delayed too: one wrong script in an office should not
	// slow down its neighbours.
	networkAllowance = 16
	// throttleParallel is how many first attempts may be under way at once
	// before the next ones queue as if one had failed.
	throttleParallel = 16
)

// throttle delays logins after failures, per user and network and per network.
// It never locks a user out: that would let anyone lock out anyone.
type throttle struct {
	now func() time.Time

	mu      sync.Mutex
	entries map[throttleKey]*list.Element
	recent  *list.List // of *throttleEntry, the latest used first
}

type throttleKey struct {
	user    string // empty: the network as a whole
	network netip.Prefix
}

type throttleEntry struct {
	key       throttleKey
	failures  int
	attempts  int       // under way
	next      time.Time // the earliest start of the next attempt
	lastTouch time.Time
}

func newThrottle() *throttle {
	return &throttle{now: time.Now, entries: map[throttleKey]*list.Element{}, recent: list.New()}
}

// attempt is one login under way.
type attempt struct {
	throttle *throttle
	user     throttleKey
	network  throttleKey
}

// begin registers a login and returns how long it must wait before its password
// is looked at. ok is false when the queue is longer than the longest delay.
func (t *throttle) begin(user string, addr netip.Addr) (a attempt, wait time.Duration, ok bool) {
	a = attempt{throttle: t, network: throttleKey{network: networkOf(addr)}}
	a.user = throttleKey{user: user, network: a.network.network}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	userEntry, network := t.entry(a.user, now), t.entry(a.network, now)
	wait = max(userEntry.queue(now, 0), network.queue(now, networkAllowance))
	if wait > throttleMaxDelay {
		return a, wait, false
	}
	userEntry.attempts++
	network.attempts++
	userEntry.reserve(now.Add(wait), 0)
	network.reserve(now.Add(wait), networkAllowance)
	return a, wait, true
}

// outcome is how a login ended.
type outcome int

const (
	abandoned outcome = iota // by the client or the network: says nothing of the password
	succeeded
	failed
)

// done reports how the login ended. It is called once for each begin that was ok.
func (a attempt) done(o outcome) {
	t := a.throttle
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	user, network := t.entry(a.user, now), t.entry(a.network, now)
	user.end(o, now, 0)
	network.end(o, now, networkAllowance)
	if o == succeeded {
		// A network's failures are forgotten by time alone: one good login in an
		// office says nothing of the other machines there.
		user.failures, user.next = 0, time.Time{}
	}
}

func (e *throttleEntry) end(o outcome, now time.Time, allowance int) {
	e.attempts = max(0, e.attempts-1)
	if o != failed {
		return
	}
	e.failures++
	if until := now.Add(e.delay(allowance)); until.After(e.next) {
		e.next = until
	}
}

// queue is how long an attempt that comes now has to wait.
func (e *throttleEntry) queue(now time.Time, allowance int) time.Duration {
	if e.failures <= allowance && e.attempts < throttleParallel+allowance {
		return 0
	}
	return max(0, e.next.Sub(now))
}

// reserve keeps attempts that arrive together from starting together.
func (e *throttleEntry) reserve(start time.Time, allowance int) {
	if e.failures <= allowance && e.attempts < throttleParallel+allowance {
		return
	}
	e.next = start.Add(max(e.delay(allowance), throttleFirstDelay))
}

func (e *throttleEntry) delay(allowance int) time.Duration {
	n := e.failures - allowance
	if n <= 0 {
		return 0
	}
	if n > 8 {
		return throttleMaxDelay
	}
	return min(throttleMaxDelay, throttleFirstDelay<<(n-1))
}

func (t *throttle) entry(key throttleKey, now time.Time) *throttleEntry {
	if el, ok := t.entries[key]; ok {
		e := el.Value.(*throttleEntry)
		if now.Sub(e.lastTouch) > throttleForget {
			e.failures, e.next = 0, time.Time{}
		}
		e.lastTouch = now
		t.recent.MoveToFront(el)
		return e
	}
	if t.recent.Len() >= throttleEntries {
		oldest := t.recent.Back()
		delete(t.entries, oldest.Value.(*throttleEntry).key)
		t.recent.Remove(oldest)
	}
	e := &throttleEntry{key: key, lastTouch: now}
	t.entries[key] = t.recent.PushFront(e)
	return e
}

// networkOf is the /24 (IPv4) or /64 (IPv6) that an attacker gets cheaply.
func networkOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap()
	bits := 24
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.WithZone("").Prefix(bits)
	if err != nil { // no address at all, e.g. a pipe in a test
		return netip.Prefix{}
	}
	return p
}

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
	// throttleKnown is how long a good login counts for its user's next ones.
	throttleKnown = 7 * 24 * time.Hour
	// throttleEntries bounds memory: an attacker who invents users pushes out
	// only the oldest entries.
	throttleEntries = 8192
)

// throttle slows down those who guess passwords. The answer to a wrong password
// is held back; the right one is let in at once, whatever else comes from its
// network: nobody can lock out anybody by failing.
//
// A guesser need not wait for the answer, though: no answer is one. So each
// failure counts as under way until its answer was due, and where too many are
// under way, the next exchange is put off, by throttleWait at most.
type throttle struct {
	now func() time.Time

	mu      sync.Mutex
	entries map[throttleKey]*list.Element
	recent  *list.List // of *throttleEntry, the latest used first
	known   *recentKeys
}

// throttleWait is the longest that an exchange is put off. The client's own
// patience, often 10 s, has to be enough for a login.
const throttleWait = 4 * time.Second

// scope is whose failures count together.
type scope int

const (
	userAtAddress scope = iota
	userInNetwork
	address
	network
	scopes
)

// parallel is how many attempts may be under way in a scope before the next is
// put off.
func (s scope) parallel() int {
	return [...]int{userAtAddress: 16, userInNetwork: 64, address: 64, network: 256}[s]
}

// allowance is how many failures cost nothing: one wrong script in an office
// should not slow down the failures of its neighbours.
func (s scope) allowance() int {
	return [...]int{userAtAddress: 0, userInNetwork: 4, address: 16, network: 64}[s]
}

type throttleKey struct {
	user string       // empty: all
	from netip.Prefix // one address, or a network
}

type throttleEntry struct {
	key       throttleKey
	failures  int
	attempts  int         // under way
	due       []time.Time // when the answers of failures are
	lastTouch time.Time
}

func newThrottle() *throttle {
	return &throttle{now: time.Now, entries: map[throttleKey]*list.Element{}, recent: list.New(), known: newRecentKeys(throttleEntries)}
}

// attempt is one login.
type attempt struct {
	throttle *throttle
	keys     [scopes]throttleKey
	began    time.Time
}

// attempt registers nothing yet: start does.
func (t *throttle) attempt(user string, addr netip.Addr) *attempt {
	a := &attempt{throttle: t, began: t.now()}
	one, many := addressOf(addr), networkOf(addr)
	a.keys = [scopes]throttleKey{userAtAddress: {user, one}, userInNetwork: {user, many}, address: {"", one}, network: {"", many}}
	return a
}

// start reports whether the exchange may begin now. If so, done must follow; if
// not, the caller asks again a little later.
func (a *attempt) start() bool {
	t := a.throttle
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	patient := now.Sub(a.began) < throttleWait
	for s := range scopes {
		if patient && !a.exempt(s, now) && t.entry(a.keys[s], now).busy(now) >= s.parallel() {
			return false
		}
	}
	for s := range scopes {
		t.entry(a.keys[s], now).attempts++
	}
	return true
}

// exempt reports whether the scope's crowd does not matter to this attempt:
// who has logged in well from there lately queues behind guesses at the own name only.
func (a *attempt) exempt(s scope, now time.Time) bool {
	switch s {
	case address, network:
		return a.throttle.known.has(a.keys[userInNetwork], now.Add(-throttleKnown))
	case userInNetwork:
		return a.throttle.known.has(a.keys[userAtAddress], now.Add(-throttleKnown))
	}
	return false
}

// outcome is how a login ended.
type outcome int

const (
	abandoned outcome = iota // by the client or the network: says nothing of the password
	succeeded
	failed
)

// done reports how the exchange ended and returns for how long the answer is to
// be held back.
func (a *attempt) done(o outcome) (hold time.Duration) {
	t := a.throttle
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for s := range scopes {
		e := t.entry(a.keys[s], now)
		e.attempts = max(0, e.attempts-1)
		if o == failed {
			e.failures++
			hold = max(hold, delay(e.failures-s.allowance()))
		}
	}
	switch {
	case o == succeeded:
		// The others' failures are forgotten by time alone: one good login in an
		// office says nothing of the other machines there.
		t.entry(a.keys[userAtAddress], now).failures = 0
		t.known.add(a.keys[userAtAddress], now)
		t.known.add(a.keys[userInNetwork], now)
	case hold > 0:
		for s := range scopes {
			t.entry(a.keys[s], now).owe(now.Add(hold), 2*s.parallel())
		}
	}
	return hold
}

// busy is how many attempts are under way or have an answer due.
func (e *throttleEntry) busy(now time.Time) int {
	e.pay(now)
	return e.attempts + len(e.due)
}

func (e *throttleEntry) owe(until time.Time, most int) {
	if len(e.due) >= most {
		e.due = e.due[1:]
	}
	e.due = append(e.due, until)
}

func (e *throttleEntry) pay(now time.Time) {
	kept := e.due[:0]
	for _, until := range e.due {
		if until.After(now) {
			kept = append(kept, until)
		}
	}
	e.due = kept
}

// delay is what the nth failure costs.
func delay(n int) time.Duration {
	switch {
	case n <= 0:
		return 0
	case n > 7:
		return throttleMaxDelay
	}
	return throttleFirstDelay << (n - 1)
}

func (t *throttle) entry(key throttleKey, now time.Time) *throttleEntry {
	if el, ok := t.entries[key]; ok {
		e := el.Value.(*throttleEntry)
		if now.Sub(e.lastTouch) > throttleForget {
			e.failures = 0
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

// recentKeys remembers when keys were added last; the oldest make room.
type recentKeys struct {
	most  int
	at    map[throttleKey]*list.Element
	order *list.List // of *recentKey, the latest first
}

type recentKey struct {
	key throttleKey
	at  time.Time
}

func newRecentKeys(most int) *recentKeys {
	return &recentKeys{most: most, at: map[throttleKey]*list.Element{}, order: list.New()}
}

func (r *recentKeys) add(key throttleKey, now time.Time) {
	if el, ok := r.at[key]; ok {
		el.Value.(*recentKey).at = now
		r.order.MoveToFront(el)
		return
	}
	if r.order.Len() >= r.most {
		oldest := r.order.Back()
		delete(r.at, oldest.Value.(*recentKey).key)
		r.order.Remove(oldest)
	}
	r.at[key] = r.order.PushFront(&recentKey{key, now})
}

func (r *recentKeys) has(key throttleKey, since time.Time) bool {
	el, ok := r.at[key]
	return ok && el.Value.(*recentKey).at.After(since)
}

// addressOf is the address alone, as a prefix.
func addressOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() { // e.g. a pipe in a test
		return netip.Prefix{}
	}
	return netip.PrefixFrom(addr, addr.BitLen())
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

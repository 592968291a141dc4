package pgwire

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// clock is a throttle's time in a test.
type clock struct{ t time.Time }

func newTestThrottle() (*throttle, *clock) {
	c := &clock{t: time.Unix(1_000_000, 0)}
	th := newThrottle()
	th.now = func() time.Time { return c.t }
	return th, c
}

var testAddr = netip.MustParseAddr("192.0.2.7")

// try does one login and returns how long its answer is held back; -1: its
// exchange is put off.
func try(th *throttle, user string, addr netip.Addr, o outcome) time.Duration {
	a := th.attempt(user, addr)
	if !a.start() {
		return -1
	}
	return a.done(o)
}

func TestThrottleGrowsAndForgets(t *testing.T) {
	th, c := newTestThrottle()
	var holds []time.Duration
	for range 9 {
		h := try(th, "alice", testAddr, failed)
		holds = append(holds, h)
		c.t = c.t.Add(h)
	}
	ms := time.Millisecond
	want := []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 6400 * ms, 10000 * ms, 10000 * ms}
	if fmt.Sprint(holds) != fmt.Sprint(want) {
		t.Errorf("delays of failures in a row\ngot  %v\nwant %v", holds, want)
	}
	if h := try(th, "bob", testAddr, failed); h != 100*ms {
		t.Errorf("another user of the address waits %s", h)
	}
	if h := try(th, "alice", netip.MustParseAddr("198.51.100.1"), failed); h != 100*ms {
		t.Errorf("the user waits %s in another network", h)
	}
	if h := try(th, "alice", testAddr, succeeded); h != 0 {
		t.Errorf("after failures the right password is held back by %s", h)
	}
	if h := try(th, "alice", testAddr, failed); h >= throttleMaxDelay {
		t.Errorf("a success did not end the delay of the user at that address: %s", h)
	}
	c.t = c.t.Add(throttleForget + time.Second)
	if h := try(th, "alice", testAddr, failed); h != 100*ms {
		t.Errorf("a failure of long ago still delays by %s", h)
	}
}

// TestThrottleOfManyNames guesses at many users from one address.
func TestThrottleOfManyNames(t *testing.T) {
	th, _ := newTestThrottle()
	for i := range 40 {
		try(th, fmt.Sprint("user", i), testAddr, failed)
	}
	if h := try(th, "fresh", testAddr, failed); h != throttleMaxDelay {
		t.Errorf("a new name from an address of many failures waits only %s", h)
	}
	if h := try(th, "fresh", netip.MustParseAddr("192.0.2.99"), failed); h > time.Second {
		t.Errorf("the neighbour of an address of many failures waits %s", h)
	}
}

// TestThrottleOfTheImpatient guesses without waiting for the answers, from one
// address and one name or many, until the exchange is put off. Nobody else's is.
func TestThrottleOfTheImpatient(t *testing.T) {
	neighbour := netip.MustParseAddr("192.0.2.99")
	for _, tt := range []struct {
		names   int
		through int // guesses
	}{{1, 25}, {1000, 90}} {
		t.Run(fmt.Sprint(tt.names, " names"), func(t *testing.T) {
			th, c := newTestThrottle()
			try(th, "regular", testAddr, succeeded)
			through := 0
			for i := range 1000 {
				if try(th, fmt.Sprint("user", i%tt.names), testAddr, failed) >= 0 {
					through++
				}
				c.t = c.t.Add(time.Millisecond)
			}
			if through > tt.through {
				t.Errorf("%d guesses within a second, want %d at most", through, tt.through)
			}
			for name, h := range map[string]time.Duration{
				"another user at the next address":     try(th, "alice", neighbour, succeeded),
				"the guessed user at the next":         try(th, "user0", neighbour, succeeded),
				"who logged in well from there before": try(th, "regular", testAddr, succeeded),
			} {
				if h != 0 {
					t.Errorf("%s is held up (%s)", name, h)
				}
			}
		})
	}
}

// TestThrottleRefusesNobody asks again and again while guesses go on: the turn
// comes, though all places are taken.
func TestThrottleRefusesNobody(t *testing.T) {
	th, c := newTestThrottle()
	for range 100 {
		a := th.attempt("alice", testAddr)
		if a.start() {
			a.done(failed)
		}
	}
	good := th.attempt("alice", testAddr)
	if good.start() {
		t.Fatal("the guesses did not fill the places; the test shows nothing")
	}
	c.t = c.t.Add(throttleWait)
	if !good.start() || good.done(succeeded) != 0 {
		t.Errorf("after %s the turn has not come", throttleWait)
	}
}

func TestThrottleIsBounded(t *testing.T) {
	th, _ := newTestThrottle()
	for i := range 3 * throttleEntries {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		try(th, fmt.Sprint("user", i), addr, outcome(1+i%2))
	}
	if n := len(th.entries); n > throttleEntries || n != th.recent.Len() {
		t.Errorf("%d entries, %d in the list; the limit is %d", n, th.recent.Len(), throttleEntries)
	}
	if n := len(th.known.at); n > throttleEntries || n != th.known.order.Len() {
		t.Errorf("%d known, %d in the list; the limit is %d", n, th.known.order.Len(), throttleEntries)
	}
}

func TestNetworkOf(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7": "192.0.2.0/24", "::ffff:192.0.2.7": "192.0.2.0/24", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := networkOf(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("networkOf(%s) = %s, want %s", addr, got, want)
		}
	}
	if got := networkOf(netip.Addr{}); got != (netip.Prefix{}) {
		t.Errorf("networkOf(no address) = %v", got)
	}
}

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

// try does one login after having waited as told.
func try(t *testing.T, th *throttle, c *clock, user string, addr netip.Addr, o outcome) time.Duration {
	t.Helper()
	a, wait, ok := th.begin(user, addr)
	if !ok {
		return -1
	}
	c.t = c.t.Add(wait)
	a.done(o)
	return wait
}

func TestThrottleGrowsAndForgets(t *testing.T) {
	th, c := newTestThrottle()
	var waits []time.Duration
	for range 10 {
		waits = append(waits, try(t, th, c, "alice", testAddr, failed))
	}
	ms := time.Millisecond
	want := []time.Duration{0, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 6400 * ms, 10000 * ms, 10000 * ms}
	if fmt.Sprint(waits) != fmt.Sprint(want) {
		t.Errorf("delays of failures in a row\ngot  %v\nwant %v", waits, want)
	}
	if w := try(t, th, c, "bob", testAddr, succeeded); w != 0 {
		t.Errorf("another user of the network waits %s", w)
	}
	if w := try(t, th, c, "alice", netip.MustParseAddr("198.51.100.1"), succeeded); w != 0 {
		t.Errorf("the user waits %s in another network", w)
	}
	if w := try(t, th, c, "alice", testAddr, succeeded); w == 0 {
		t.Error("after failures the right password is not delayed")
	}
	if w := try(t, th, c, "alice", testAddr, failed); w != 0 {
		t.Errorf("a success was not the end of the delay: %s", w)
	}
	try(t, th, c, "alice", testAddr, failed)
	c.t = c.t.Add(throttleForget + time.Second)
	if w := try(t, th, c, "alice", testAddr, failed); w != 0 {
		t.Errorf("a failure of long ago still delays by %s", w)
	}
}

func TestThrottleOfANetwork(t *testing.T) {
	th, c := newTestThrottle()
	for i := range networkAllowance + 4 {
		try(t, th, c, fmt.Sprintf("user%d", i), testAddr, failed)
	}
	if w := try(t, th, c, "fresh", netip.MustParseAddr("192.0.2.99"), failed); w < 400*time.Millisecond {
		t.Errorf("a new name from a network of many failures waits only %s", w)
	}
	if w := try(t, th, c, "fresh", netip.MustParseAddr("192.0.3.1"), failed); w != 0 {
		t.Errorf("another network waits %s", w)
	}
}

// TestThrottleParallel starts many attempts before any has ended.
func TestThrottleParallel(t *testing.T) {
	th, _ := newTestThrottle()
	free, queued, refused := 0, 0, 0
	for range 1000 {
		switch _, wait, ok := th.begin("alice", testAddr); {
		case !ok:
			refused++
		case wait == 0:
			free++
		default:
			queued++
		}
	}
	if free > throttleParallel+1 || queued == 0 || refused == 0 {
		t.Errorf("of 1000 parallel attempts %d ran at once, %d queued, %d were refused", free, queued, refused)
	}
}

func TestThrottleIsBounded(t *testing.T) {
	th, _ := newTestThrottle()
	for i := range 3 * throttleEntries {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		a, _, ok := th.begin(fmt.Sprint("user", i), addr)
		if ok {
			a.done(failed)
		}
	}
	if n := len(th.entries); n > throttleEntries || n != th.recent.Len() {
		t.Errorf("%d entries, %d in the list; the limit is %d", n, th.recent.Len(), throttleEntries)
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

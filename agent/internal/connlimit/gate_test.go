package connlimit

import (
	"fmt"
	"net"
	"testing"
)

// peer is a connection from an address that remembers whether it was closed.
type peer struct {
	net.Conn

	from   string
	closed bool
}

func (p *peer) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.ParseIP(p.from), Port: 5000}
}

func (p *peer) Close() error {
	p.closed = true
	return nil
}

func (g *Gate) come(from string) (*peer, *Conn) {
	p := &peer{from: from}
	return p, g.Admit(p)
}

// TestGate wants strangers to push out each other, the oldest first, and the
// bounds to hold whatever comes.
func TestGate(t *testing.T) {
	g := New(Config{Total: 10, PerNetwork: 4, Spare: 2})
	var first []*peer
	for i := range 4 {
		p, c := g.come("192.0.2.1")
		if c == nil {
			t.Fatalf("connection %d was refused", i)
		}
		first = append(first, p)
	}
	if p, c := g.come("192.0.2.1"); c == nil || p.closed || !first[0].closed || first[1].closed {
		t.Error("a fifth connection of one address did not take the place of its oldest")
	}
	if _, c := g.come("192.0.2.2"); c == nil || first[1].closed {
		t.Error("another address was counted with it")
	}
	a, _ := g.come("2001:db8::1")
	for i := range 4 {
		g.come(fmt.Sprintf("2001:db8::%x", 0x100+i))
	}
	if !a.closed {
		t.Error("five addresses of one /64 were counted apart")
	}
	for i := range 50 {
		if p, c := g.come(fmt.Sprintf("198.51.100.%d", i)); c == nil || p.closed {
			t.Fatalf("stranger %d was refused: the oldest should go", i)
		}
		if s := g.Stats(); s.Open > 10 {
			t.Fatalf("%d connections are open", s.Open)
		}
	}
	// The machine itself has two places more, and is not pushed out from outside.
	here, c := g.come("127.0.0.1")
	if c == nil || g.Stats().Open != 11 {
		t.Errorf("loopback: got %v, %d open", c, g.Stats().Open)
	}
	for i := range 30 {
		g.come(fmt.Sprintf("203.0.113.%d", i))
	}
	if here.closed {
		t.Error("a connection of the machine itself made room for one from outside")
	}
	for range 30 {
		if _, c := g.come("127.0.0.1"); c == nil {
			t.Error("loopback was refused")
		}
		if s := g.Stats(); s.Open > 12 {
			t.Fatalf("%d connections are open", s.Open)
		}
	}
	if s := g.Stats(); s.Refused != 0 || s.Closed < 100 {
		t.Errorf("got %+v, want nobody refused and the closed ones counted", s)
	}
}

func TestAuthenticatedStay(t *testing.T) {
	g := New(Config{Total: 3, PerNetwork: 3, Spare: 1})
	var known []*peer
	var conns []*Conn
	for i := range 2 {
		p, c := g.come(fmt.Sprintf("192.0.2.%d", i))
		c.Authenticated()
		known, conns = append(known, p), append(conns, c)
	}
	for i := range 20 {
		g.come(fmt.Sprintf("198.51.100.%d", i))
	}
	p, c := g.come("192.0.2.9")
	c.Authenticated()
	known = append(known, p)
	for _, p := range known {
		if p.closed {
			t.Errorf("%s had authenticated and was closed", p.from)
		}
	}
	if p, c := g.come("192.0.2.10"); c != nil || !p.closed || g.Stats().Refused != 1 {
		t.Error("a full house of known callers let another in")
	}
	if _, c := g.come("::1"); c == nil {
		t.Error("loopback did not get its spare place")
	}
	// A place that is given back, twice, is one place.
	for range 2 {
		if err := conns[0].Close(); err != nil {
			t.Fatal(err)
		}
	}
	if s := g.Stats(); s.Open != 3 {
		t.Errorf("%d are open, want 3", s.Open)
	}
}

// TestManyPeersBehindOneAddress: those that have authenticated leave their network room
// for more, and strangers of it are bounded as before.
func TestManyPeersBehindOneAddress(t *testing.T) {
	g := New(Config{Total: 20, PerNetwork: 3, Spare: 1})
	for i := range 8 {
		p, c := g.come("192.0.2.1")
		if c == nil || p.closed {
			t.Fatalf("peer %d of one address was refused", i)
		}
		c.Authenticated()
		c.Authenticated() // counts once
		if i%2 == 0 {
			defer c.Close()
		}
	}
	first, _ := g.come("192.0.2.1")
	for range 2 {
		g.come("192.0.2.1")
	}
	if _, c := g.come("192.0.2.1"); c == nil || !first.closed {
		t.Error("a fourth stranger of the address did not take the place of its oldest")
	}
	if n := len(g.mu.byNetwork); n != 1 {
		t.Errorf("%d networks are counted", n)
	}
}

func TestListener(t *testing.T) {
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Listener{Listener: raw, Gate: New(Config{Total: 2, PerNetwork: 1, Spare: 1})}
	defer l.Close()
	var clients, servers []net.Conn
	for range 5 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		clients, servers = append(clients, c), append(servers, s)
	}
	if _, err := clients[0].Read(make([]byte, 1)); err == nil {
		t.Error("the oldest was not closed")
	}
	for _, s := range servers {
		_ = s.Close()
	}
	if s := l.Gate.Stats(); s.Open != 0 || s.Closed != 2 {
		t.Errorf("got %+v, want 2 closed and none open", s)
	}
}

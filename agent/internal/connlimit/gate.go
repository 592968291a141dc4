package connlimit

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
)

// Config says how many connections a port holds. All must be positive.
type Config struct {
	Total      int // connections at once
	PerNetwork int // that have not authenticated, from one address (IPv6: one /64); loopback is free
	Spare      int // beyond Total, for loopback only: the operator on the machine gets in
}

// Gate counts the connections of one port.
type Gate struct {
	cfg Config

	mu struct {
		sync.Mutex
		open      int
		byNetwork map[netip.Prefix]int // of strangers
		strangers *list.List           // of *Conn that have not authenticated, oldest first
		stats     Stats
	}
}

// Stats are running totals, and how many are open now.
type Stats struct {
	Open    int
	Closed  uint64 // that had not authenticated, to make room
	Refused uint64 // because all others had authenticated
}

// New returns a gate.
func New(cfg Config) *Gate {
	g := &Gate{cfg: cfg}
	g.mu.byNetwork, g.mu.strangers = map[netip.Prefix]int{}, list.New()
	return g
}

// Conn is a connection that a gate let in.
type Conn struct {
	net.Conn

	gate     *Gate
	network  netip.Prefix
	loopback bool
	place    *list.Element // among the strangers; nil: it has authenticated. Guarded by gate.mu
	gone     bool          // guarded by gate.mu
}

// Admit lets a connection in. nil: there is no room, and raw is closed.
func (g *Gate) Admit(raw net.Conn) *Conn {
	c := &Conn{Conn: raw, gate: g}
	c.network, c.loopback = networkOf(raw.RemoteAddr())
	victim, ok := g.enter(c)
	if victim != nil {
		_ = victim.Conn.Close() // whoever reads from it ends
	}
	if !ok {
		_ = raw.Close()
		return nil
	}
	return c
}

func (g *Gate) enter(c *Conn) (victim *Conn, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	most := g.cfg.Total
	if c.loopback {
		most += g.cfg.Spare
	}
	crowded := !c.loopback && g.mu.byNetwork[c.network] >= g.cfg.PerNetwork
	if crowded || g.mu.open >= most {
		if victim = g.oldest(c, crowded); victim == nil {
			g.mu.stats.Refused++
			return nil, false
		}
		g.leave(victim)
		g.mu.stats.Closed++
	}
	g.mu.open++
	g.mu.byNetwork[c.network]++
	c.place = g.mu.strangers.PushBack(c)
	return victim, true
}

// oldest is the stranger that makes room for c: one of its own network if that
// is crowded, and never one from this machine for one from outside.
func (g *Gate) oldest(c *Conn, crowded bool) *Conn {
	for e := g.mu.strangers.Front(); e != nil; e = e.Next() {
		s := e.Value.(*Conn)
		if crowded && s.network == c.network || !crowded && (c.loopback || !s.loopback) {
			return s
		}
	}
	return nil
}

// leave stops counting c. The gate is locked.
func (g *Gate) leave(c *Conn) {
	if c.gone {
		return
	}
	c.gone = true
	g.known(c)
	g.mu.open--
}

// known takes c from the strangers. The gate is locked.
func (g *Gate) known(c *Conn) {
	if c.place == nil {
		return
	}
	g.mu.strangers.Remove(c.place)
	c.place = nil
	if g.mu.byNetwork[c.network]--; g.mu.byNetwork[c.network] == 0 {
		delete(g.mu.byNetwork, c.network)
	}
}

// Stats returns the current figures.
func (g *Gate) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.mu.stats
	s.Open = g.mu.open
	return s
}

// Authenticated says that the other end has shown who it is: the connection is
// no longer closed to make room. It may be called again.
func (c *Conn) Authenticated() {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	c.gate.known(c)
}

// Close closes the connection and gives its place back.
func (c *Conn) Close() error {
	c.gate.mu.Lock()
	c.gate.leave(c)
	c.gate.mu.Unlock()
	return c.Conn.Close()
}

// networkOf is what connections of one machine have in common.
func networkOf(a net.Addr) (network netip.Prefix, loopback bool) {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}, false
	}
	ip := tcp.AddrPort().Addr().Unmap()
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	network, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}, false
	}
	return network, ip.IsLoopback()
}

// Listener hands out connections that its gate let in.
type Listener struct {
	net.Listener

	Gate *Gate
}

// Accept returns the next connection that there is room for; it is a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.Gate.Admit(raw); c != nil {
			return c, nil
		}
	}
}

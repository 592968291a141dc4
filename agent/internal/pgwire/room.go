package pgwire

import (
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/logattr"
)

// room holds the connections of strangers: those that log in, or those that are
// kept waiting. When it is full, the newcomer gets in and another has to go, so
// that silent connections never keep a good login out. It does not go before it
// had its chance, though: those that come back as fast as they are pushed out
// would leave nobody the time to log in. Who finds all places taken by such waits
// in the kernel's queue.
type room struct {
	most       int // connections
	perAddress int // of one address; 0: as many as there is room for
	left       chan struct{}

	mu     sync.Mutex
	guests []*guest // the oldest first
}

// chance is for how long a guest can't be pushed out by those that queue: enough
// for the handshake of a client on the other side of the world.
const chance = 500 * time.Millisecond

// stage is how far a stranger has come. Those that came less far go first.
type stage int

const (
	stageSilent  stage = iota // has sent nothing that makes sense
	stageHello                // has begun the TLS handshake
	stageSecured              // is through with it, or needs none
)

// guest is a connection's place in a room.
type guest struct {
	room  *room
	conn  *conn
	addr  netip.Addr
	since time.Time
	stage stage // guarded by room.mu
}

func newRoom(most, perAddress int) *room {
	return &room{most: most, perAddress: perAddress, left: make(chan struct{}, 1)}
}

// full returns how long a newcomer should wait for its place, or until somebody
// left.
func (r *room) full() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.guests) < r.most {
		return 0
	}
	return chance - time.Since(r.least(r.largestGroup()).since)
}

// enter gives c a place and returns who has to go for it, or nil.
func (r *room) enter(c *conn, s stage) (_ *guest, victim *conn) {
	g := &guest{room: r, conn: c, addr: addrOf(c.raw.RemoteAddr()).Unmap(), since: time.Now(), stage: s}
	r.mu.Lock()
	defer r.mu.Unlock()
	var out *guest
	switch {
	case r.perAddress > 0 && r.count(func(o *guest) bool { return o.addr == g.addr }) >= r.perAddress:
		out = r.least(func(o *guest) bool { return o.addr == g.addr })
	case len(r.guests) >= r.most:
		out = r.least(r.largestGroup())
	}
	if out != nil {
		r.remove(out)
		victim = out.conn
	}
	r.guests = append(r.guests, g)
	return g, victim
}

// largestGroup picks the network with the most guests and, of it, the address
// with the most: a crowd pushes out its own first.
func (r *room) largestGroup() func(*guest) bool {
	networks, addresses := map[netip.Prefix]int{}, map[netip.Addr]int{}
	for _, o := range r.guests {
		networks[networkOf(o.addr)]++
		addresses[o.addr]++
	}
	largest := r.guests[0].addr
	for _, o := range r.guests {
		n, most := networks[networkOf(o.addr)], networks[networkOf(largest)]
		if n > most || n == most && addresses[o.addr] > addresses[largest] {
			largest = o.addr
		}
	}
	return func(o *guest) bool { return o.addr == largest }
}

// least is the oldest of those that came least far.
func (r *room) least(of func(*guest) bool) *guest {
	var out *guest
	for _, o := range r.guests {
		if of(o) && (out == nil || o.stage < out.stage) {
			out = o
		}
	}
	return out
}

func (r *room) count(of func(*guest) bool) int {
	n := 0
	for _, o := range r.guests {
		if of(o) {
			n++
		}
	}
	return n
}

func (r *room) remove(g *guest) {
	for i, o := range r.guests {
		if o == g {
			r.guests = append(r.guests[:i], r.guests[i+1:]...)
			select {
			case r.left <- struct{}{}:
			default:
			}
			return
		}
	}
}

func (r *room) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.guests)
}

// reached notes how far the guest has come.
func (g *guest) reached(s stage) {
	g.room.mu.Lock()
	defer g.room.mu.Unlock()
	g.stage = max(g.stage, s)
}

// leave gives the place back, if it is still held.
func (g *guest) leave() {
	g.room.mu.Lock()
	defer g.room.mu.Unlock()
	g.room.remove(g)
}

// moveTo takes the connection from the room that it is in to another.
func (c *conn) moveTo(r *room, s stage) {
	if c.place != nil {
		c.place.leave()
	}
	place, victim := r.enter(c, s)
	c.place = place
	if victim != nil {
		c.server.counters.refused.Add(1)
		victim.pushOut()
	}
}

// pushOut ends a connection whose place is needed, unless it has just got in.
func (c *conn) pushOut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.mu.loggedIn {
		c.endLocked(fatal("53300", "too many clients are logging in"), true)
		c.server.strangers.Log(slog.LevelInfo, "no place", "sql login refused", logattr.Address(c.remote()))
	}
}

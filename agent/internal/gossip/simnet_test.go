package gossip

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// simNet is a network in memory for memberlist, in virtual time.
type simNet struct {
	mu    sync.Mutex
	rand  *rand.Rand
	nodes map[string]*simTransport
	cut   func(from, to string) bool
}

func newSimNet(seed uint64) *simNet {
	return &simNet{rand: rand.New(rand.NewPCG(seed, 1)), nodes: map[string]*simTransport{}}
}

func (s *simNet) setCut(cut func(from, to string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = cut
}

// transport returns the transport of the node at 127.0.0.1:port.
func (s *simNet) transport(port int) *simTransport {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &simTransport{net: s, port: port, addr: "127.0.0.1:" + strconv.Itoa(port),
		packets: make(chan *memberlist.Packet, 1024), streams: make(chan net.Conn, 16)}
	s.nodes[t.addr] = t
	return t
}

type simTransport struct {
	net     *simNet
	addr    string
	port    int
	packets chan *memberlist.Packet
	streams chan net.Conn
	down    bool
}

type simAddr string

func (simAddr) Network() string  { return "sim" }
func (a simAddr) String() string { return string(a) }

func (t *simTransport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return net.IPv4(127, 0, 0, 1), t.port, nil
}

// kill is power loss: nothing goes in or out any more.
func (t *simTransport) kill() {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	t.down = true
}

func (t *simTransport) route(to string) (*simTransport, time.Duration) {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	d := t.net.nodes[to]
	if d == nil || d.down || t.down || t.net.cut != nil && t.net.cut(t.addr, to) {
		return nil, 0
	}
	return d, time.Millisecond + time.Duration(t.net.rand.Int64N(int64(time.Millisecond)))
}

func (t *simTransport) WriteTo(b []byte, to string) (time.Time, error) {
	now := time.Now()
	d, latency := t.route(to)
	if d == nil {
		return now, nil
	}
	p := &memberlist.Packet{Buf: append([]byte(nil), b...), From: simAddr(t.addr)}
	time.AfterFunc(latency, func() {
		p.Timestamp = time.Now()
		select {
		case d.packets <- p:
		default:
		}
	})
	return now, nil
}

func (t *simTransport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, a.Addr)
}

func (t *simTransport) PacketCh() <-chan *memberlist.Packet { return t.packets }

func (t *simTransport) DialTimeout(to string, d time.Duration) (net.Conn, error) {
	p, _ := t.route(to)
	if p == nil {
		<-time.After(d)
		return nil, errors.New("i/o timeout")
	}
	a, b := net.Pipe()
	select {
	case p.streams <- b:
		return a, nil
	default:
		return nil, errors.New("connection refused")
	}
}

func (t *simTransport) DialAddressTimeout(a memberlist.Address, d time.Duration) (net.Conn, error) {
	return t.DialTimeout(a.Addr, d)
}

func (t *simTransport) StreamCh() <-chan net.Conn { return t.streams }

func (t *simTransport) Shutdown() error {
	t.kill()
	return nil
}

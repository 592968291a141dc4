package peers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/transport"
)

// Caller reaches other nodes: *transport.Transport.
type Caller interface {
	Call(ctx context.Context, to cluster.NodeID, method string, payload []byte) ([]byte, error)
	Reset(node cluster.NodeID)
}

// Config is what peers needs.
type Config struct {
	Self   cluster.NodeID
	Nonce  string // of this incarnation
	Caller Caller
	// Peers returns the nodes to watch, this one left out or not.
	Peers func() []cluster.NodeID
	// MetaIndex is how far this node has applied the meta range; nil: 0.
	MetaIndex func() uint64
	// OnMetaIndex is told a peer's, in the goroutine of the ping; may be nil.
	OnMetaIndex func(cluster.NodeID, uint64)
	// Standing is what this node's store says of itself, OnMark takes what a
	// peer's says, in the goroutine of the ping; may be nil.
	Mark   func() cluster.Mark
	OnMark func(cluster.NodeID, cluster.Mark)
	// OnOpen is told of a peer whose breaker opens; it must not block; may be nil.
	OnOpen func(cluster.NodeID)
	// Steady is what this node's time is: pings tell it, and what they bring back
	// judges it.
	Steady *hlc.Steady
	// OnJudged is called when the time was judged anew, in the goroutine of Run; may
	// be nil.
	OnJudged func()
	Interval time.Duration // between pings; default 1 s, a fifth of it while the time is not settled
	Timeout  time.Duration // of one ping; default 1 s
	Failures int           // in a row that open a breaker; default 3
	Logger   *slog.Logger
}

// Status is what is known of one peer.
type Status struct {
	Node      cluster.NodeID
	Breaker   State
	Since     time.Time // of Breaker
	Failures  int       // in a row
	Err       error     // of the last ping, if it failed
	LastOK    time.Time // of the last answer
	RTT       time.Duration
	Offset    time.Duration // of its time to ours
	Step      time.Duration // of its wall clock to its time
	Belief    hlc.Belief    // what its time rests on
	MetaIndex uint64        // that it last told
	Nonce     string
}

// OpenError says that a peer's breaker is open.
type OpenError struct {
	Node  cluster.NodeID
	Since time.Time
	Cause error
}

func (e *OpenError) Error() string {
	return fmt.Sprintf("%s has not answered since %s: %v", e.Node, e.Since.UTC().Format(time.RFC3339), e.Cause)
}

func (e *OpenError) Unwrap() error { return e.Cause }

// Peers watches the peers of a node.
type Peers struct {
	cfg Config

	mu struct {
		sync.Mutex
		peers map[cluster.NodeID]*peer
	}
}

type peer struct {
	breaker breaker
	busy    bool // a ping is in flight
	status  Status
	clock   hlc.PeerClock
	clockAt time.Duration // by the boot-time clock; 0: never
}

// New returns peers that nobody is pinged for until Run.
func New(cfg Config) *Peers {
	setDefault(&cfg.Interval, time.Second)
	setDefault(&cfg.Timeout, time.Second)
	setDefault(&cfg.Failures, 3)
	if cfg.MetaIndex == nil {
		cfg.MetaIndex = func() uint64 { return 0 }
	}
	if cfg.OnMetaIndex == nil {
		cfg.OnMetaIndex = func(cluster.NodeID, uint64) {}
	}
	if cfg.Mark == nil {
		cfg.Mark = func() cluster.Mark { return cluster.Mark{} }
	}
	if cfg.OnMark == nil {
		cfg.OnMark = func(cluster.NodeID, cluster.Mark) {}
	}
	if cfg.OnJudged == nil {
		cfg.OnJudged = func() {}
	}
	if cfg.OnOpen == nil {
		cfg.OnOpen = func(cluster.NodeID) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Peers{cfg: cfg}
	p.mu.peers = map[cluster.NodeID]*peer{}
	return p
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// Run pings the peers until ctx is done.
func (p *Peers) Run(ctx context.Context, ready func()) error {
	ready()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		for _, id := range p.due() {
			wg.Go(func() { p.ping(ctx, id) })
		}
		p.Judge()
		p.cfg.OnJudged()
		pause := p.cfg.Interval
		if p.cfg.Steady.Standing().Belief != hlc.Sure {
			pause /= askShare // nobody is served meanwhile
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
	}
}

const askShare = 5

// due returns the peers without a ping in flight, and forgets those that are no
// peers any more.
func (p *Peers) due() []cluster.NodeID {
	want := p.cfg.Peers()
	p.mu.Lock()
	defer p.mu.Unlock()
	var ids []cluster.NodeID
	for _, id := range want {
		if id == p.cfg.Self {
			continue
		}
		e := p.entry(id)
		if !e.busy {
			e.busy = true
			ids = append(ids, id)
		}
	}
	for id, e := range p.mu.peers {
		if !e.busy && !slices.Contains(want, id) {
			delete(p.mu.peers, id)
		}
	}
	return ids
}

// entry returns the peer's record; p.mu is held.
func (p *Peers) entry(id cluster.NodeID) *peer {
	e, ok := p.mu.peers[id]
	if !ok {
		e = &peer{breaker: breaker{limit: p.cfg.Failures, state: Closed, since: time.Now()}, status: Status{Node: id}}
		p.mu.peers[id] = e
	}
	return e
}

func (p *Peers) ping(ctx context.Context, id cluster.NodeID) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	sent, boot := time.Now(), p.cfg.Steady.Boot()
	b, err := p.cfg.Caller.Call(ctx, id, MethodPing, p.self().encode())
	rtt, back := time.Since(sent), p.cfg.Steady.Boot()
	var reply ping
	if err == nil {
		reply, err = decodePing(b)
	}
	p.mu.Lock()
	e := p.entry(id)
	e.busy = false
	e.status.Err = err
	if err == nil {
		e.status.RTT, e.status.LastOK = rtt, time.Now()
		e.status.MetaIndex, e.status.Nonce = reply.metaIndex, reply.nonce
		e.read(&reply, boot, back)
		own := p.cfg.Steady.Standing().Time.Add(-back)
		e.status.Offset, e.status.Step, e.status.Belief = e.clock.Time.Sub(own), reply.wall.Sub(reply.time), reply.belief
	}
	p.mu.Unlock()
	if err == nil && p.cfg.Steady.Standing().Belief != hlc.Sure {
		p.Judge() // somebody may wait
	}
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return // this node stops: that says nothing about the peer
	}
	p.Report(id, err)
	if err == nil {
		p.cfg.OnMetaIndex(id, reply.metaIndex)
		p.cfg.OnMark(id, reply.mark)
	}
}

func (p *Peers) self() ping {
	st := p.cfg.Steady.Standing()
	return ping{metaIndex: p.cfg.MetaIndex(), wall: st.Time.Add(st.Step), time: st.Time, belief: st.Belief, nonce: p.cfg.Nonce, mark: p.cfg.Mark()}
}

// read takes the clocks that a ping came back with. It was sent and came back at
// times of the boot-time clock that lie apart by more than clocks may: then it says
// nothing.
func (e *peer) read(reply *ping, sent, back time.Duration) {
	if back-sent > maxTrip {
		return
	}
	middle := (sent + back) / 2
	e.clockAt = back
	e.clock = hlc.PeerClock{Wall: reply.wall.Add(-middle), Time: reply.time.Add(-middle), Belief: reply.belief}
}

// maxTrip is the longest round trip of a ping that says what the time is, clockAge
// how long it says so.
const (
	maxTrip  = 500 * time.Millisecond
	clockAge = 3 * time.Second
)

// Judge has the node's time judged by what peers said lately.
func (p *Peers) Judge() {
	members := 1
	for _, id := range p.cfg.Peers() {
		if id != p.cfg.Self {
			members++
		}
	}
	now := p.cfg.Steady.Boot()
	var clocks []hlc.PeerClock
	p.mu.Lock()
	for _, id := range slices.Sorted(maps.Keys(p.mu.peers)) {
		if e := p.mu.peers[id]; e.clockAt != 0 && now-e.clockAt <= clockAge {
			clocks = append(clocks, e.clock)
		}
	}
	p.mu.Unlock()
	p.cfg.Steady.Judge(members, clocks)
}

// Methods are the calls that peers make to each other.
func (p *Peers) Methods() map[string]func(context.Context, cluster.NodeID, []byte) ([]byte, error) {
	return map[string]func(context.Context, cluster.NodeID, []byte) ([]byte, error){
		MethodPing: func(_ context.Context, from cluster.NodeID, payload []byte) ([]byte, error) {
			in, err := decodePing(payload)
			if err != nil {
				return nil, err
			}
			p.cfg.OnMetaIndex(from, in.metaIndex)
			p.cfg.OnMark(from, in.mark)
			return p.self().encode(), nil
		},
	}
}

// Report takes the result of any call to a peer. Only *transport.UnreachableError
// speaks against it: who answers with an error answers.
func (p *Peers) Report(id cluster.NodeID, err error) {
	var ue *transport.UnreachableError
	ok := !errors.As(err, &ue)
	p.mu.Lock()
	e := p.entry(id)
	from, changed := e.breaker.record(ok, time.Now())
	to := e.breaker.state
	if err != nil {
		e.status.Err = err
	}
	p.mu.Unlock()
	if !changed {
		return
	}
	if to == Open {
		p.cfg.Caller.Reset(id)
		p.cfg.OnOpen(id)
		p.cfg.Logger.Warn("breaker changed, probing goes on", logattr.Peer(id), logattr.From(string(from)), logattr.To(string(to)), logattr.Err(err))
		return
	}
	p.cfg.Logger.Info("breaker changed", logattr.Peer(id), logattr.From(string(from)), logattr.To(string(to)))
}

// Allow returns an *OpenError if calls to the peer would only wait for a
// timeout. Peers that are not watched are allowed.
func (p *Peers) Allow(id cluster.NodeID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e, ok := p.mu.peers[id]; ok && e.breaker.state == Open {
		return &OpenError{Node: id, Since: e.breaker.since, Cause: e.status.Err}
	}
	return nil
}

// Status returns what is known of the peers, by id.
func (p *Peers) Status() []Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Status, 0, len(p.mu.peers))
	for _, id := range slices.Sorted(maps.Keys(p.mu.peers)) {
		e := p.mu.peers[id]
		s := e.status
		s.Breaker, s.Since, s.Failures = e.breaker.state, e.breaker.since, e.breaker.failures
		out = append(out, s)
	}
	return out
}

// ClockOffset is how far the median of the peers' times is ahead of this node's,
// and of how many peers. A single peer says nothing about whose is wrong.
func (p *Peers) ClockOffset() (offset time.Duration, peers int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []time.Duration
	for _, e := range p.mu.peers {
		if e.status.Err == nil && !e.status.LastOK.IsZero() {
			all = append(all, e.status.Offset)
		}
	}
	if len(all) == 0 {
		return 0, 0
	}
	slices.SortFunc(all, cmp.Compare)
	return all[len(all)/2], len(all)
}

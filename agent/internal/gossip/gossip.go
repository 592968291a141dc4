package gossip

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/logsample"
)

// Transition is a change of what is thought of a node.
type Transition struct {
	Node cluster.NodeID
	From cluster.Liveness // "": not seen before
	To   cluster.Liveness
	At   time.Time
}

// Gossip is a node's part in the gossip of its cluster.
type Gossip struct {
	cfg     Config
	list    *memberlist.Memberlist
	keyring *memberlist.Keyring
	watch   *watcher
	foreign *logsample.Sampler
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	close   sync.Once
}

// New listens and begins to watch. The node is alone until Join.
func New(cfg Config) (*Gossip, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Timing == (Timing{}) {
		cfg.Timing = Tuned()
	}
	if cfg.RejoinInterval == 0 {
		cfg.RejoinInterval = 5 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Gossip{cfg: cfg, foreign: logsample.New(cfg.Logger)}
	g.watch = newWatcher(cfg)
	mc, err := g.memberlistConfig()
	if err != nil {
		return nil, err
	}
	shut := func() error { return nil }
	if cfg.Door != nil {
		t, err := listenBehind(cfg.Door, mc)
		if err != nil {
			return nil, fmt.Errorf("start gossip on %s: %w", cfg.BindAddr, err)
		}
		mc.Transport, shut = t, t.Shutdown
	}
	if g.list, err = memberlist.Create(mc); err != nil {
		_ = shut()
		return nil, fmt.Errorf("start gossip on %s: %w", cfg.BindAddr, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	g.wg.Go(func() { g.watch.run(ctx, g.snapshot) })
	g.wg.Go(func() { g.rejoin(ctx) })
	return g, nil
}

func (g *Gossip) memberlistConfig() (*memberlist.Config, error) {
	ring, err := memberlist.NewKeyring(g.cfg.Keys, g.cfg.Keys[0])
	if err != nil {
		return nil, errors.New("gossip keys cannot be used") // the error may quote a key
	}
	mc := memberlist.DefaultLANConfig()
	mc.Name = nodeName(g.cfg.Self, g.cfg.UUID)
	mc.Label = g.cfg.ClusterID
	mc.Keyring, g.keyring = ring, ring
	mc.RequireNodeNames = true
	mc.EnableCompression = false // small tables; CPU is dearer than bytes
	mc.DeadNodeReclaimTime = time.Second
	mc.Transport = g.cfg.transport
	mc.TCPTimeout = 3 * time.Second
	mc.Logger = log.New(&logWriter{logger: g.cfg.Logger, foreign: g.foreign, trigger: g.watch.trigger, heard: g.watch.heard}, "", 0)
	mc.Events, mc.Merge, mc.Alive = g.watch, g.watch, g.watch
	t := g.cfg.Timing
	mc.ProbeInterval, mc.ProbeTimeout = t.ProbeInterval, t.ProbeTimeout
	mc.SuspicionMult, mc.SuspicionMaxTimeoutMult = t.SuspicionMult, t.SuspicionMaxTimeoutMult
	mc.GossipInterval, mc.PushPullInterval = t.GossipInterval, t.PushPullInterval
	mc.AwarenessMaxMultiplier = t.AwarenessMaxMultiplier
	if mc.BindAddr, mc.BindPort, err = splitAddr(g.cfg.BindAddr); err != nil {
		return nil, fmt.Errorf("gossip listen address: %w", err)
	}
	if g.cfg.AdvertiseAddr == "" {
		mc.AdvertisePort = mc.BindPort
		return mc, nil
	}
	host, port, err := splitAddr(g.cfg.AdvertiseAddr)
	if err != nil {
		return nil, fmt.Errorf("gossip advertise address: %w", err)
	}
	ip, err := net.ResolveIPAddr("ip", host)
	if err != nil {
		return nil, fmt.Errorf("gossip advertise address: %w", err)
	}
	mc.AdvertiseAddr, mc.AdvertisePort = ip.IP.String(), port
	return mc, nil
}

func splitAddr(addr string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%q is no port", p)
	}
	return host, int(n), nil
}

// Addr is the host:port that this node listens on.
func (g *Gossip) Addr() string {
	host, _, err := splitAddr(g.cfg.BindAddr)
	if err != nil { // checked by New
		return ""
	}
	return net.JoinHostPort(host, strconv.Itoa(int(g.list.LocalNode().Port)))
}

// Join contacts nodes. That none answers is an error; that there are none is not.
func (g *Gossip) Join(seeds []Seed) error {
	if len(seeds) == 0 {
		return nil
	}
	addrs := make([]string, len(seeds))
	for i, s := range seeds {
		addrs[i] = nodeName(s.Node, s.UUID) + "/" + s.Addr
	}
	for attempt := 1; ; attempt++ {
		n, err := g.list.Join(addrs)
		if n > 0 {
			g.watch.trigger()
			return nil
		}
		// A look at our own table was in progress; it takes a millisecond.
		if !isSnapshot(err) || attempt == 10 {
			return fmt.Errorf("join the gossip of %d nodes: %w", len(seeds), err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// rejoin contacts a seed that is not alive: memberlist forgets the dead, and
// after a partition neither side would look for the other.
func (g *Gossip) rejoin(ctx context.Context) {
	if g.cfg.Seeds == nil {
		return
	}
	tick := time.NewTicker(g.cfg.RejoinInterval)
	defer tick.Stop()
	for {
		if missing := g.missing(); len(missing) > 0 {
			s := missing[rand.IntN(len(missing))] //nolint:gosec // not a secret
			if err := g.Join([]Seed{s}); err != nil {
				g.cfg.Logger.Debug("seed does not answer", logattr.Peer(s.Node), logattr.Err(err))
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (g *Gossip) missing() (missing []Seed) {
	view := g.View()
	for _, s := range g.cfg.Seeds() {
		if l := view[s.Node]; s.Node != g.cfg.Self && l != cluster.Alive && l != cluster.Suspect {
			missing = append(missing, s)
		}
	}
	return missing
}

// View returns the liveness of every node that was ever seen, this one included. It
// costs nothing, and what it returns is shared: do not change it.
func (g *Gossip) View() map[cluster.NodeID]cluster.Liveness { return *g.watch.view.Load() }

// Subscribe calls fn for every transition from now on, until cancel. fn must
// not block.
func (g *Gossip) Subscribe(fn func(Transition)) (cancel func()) { return g.watch.subscribe(fn) }

// Leave tells the others that this node goes on purpose, so that they do not
// suspect it first. It waits at most timeout.
func (g *Gossip) Leave(timeout time.Duration) error {
	if err := g.list.Leave(timeout); err != nil {
		return fmt.Errorf("leave gossip: %w", err)
	}
	return nil
}

// Close stops without a word: the others will suspect this node unless Leave
// came before.
func (g *Gossip) Close() error {
	var err error
	g.close.Do(func() {
		g.cancel()
		g.wg.Wait()
		err = g.list.Shutdown()
		g.foreign.Close()
	})
	return err
}

// snapshot makes memberlist hand its table to the watcher.
func (g *Gossip) snapshot(ctx context.Context) {
	self := g.list.LocalNode()
	both := g.watch.expectSelf()
	defer g.watch.endSelf()
	_, err := g.list.Join([]string{self.Name + "/" + g.selfAddr(self.Port)})
	if err == nil || !isSnapshot(err) {
		// Nothing answered at our own address: the view stays as it was.
		g.cfg.Logger.Debug("gossip table not read", slog.Any("err", err))
		return
	}
	// Both ends of the connection are ours, and both get the table.
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-both:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// selfAddr is where this node reaches itself, whatever it advertises.
func (g *Gossip) selfAddr(advertised uint16) string {
	host, port, err := splitAddr(g.cfg.BindAddr)
	if ip := net.ParseIP(host); err != nil || ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	if port == 0 {
		port = int(advertised)
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// Keys are the keys in force; the first one encrypts, all decrypt.
func (g *Gossip) Keys() [][]byte { return g.keyring.GetKeys() }

var errKey = errors.New("the gossip key cannot be used") // memberlist's errors may quote it

// AddKey makes messages with the key understood.
func (g *Gossip) AddKey(key []byte) error {
	if err := g.keyring.AddKey(key); err != nil {
		return errKey
	}
	return nil
}

// UseKey makes the key, which was added before, the one that encrypts.
func (g *Gossip) UseKey(key []byte) error {
	if err := g.keyring.UseKey(key); err != nil {
		return errKey
	}
	return nil
}

// RemoveKey makes messages with the key refused; the one that encrypts stays.
func (g *Gossip) RemoveKey(key []byte) error {
	if err := g.keyring.RemoveKey(key); err != nil {
		return errKey
	}
	return nil
}

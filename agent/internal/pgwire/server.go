package pgwire

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/logsample"
	"github.com/nodedb/nodedb/agent/internal/sql"
)

// peerCheckInterval is how often the clients of running statements are looked
// at: the statement of one that went away is cancelled.
const peerCheckInterval = time.Second

// Server serves the PostgreSQL protocol on one port.
type Server struct {
	cfg      Config
	listener net.Listener
	throttle *throttle
	counters counters
	forwards chan struct{} // one token per cancel request on its way to another node
	logins   *room         // those that log in
	held     *room         // those that wait for their turn, or for the answer to a failure
	// strangers is the log of what those without a login cause.
	strangers *logsample.Sampler
	wg        sync.WaitGroup

	mu struct {
		sync.Mutex
		conns    map[uint32]*conn // by process id, those that log in too
		lastPID  uint32
		loggedIn int
		users    map[string]int // of loggedIn, by user
		closed   bool
	}
}

// New takes the port. The server answers only once Run runs.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for SQL on %s: %w", cfg.Listen, err)
	}
	s := newServer(cfg)
	s.listener = l
	return s, nil
}

func newServer(cfg Config) *Server {
	s := &Server{
		cfg: cfg, throttle: newThrottle(), strangers: logsample.New(cfg.Logger),
		forwards: make(chan struct{}, forwardsMost),
		logins:   newRoom(cfg.MaxLogins, 0), held: newRoom(cfg.MaxLogins, max(1, cfg.MaxLogins/4)),
	}
	s.mu.conns, s.mu.users = map[uint32]*conn{}, map[string]int{}
	s.mu.lastPID = rand.Uint32N(pidMask)
	return s
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close gives the port back if Run never ran.
func (s *Server) Close() error { return s.listener.Close() }

// Run serves until ctx is done, then ends all sessions: idle ones at once,
// running statements after Config.StopTimeout at the latest.
func (s *Server) Run(ctx context.Context, ready func()) error {
	accepting := make(chan struct{})
	s.wg.Go(func() {
		defer close(accepting)
		s.accept(ctx)
	})
	stopWatch := make(chan struct{})
	s.wg.Go(func() { s.watchPeers(stopWatch) })
	ready()

	var err error
	select {
	case <-ctx.Done():
	case <-accepting:
		if ctx.Err() == nil {
			err = errors.New("the SQL listener was closed")
		}
	}
	_ = s.listener.Close() // nothing is lost with a listener
	close(stopWatch)
	s.stopSessions()
	s.strangers.Close()
	return err
}

func (s *Server) accept(ctx context.Context) {
	var delay time.Duration
	for {
		raw, err := s.listener.Accept()
		switch {
		case err == nil:
			delay = 0
			s.counters.accepted.Add(1)
			if !s.welcome(ctx, raw) {
				return
			}
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default:
			// Out of file descriptors, most likely: it heals when clients leave.
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			s.cfg.Logger.Warn("accept of a SQL client failed, trying again", logattr.Err(err), logattr.Duration(delay))
			select {
			case <-time.After(delay):
			case <-ctx.Done():
				return
			}
		}
	}
}

// welcome gives a connection its place, when there is one, and starts it.
func (s *Server) welcome(ctx context.Context, raw net.Conn) bool {
	for wait := s.logins.full(); wait > 0; wait = s.logins.full() {
		select {
		case <-time.After(wait):
		case <-s.logins.left:
		case <-ctx.Done():
			_ = raw.Close() // nobody has said anything yet
			return false
		}
	}
	c := newConn(ctx, s, raw)
	c.moveTo(s.logins, stageSilent)
	s.wg.Go(func() { s.serve(c) })
	return true
}

// serve is the life of one connection.
func (s *Server) serve(c *conn) {
	defer func() { _ = c.raw.Close() }()
	if !s.register(c) {
		c.place.leave()
		refuse(c.raw, stopping())
		return
	}
	c.run()
}

// register gives the connection its process id, by which it can be cancelled.
func (s *Server) register(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return false
	}
	c.pid = s.nextPID()
	s.mu.conns[c.pid] = c
	return true
}

// admit counts a login that succeeded.
func (s *Server) admit(c *conn) error {
	most, admin := -1, false
	if s.cfg.Limits != nil {
		most, admin = s.cfg.Limits(c.startup.user)
	}
	if most < 0 {
		most = (s.cfg.MaxConnections + 1) / 2
	}
	free := s.cfg.MaxConnections
	if !admin {
		free -= s.reserved()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.mu.loggedIn >= s.cfg.MaxConnections:
		s.counters.refused.Add(1)
		return tooManyConnections()
	case s.mu.loggedIn >= free:
		s.counters.refused.Add(1)
		return onlyAdmins()
	case s.mu.users[c.startup.user] >= most:
		s.counters.refused.Add(1)
		return tooManyOfUser(c.startup.user, most)
	}
	s.mu.loggedIn++
	s.mu.users[c.startup.user]++
	c.admitted = true
	return nil
}

// reserved is how many of the sessions are for admins: somebody has to be able to
// look who took the others.
func (s *Server) reserved() int { return min(10, s.cfg.MaxConnections/10) }

func (s *Server) unregister(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.conns, c.pid)
	if !c.admitted {
		return
	}
	s.mu.loggedIn--
	if s.mu.users[c.startup.user]--; s.mu.users[c.startup.user] == 0 {
		delete(s.mu.users, c.startup.user)
	}
}

// EndSessions tells every session to end with reason at its next transaction
// boundary (idle ones at once) and returns how many are still open.
func (s *Server) EndSessions(reason *sql.Error) int {
	for _, c := range s.connections() {
		c.end(reason, false)
	}
	return s.Sessions()
}

// EndSession ends one session: at its transaction boundary, or at once if forced
// (its statement is cancelled). It reports whether there is such a session.
func (s *Server) EndSession(pid uint32, reason *sql.Error, force bool) bool {
	s.mu.Lock()
	c := s.mu.conns[pid]
	s.mu.Unlock()
	if c == nil {
		return false
	}
	c.end(reason, force)
	return true
}

// EndInvalid ends the sessions at once whose credential is no longer good, as
// Config.Valid says.
func (s *Server) EndInvalid(reason *sql.Error) {
	for _, c := range s.connections() {
		c.mu.Lock()
		login := c.mu.login
		c.mu.Unlock()
		if login != nil && s.cfg.Valid != nil && s.cfg.Valid(*login) != nil {
			c.end(reason, true)
		}
	}
}

// Sessions is how many clients are logged in.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.loggedIn
}

func (s *Server) connections() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := make([]*conn, 0, len(s.mu.conns))
	for _, c := range s.mu.conns {
		conns = append(conns, c)
	}
	return conns
}

// stopSessions ends all connections and waits for their goroutines.
func (s *Server) stopSessions() {
	s.mu.Lock()
	s.mu.closed = true
	s.mu.Unlock()
	reason := stopping()
	for _, c := range s.connections() {
		c.end(reason, !c.isLoggedIn())
	}
	gone := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(gone)
	}()
	timer := time.NewTimer(s.cfg.StopTimeout)
	defer timer.Stop()
	select {
	case <-gone:
		return
	case <-timer.C:
	}
	for _, c := range s.connections() {
		c.end(reason, true)
	}
	<-gone
}

// watchPeers cancels statements whose client has gone.
func (s *Server) watchPeers(stop <-chan struct{}) {
	ticker := time.NewTicker(peerCheckInterval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		for _, c := range s.connections() {
			if c.busyFor(peerCheckInterval) && peerGone(c.raw) {
				c.cancelStatement(clientGone())
			}
		}
	}
}

// counters are what Stats reports.
type counters struct {
	accepted, refused, loginFailures, cancels, panics atomic.Uint64
	statements, bytesOut                              atomic.Uint64
}

// Stats are running totals since the start, and gauges.
type Stats struct {
	Sessions      int    // gauge: clients logged in
	Accepted      uint64 // TCP connections
	Refused       uint64 // for too many connections
	LoginFailures uint64
	Cancels       uint64 // cancel requests with the right key
	Panics        uint64 // sessions that ended by a panic
	Statements    uint64
	BytesOut      uint64
}

// Stats returns the current figures.
func (s *Server) Stats() Stats {
	return Stats{
		Sessions:      s.Sessions(),
		Accepted:      s.counters.accepted.Load(),
		Refused:       s.counters.refused.Load(),
		LoginFailures: s.counters.loginFailures.Load(),
		Cancels:       s.counters.cancels.Load(),
		Panics:        s.counters.panics.Load(),
		Statements:    s.counters.statements.Load(),
		BytesOut:      s.counters.bytesOut.Load(),
	}
}

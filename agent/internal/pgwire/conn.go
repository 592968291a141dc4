package pgwire

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/sql"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// errEnding is what reading returns when the connection has been told to end.
var errEnding = errors.New("session is ending")

// conn is one client.
type conn struct {
	server *Server
	raw    net.Conn // the TCP connection
	net    net.Conn // raw, or TLS over it
	secure *secure  // nil without TLS
	pid    uint32
	key    []byte

	backend *pgproto3.Backend
	in      frames
	maxBody int // of a message
	out     output
	startup startup
	login   Login
	session Session

	notifications notifications

	account    account
	statements map[string]*statement
	portals    map[string]*portal
	style      datum.Style // how the session's settings want values written
	sink       rowSink     // of executeAll, to use again
	// since is when the first message came of those whose time is counted together, from
	// Parse to the end of Execute; zero: none did.
	since time.Time
	// spare is the unnamed portal to use again: a prepared point statement
	// should not make garbage.
	spare *portal
	// skipping is set by an error in the extended protocol, until the next Sync.
	skipping bool
	// implicit is true from the first statement of several that came together to the
	// end of the simple query, or the Sync.
	implicit bool
	// idle is true from ReadyForQuery until the next message.
	idle      bool
	idleSince time.Time
	// told are the reported settings as the client knows them, changed those that were set since.
	told, changed map[string]string
	bounded       bool // the socket has a deadline for the wait
	// copying is the context of the COPY that waits for data; nil: none does.
	copying context.Context //nolint:containedctx // of a statement, while it runs
	// received counts bytes of the current transport, to find what was sent
	// behind an SSLRequest.
	received int
	readErr  error // of the socket, as opposed to what makes no sense

	ctx       context.Context //nolint:containedctx // the connection's life; statements derive theirs
	loginCtx  context.Context //nolint:containedctx // done when the server stops before the login is through
	stopLogin context.CancelFunc
	place     *guest // until it is logged in
	admitted  bool   // counts among the server's sessions
	base      hold   // what a session takes that does nothing

	mu struct {
		sync.Mutex
		loggedIn bool
		login    *Login // once it has proven who it is
		// statement is the context of the running or last statement; it is used
		// again unless it was cancelled.
		statement   context.Context //nolint:containedctx // other goroutines cancel it
		cancel      context.CancelCauseFunc
		active      bool
		activeSince time.Time
		ending      *sql.Error
		force       bool
	}
}

func newConn(ctx context.Context, s *Server, raw net.Conn) *conn {
	c := &conn{server: s, raw: raw, net: raw, key: make([]byte, cancelKey), account: account{budget: s.cfg.Memory}}
	c.notifications.conn = c
	// The sessions outlive ctx until Server.Run has told each to end.
	c.ctx = context.WithoutCancel(ctx)
	c.loginCtx, c.stopLogin = context.WithCancel(c.ctx)
	rand.Read(c.key) // never fails
	c.setTransport(raw)
	return c
}

// setTransport starts reading from n with nothing left over from before.
func (c *conn) setTransport(n net.Conn) {
	c.net = n
	c.received = 0
	c.out.w = n
	c.in = frames{r: bufio.NewReaderSize(wire{c}, frameBuffer)}
	c.backend = pgproto3.NewBackend(&c.in, io.Discard)
	c.limitMessages(maxLoginMessageBytes)
}

func (c *conn) limitMessages(body int) {
	c.maxBody = body
	c.backend.SetMaxBodyLen(body)
}

// run is the whole life of the connection.
func (c *conn) run() {
	defer func() {
		if p := recover(); p != nil {
			c.server.counters.panics.Add(1)
			c.server.cfg.Logger.Error("session panicked, its connection is closed",
				"panic", p, "stack", string(debug.Stack()))
			c.fail(fatal("XX000", "internal error: the session has been ended"))
		}
		c.close()
	}()
	if err := c.loginInPlace(); err != nil {
		c.fail(err)
		return
	}
	if c.session == nil { // a cancel request
		return
	}
	c.fail(c.serve())
}

// loginInPlace logs in and gives the place back.
func (c *conn) loginInPlace() error {
	defer func() { c.place.leave() }()
	return c.logIn()
}

// close gives back all that the connection holds. It must not panic.
func (c *conn) close() {
	defer func() {
		if p := recover(); p != nil {
			c.server.cfg.Logger.Error("closing a session panicked", "panic", p, "stack", string(debug.Stack()))
		}
		c.server.unregister(c)
		c.server.counters.bytesOut.Add(c.out.written)
	}()
	c.stopLogin()
	c.mu.Lock()
	if c.mu.cancel != nil {
		c.mu.cancel(context.Canceled)
	}
	c.mu.Unlock()
	c.dropPortals()
	for name := range c.statements {
		c.dropStatement(name)
	}
	c.account.backTo(0)
	if c.session != nil {
		c.session.Close()
	}
	c.base.release()
}

// fail tells the client why the connection ends, if there is somebody to tell.
func (c *conn) fail(err error) {
	var e *sql.Error
	var exceeded *pgproto3.ExceededMaxBodyLenErr
	switch {
	case c.out.err != nil:
		if errors.Is(c.out.err, os.ErrDeadlineExceeded) && c.endReason() == nil {
			c.server.cfg.Logger.Info("sql session ended: its client does not read", "pid", c.pid, logattr.Address(c.remote()),
				logattr.Duration(c.server.cfg.WriteTimeout))
		}
		return
	case err == nil, errors.Is(err, errEnding) && c.endReason() == nil:
		return
	case errors.Is(err, errEnding):
		e = c.endReason()
	case errors.As(err, &e):
	case c.readErr != nil:
		return // the client left, or took too long
	case errors.As(err, &exceeded):
		e = tooLong(exceeded)
	default:
		e = fatal("08P01", "invalid message from the client: "+err.Error())
	}
	_ = c.raw.SetWriteDeadline(time.Now().Add(time.Second)) // a closed socket fails below
	last := *e
	last.Severity = severityFatal
	c.out.send(errorResponse(&last))
	_ = c.out.flush() // the client may be gone; nobody is left to tell
}

// armRead allows the next read to wait, unless the session is to end now.
func (c *conn) armRead() error {
	if c.session == nil {
		return nil // the login's own deadline holds
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.ending == nil {
		return c.armIdleLocked()
	}
	if c.mu.force || c.idle && c.session.TxStatus() == txIdle {
		return errEnding
	}
	return c.raw.SetReadDeadline(time.Time{})
}

// armIdleLocked bounds the wait of an idle session.
func (c *conn) armIdleLocked() error {
	timeout := time.Duration(0)
	if c.idle {
		timeout = c.session.IdleTimeout()
	}
	if timeout == 0 {
		if !c.bounded {
			return nil
		}
		c.bounded = false
		return c.raw.SetReadDeadline(time.Time{})
	}
	end := c.idleSince.Add(timeout)
	if !time.Now().Before(end) {
		if c.session.TxStatus() != txIdle {
			return fatal("25P03", "terminating connection due to idle-in-transaction timeout")
		}
		return fatal("57P05", "terminating connection due to idle-session timeout")
	}
	c.bounded = true
	return c.raw.SetReadDeadline(end)
}

// armWrite gives the client time to read, unless the session is to end now.
func (c *conn) armWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.force {
		return nil // end has set a deadline
	}
	return c.raw.SetWriteDeadline(time.Now().Add(c.server.cfg.WriteTimeout))
}

// end makes the session end with reason: at its next transaction boundary, or
// forced, as soon as the running statement has noticed.
func (c *conn) end(reason *sql.Error, force bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(reason, force)
}

func (c *conn) endLocked(reason *sql.Error, force bool) {
	c.mu.ending = reason
	past := time.Unix(1, 0)
	if c.mu.loggedIn {
		_ = c.raw.SetReadDeadline(past) // wakes a session that waits for its client
	}
	if !force {
		return
	}
	if !c.mu.loggedIn {
		_ = c.raw.SetDeadline(past)
		c.stopLogin()
	}
	c.mu.force = true
	if c.mu.active {
		c.mu.cancel(reason)
	}
	// A client that does not read can't keep the session.
	_ = c.raw.SetWriteDeadline(time.Now().Add(time.Second))
}

func (c *conn) endReason() *sql.Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.ending
}

// beginStatement returns the context of the statement that starts now.
func (c *conn) beginStatement() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.statement == nil || c.mu.statement.Err() != nil {
		c.mu.statement, c.mu.cancel = context.WithCancelCause(c.ctx) //nolint:fatcontext // derived from the connection's, never from itself
	}
	if c.mu.force {
		c.mu.cancel(c.mu.ending)
	}
	c.mu.active = true
	c.mu.activeSince = time.Now()
	return c.mu.statement
}

// goOn makes a half-run statement the running one again.
func (c *conn) goOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.active = true
	c.mu.activeSince = time.Now()
}

func (c *conn) endStatement() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.active = false
}

// cancelStatement ends the running statement; it reports whether there is one.
func (c *conn) cancelStatement(cause *sql.Error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.active {
		c.mu.cancel(cause)
	}
	return c.mu.active
}

// busyFor reports whether a statement has been running for at least d.
func (c *conn) busyFor(d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.active && time.Since(c.mu.activeSince) >= d
}

// keyIs compares a cancel request's key in constant time.
func (c *conn) keyIs(key []byte) bool {
	return subtle.ConstantTimeCompare(c.key, key) == 1
}

// remote is the client's address, for logs and lists.
func (c *conn) remote() string { return c.raw.RemoteAddr().String() }

// logDenied records a login that was refused. Class is one of a few words of
// this package: what strangers send is in the attributes only.
func (c *conn) logDenied(user, class string, attrs ...slog.Attr) {
	attrs = append(attrs, slog.String("user", clip(user)), logattr.Address(c.remote()))
	c.server.strangers.Log(slog.LevelInfo, class, "sql login refused", attrs...)
	c.audit(clip(user), class)
}

// clip shortens a name that is longer than any user's can be.
func clip(name string) string {
	const most = 128
	if len(name) > most {
		return name[:most] + "…"
	}
	return name
}

func (c *conn) audit(user, why string) {
	if c.server.cfg.Audit != nil {
		c.server.cfg.Audit(user, c.remote(), why)
	}
}

func (c *conn) isLoggedIn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.loggedIn
}

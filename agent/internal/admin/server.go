package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectgzip"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/health"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/logsample"
	"github.com/nodedb/nodedb/client/adminpb"
)

// Limits of the HTTP server.
const (
	requestMost  = 64 << 10 // bytes of a request's body
	headerMost   = 16 << 10
	headerWait   = 5 * time.Second
	idleWait     = 2 * time.Minute
	bodyWait     = 10 * time.Second // for a request's body, from its headers on
	shutdownWait = 2 * time.Second  // for calls in flight when the node stops
)

// Config makes a Server. Backend, TLS, Listener, Health and Logger are needed.
type Config struct {
	Backend Backend
	// TLS is for the admin port: client certificates optional, verified if given.
	TLS      *tls.Config
	Listener net.Listener // the admin port; the Server closes it
	// BodyWait is how long a caller may take to send a request's body; default 10 s.
	BodyWait time.Duration
	// Socket is the path of the unix socket for the local operator; empty: none.
	// A file that an earlier process left there is removed.
	Socket string
	// Join answers POST /join, without authentication; nil: this node issues no
	// certificates.
	Join http.Handler
	// Peers answers GET /peers, which looks at the node's certificate by itself.
	Peers http.Handler
	// Reset answers POST /reset of nodes, by their certificates; nil: nobody does.
	Reset   http.Handler
	Metrics prometheus.Gatherer // nil: no /metrics
	Health  *health.Board
	Logger  *slog.Logger
}

// Server serves the admin port and the local socket of a node.
type Server struct {
	backend  Backend
	health   *health.Board
	logger   *slog.Logger
	tls      *tls.Config
	listener net.Listener
	socket   string
	handler  http.Handler
	local    http.Handler
	calls    *connect.Server
	hub      *hub
	limits   *limiter
	refused  *logsample.Sampler
}

// New makes a server; Run serves.
func New(c Config) *Server {
	s := &Server{backend: c.Backend, health: c.Health, logger: c.Logger, tls: c.TLS, listener: c.Listener, socket: c.Socket}
	s.refused = logsample.New(c.Logger)
	guard := &authenticator{backend: c.Backend, logger: c.Logger, refused: s.refused, limits: newLimiter(time.Now)}
	s.calls = connect.NewServer(guard.intercept)
	svc := newService(c.Backend, c.Logger)
	s.hub, s.limits = svc.hub, guard.limits
	adminpb.RegisterAdminHandler(s.calls, svc)

	mux := mount(s.calls)
	s.handleHealth(mux)
	mux.HandleFunc("POST /health/drain", guard.require(auth.RoleOperator, s.serveDrain))
	if c.Metrics != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(c.Metrics, promhttp.HandlerOpts{Timeout: 10 * time.Second}))
	}
	if c.Join != nil {
		mux.Handle("POST /join", c.Join)
	}
	if c.Peers != nil {
		mux.Handle("GET /peers", c.Peers)
	}
	if c.Reset != nil {
		mux.Handle("POST /reset", c.Reset)
	}
	handleProfiles(mux, guard)
	if c.BodyWait == 0 {
		c.BodyWait = bodyWait
	}
	s.handler = writeDeadlines(bodyLimits(c.BodyWait, hostCheck(c.Listener, ndjson(mux))))

	local := http.NewServeMux()
	s.handleHealth(local)
	local.HandleFunc("POST /health/drain", s.serveDrain)
	s.local = local
	return s
}

// mount serves calls strictly: an unknown field of JSON is an error.
func mount(calls *connect.Server) *http.ServeMux {
	mux := http.NewServeMux()
	strict := connectproto.NewJSONCodec()
	strict.UnmarshalOptions.DiscardUnknown = false
	connecthttp.Mount(mux, calls, connecthttp.WithReadMaxBytes(requestMost),
		connecthttp.WithCodecs(connectproto.NewBinaryCodec(), strict), connecthttp.WithCompressors(connectgzip.New()))
	return mux
}

func (s *Server) handleHealth(mux *http.ServeMux) {
	mux.HandleFunc("GET /health/live", s.serveLive)
	mux.HandleFunc("GET /health/ready", s.serveReady)
	mux.HandleFunc("GET /healthz", s.serveReady)
	mux.HandleFunc("GET /health", s.serveHealth)
}

func handleProfiles(mux *http.ServeMux, guard *authenticator) {
	admin := func(h http.HandlerFunc) http.HandlerFunc { return guard.require(auth.RoleAdmin, h) }
	mux.HandleFunc("GET /debug/pprof/", admin(pprof.Index))
	mux.HandleFunc("GET /debug/pprof/cmdline", admin(pprof.Cmdline))
	mux.HandleFunc("GET /debug/pprof/profile", admin(pprof.Profile))
	mux.HandleFunc("GET /debug/pprof/symbol", admin(pprof.Symbol))
	mux.HandleFunc("GET /debug/pprof/trace", admin(pprof.Trace))
}

// Handler is what the admin port serves, for tests without a socket.
func (s *Server) Handler() http.Handler { return s.handler }

// Addr is the address of the admin port.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// hostCheck refuses requests to a loopback port under a foreign host name: a
// page in the operator's browser that rebinds its name to 127.0.0.1.
func hostCheck(l net.Listener, next http.Handler) http.Handler {
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok || !addr.IP.IsLoopback() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		old := host == "" && !r.ProtoAtLeast(1, 1) // a probe that knows no hosts; no browser is one
		if !old && host != "localhost" && net.ParseIP(strings.Trim(host, "[]")) == nil {
			http.Error(w, "this port answers to localhost and addresses only", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Run serves until ctx is done. Streams are ended then; other calls have a short
// time to finish.
func (s *Server) Run(ctx context.Context, ready func()) error {
	base, cancelCalls := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelCalls()
	ended := make(chan error, 2)
	main := s.httpServer(base, s.handler)
	main.TLSConfig = s.tls
	main.ConnContext = rememberConn
	main.Protocols = new(http.Protocols)
	main.Protocols.SetHTTP1(true)
	main.Protocols.SetHTTP2(true)
	servers := []*http.Server{main}
	if s.socket != "" {
		l, err := listenUnix(ctx, s.socket)
		if err != nil {
			return errors.Join(fmt.Errorf("listen on %s: %w", s.socket, err), s.listener.Close())
		}
		local := s.httpServer(base, s.local)
		servers = append(servers, local)
		go func() { ended <- serveError(local.Serve(l)) }()
	}
	go func() { ended <- serveError(main.ServeTLS(s.listener, "", "")) }()
	ready()
	running := len(servers)
	var first error
	select {
	case <-ctx.Done():
	case first = <-ended:
		running--
	}
	// Watches would hold the shutdown up: their contexts end now.
	cancelCalls()
	errs := []error{first, s.shutdown(ctx, servers)}
	for range running {
		errs = append(errs, <-ended)
	}
	s.hub.Close()
	s.refused.Close()
	return errors.Join(errs...)
}

func (s *Server) httpServer(base context.Context, h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerWait, IdleTimeout: idleWait, MaxHeaderBytes: headerMost,
		// No WriteTimeout: watches stay open; see writeDeadlines.
		BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog:    log.New(&httpLog{s.logger, s.refused}, "", 0),
	}
}

// httpLog takes what net/http logs. Handshakes that fail are strangers' doing, or
// a certificate that has ended: told, a few times a minute.
type httpLog struct {
	logger  *slog.Logger
	refused *logsample.Sampler
}

// Write implements io.Writer.
func (l *httpLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	if strings.Contains(text, "TLS handshake error") {
		l.refused.Log(slog.LevelInfo, "tls handshake", "admin connection refused", slog.String("line", text))
		return len(line), nil
	}
	l.logger.Debug(text)
	return len(line), nil
}

func (s *Server) shutdown(ctx context.Context, servers []*http.Server) error {
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownWait)
	defer cancel()
	var errs []error
	for _, srv := range servers {
		if err := srv.Shutdown(stop); err != nil {
			s.logger.Warn("admin calls cut off", logattr.Err(err))
			errs = append(errs, srv.Close())
		}
	}
	return errors.Join(errs...)
}

func serveError(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// listenUnix listens at path for this user only.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

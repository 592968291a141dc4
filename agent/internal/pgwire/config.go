package pgwire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/sql"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Session is what a connection needs of a SQL session. A Session is used by one
// goroutine at a time.
type Session interface {
	// Parse splits the text of a simple query into statements.
	Parse(text string) ([]string, error)
	// Prepare checks one statement; paramOIDs are the types that the client
	// announced (0, or a short slice: the server infers them).
	Prepare(ctx context.Context, text string, paramOIDs []uint32) (*sql.Prepared, error)
	// Execute runs a statement, gives its rows to sink and returns its tag.
	Execute(ctx context.Context, p *sql.Prepared, args []datum.Datum, sink sql.RowSink) (tag string, err error)
	// Name, Named and Unname keep the statements that have a name, which PREPARE makes, too.
	Name(name string, p *sql.Prepared) error
	Named(name string) (*sql.Prepared, bool)
	Unname(name string)
	// Reading is how the session reads the texts of parameters.
	Reading() *datum.Reading
	// Redescribed is a statement as it is described by now.
	Redescribed(p *sql.Prepared) *sql.Prepared
	// TxStatus is 'I' outside of a transaction, 'T' in one, 'E' in a failed one.
	TxStatus() byte
	// StatementTimeout is how long a statement may take; 0: for ever. CountFrom says since
	// when the time of the one is counted that is prepared or executed next.
	StatementTimeout() time.Duration
	CountFrom(since time.Time)
	// IdleTimeout is how long the session may wait for its client now; 0: for ever.
	IdleTimeout() time.Duration
	// BeginImplicit says that the statements that come now came together: they are one
	// transaction, until EndImplicit commits it, or rolls it back if one failed.
	BeginImplicit()
	EndImplicit(ctx context.Context) error
	// FailTx fails an open transaction because of an error outside of Execute.
	FailTx()
	// Setting returns the value that SHOW would; "" for an unknown name.
	Setting(name string) string
	Close()
}

// OpenOn makes a Config.Open of a SQL server.
func OpenOn(server *sql.Server) func(context.Context, sql.SessionOptions) (Session, error) {
	return func(ctx context.Context, o sql.SessionOptions) (Session, error) {
		session, err := server.Open(ctx, o)
		if err != nil {
			return nil, err // not a nil *sql.Session in a Session
		}
		return session, nil
	}
}

// Login is who logged in, and how.
type Login struct {
	User string
	// Certificate is what they showed, and Serial what it is revoked by; nil: they
	// had the password.
	Certificate *x509.Certificate
	Serial      string
}

// Knock is a client that wants to log in.
type Knock struct {
	User, Database string
	Address        netip.Addr
	Certificate    bool // it showed one that the cluster has signed
}

// Admission is how a client has to prove who it is: with neither a certificate nor a
// password it is taken at its word.
type Admission struct {
	Found                 bool // a rule is about the client
	Reject                bool
	Certificate, Password bool // that it has to have
}

// Config is what a Server needs.
type Config struct {
	// Listen is host:port; port 0 takes a free one.
	Listen string
	// TLS is the server's certificate and the roots of client certificates, live
	// through GetConfigForClient or GetCertificate. nil: no TLS is offered, and
	// clients from elsewhere than this machine are refused.
	TLS *tls.Config
	// RequireTLS refuses clear text from this machine too. Off loopback it is
	// always refused.
	RequireTLS bool
	// Node is this node's number: a part of the process ids of its sessions.
	Node uint32
	// ForwardCancel sends a cancel request to the nodes that PIDOnNode says; nil:
	// there are no others.
	ForwardCancel func(ctx context.Context, pid uint32, key []byte)
	// Credentials returns a user's SCRAM verifier in PostgreSQL's format.
	Credentials func(user string) (verifier string, ok bool)
	// ClusterID is the cluster whose client certificates let their users in.
	ClusterID string
	// SaltSecret makes the salts of users who do not exist. It should be the same
	// on all nodes and outlive restarts, or an attacker sees the salt change.
	SaltSecret []byte
	// Valid says why a credential, though proven, does not let in any more; nil:
	// every one does.
	Valid func(Login) error
	// Admit says how a client has to prove who it is; nil: by the certificate that it
	// shows, else by its password.
	Admit func(Knock) Admission
	// Audit is told how each login ended: why it was refused, or "". It must not
	// block; nil: nobody wants to know.
	Audit func(user, remote, why string)
	// Open begins a session of a user who has proven who they are: OpenOn(server).
	Open func(ctx context.Context, o sql.SessionOptions) (Session, error)
	// ServerVersion is what clients take for PostgreSQL's version: drivers switch
	// features by it.
	ServerVersion string
	// MaxConnections is how many clients may be logged in. More get 53300, and
	// those who are no admins somewhat earlier: see reserved.
	MaxConnections int
	// Limits says whether a user is an admin and how many sessions they may have
	// on this node, -1 being the default: half of MaxConnections. nil: only the
	// default holds.
	Limits func(user string) (sessions int, admin bool)
	// MaxLogins is how many clients may be in the middle of logging in, and how
	// many more may be held back after failures. One more pushes out another that
	// has come less far.
	MaxLogins int
	// TLSTimeout bounds the way from the TCP connection to the end of the TLS
	// handshake, in which a client has nothing to think about.
	TLSTimeout time.Duration
	// AuthTimeout bounds a login, from the TCP connection to the first ready; the
	// time for which it is held back does not count.
	AuthTimeout time.Duration
	// WriteTimeout is how long a client may not read what it is sent; then its
	// connection ends. Its statement holds snapshots, memory and a lane of the SQL
	// worker meanwhile.
	WriteTimeout time.Duration
	// MaxMessageBytes bounds a client's message. It is memory that any client
	// with a login can make the node use, per connection.
	MaxMessageBytes int
	// Memory is what all clients together can make the node hold for their sessions,
	// statements, parameters and half-read rows. More gets 53200; a limit beyond the
	// node's memory lets clients end it. nil: there is no bound.
	Memory *budget.Budget
	// StopTimeout is how long Run waits for running statements when it stops.
	StopTimeout time.Duration
	Logger      *slog.Logger
}

// DefaultConfig returns the limits; the caller sets the rest.
func DefaultConfig() Config {
	return Config{
		Listen:          "127.0.0.1:6432",
		ServerVersion:   "15.18",
		MaxConnections:  1000,
		MaxLogins:       128,
		TLSTimeout:      3 * time.Second,
		AuthTimeout:     10 * time.Second,
		WriteTimeout:    time.Minute,
		MaxMessageBytes: 64 << 20,
		StopTimeout:     5 * time.Second,
		Logger:          slog.New(slog.DiscardHandler),
	}
}

// Validate reports all faults at once.
func (c *Config) Validate() error {
	var errs []error
	require := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what))
		}
	}
	_, _, err := net.SplitHostPort(c.Listen)
	require(err == nil, fmt.Sprintf("listen address %q is not host:port", c.Listen))
	require(!c.RequireTLS || c.TLS != nil, "TLS is required, but there is no certificate")
	require(c.Credentials != nil, "no credentials source")
	require(c.ClusterID != "", "no cluster id")
	require(len(c.SaltSecret) >= 16, "salt secret shorter than 16 bytes")
	require(c.Open != nil, "no SQL server")
	require(c.ServerVersion != "", "no server version")
	require(c.MaxConnections > 0, "max connections must be positive")
	require(c.MaxLogins > 0, "max logins must be positive")
	require(c.TLSTimeout > 0, "TLS timeout must be positive")
	require(c.AuthTimeout > 0, "auth timeout must be positive")
	require(c.WriteTimeout > 0, "write timeout must be positive")
	require(c.MaxMessageBytes >= maxLoginMessageBytes, "max message bytes too small")
	require(c.StopTimeout > 0, "stop timeout must be positive")
	require(c.Logger != nil, "no logger")
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("pgwire config: %w", err)
	}
	return nil
}

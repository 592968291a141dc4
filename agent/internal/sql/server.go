package sql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/admission"
	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/clusterview"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/sql/settings"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Waiter is satisfied by *operation.Service.
type Waiter interface {
	// Wait returns an operation once it has ended, or is as far as until says.
	Wait(ctx context.Context, id string, until func(*cluster.Operation) bool) (cluster.Operation, error)
}

// Config is what a Server needs.
type Config struct {
	DB   exec.DB      // exec.Wrap(*kv.DB)
	Meta catalog.Meta // *meta.Meta
	// Duck runs what the fast path does not; nil: such statements get 0A000.
	Duck  duck.Executor
	Views clusterview.Views
	// Rebalancer serves REBALANCE and SHOW REBALANCE; nil: they get 0A000.
	Rebalancer Rebalancer
	// Operator carries out ALTER NODE; nil: this node does not.
	Operator Operator
	// Waiter waits for the operations that carry changes of tables on; nil: such changes are
	// refused.
	Waiter Waiter
	// Planted are faults that tests plant.
	Planted Planted
	// Ender ends sessions and statements of any node for pg_terminate_backend and its
	// like; nil: they get 0A000.
	Ender SessionEnder
	// Notifier tells the other nodes of notifications; nil: there are none.
	Notifier Notifier
	// Denied is told of each statement that was refused for want of a role; may be nil.
	Denied func(Denial)
	Node   cluster.NodeID
	// Memory is what statements may hold while they run: rows to be written, to be
	// sorted, that were read ahead, and what transactions buffer. More gets 53200.
	// nil: there is no bound.
	Memory *budget.Budget
	// Short and Long bound the statements that run at once: those that name their rows,
	// and all others that read or write rows. More wait, and more than may wait get
	// 53000. nil: there is no bound.
	Short, Long *admission.Queue
	// MaxSessions is how many sessions may be open; default 500. More get 53300.
	MaxSessions int
	// Now is the time that the node goes by, which statements are told as now(): a clock
	// of the machine that was set wrong changes it by as much as others agree to. nil:
	// the machine's.
	Now func() time.Time
	// ClosedLag is how long before now the time is that followers can serve, while they
	// are read; nil: 3 s.
	ClosedLag func() time.Duration
	// ScratchDir is where rows of cursors are kept that are too many for the memory; "": in
	// the system's directory for such files.
	ScratchDir string
	// Version is the version of NodeDB, for version().
	Version string
	Logger  *slog.Logger
}

// Validate reports everything that is missing.
func (c *Config) Validate() error {
	var errs []error
	if c.DB == nil || c.Meta == nil || c.Views == nil || c.Logger == nil {
		errs = append(errs, errors.New("sql: DB, Meta, Views and Logger must be set"))
	}
	if c.Node == 0 {
		errs = append(errs, errors.New("sql: node id is not set"))
	}
	if c.MaxSessions < 0 {
		errs = append(errs, errors.New("sql: max sessions must not be negative"))
	}
	return errors.Join(errs...)
}

// Server makes sessions.
type Server struct {
	cfg      Config
	catalog  *catalog.Catalog
	parsed   *syntax.Cache
	settings settings.Table
	version  string
	started  time.Time
	sampled  sampledSizes
	pace     pace
	lines    *exec.Lines
	// schemaRows is how many rows a schema change works on at once, and schemaPart for how
	// long before it says how far it is.
	schemaRows int
	schemaPart time.Duration

	sequences *sequences
	listening listeners
	planted   Planted

	passwords ownChanges
	// left is told when a session with temporary objects has ended.
	left chan struct{}

	mu struct {
		sync.Mutex
		draining bool
		sessions map[*Session]struct{}
	}
}

// parsedStatements is how many statements one generation of the parse cache holds.
const parsedStatements = 1024

// NewServer returns a Server.
func NewServer(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.MaxSessions == 0 {
		cfg.MaxSessions = 500
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.ClosedLag == nil {
		cfg.ClosedLag = func() time.Duration { return 3 * time.Second }
	}
	s := &Server{cfg: cfg, catalog: catalog.New(cfg.Meta), parsed: syntax.NewCache(parsedStatements), settings: settings.NewTable(), lines: exec.NewLines(), schemaRows: schemaRows, schemaPart: schemaPart}
	s.started = cfg.Now()
	s.version = fmt.Sprintf("PostgreSQL %s (NodeDB %s) on %s/%s", settings.ServerVersion, cmp.Or(cfg.Version, "dev"), runtime.GOOS, runtime.GOARCH)
	s.settings["max_connections"].Value = strconv.Itoa(cfg.MaxSessions)
	s.sequences, s.left = newSequences(s.catalog), make(chan struct{}, 1)
	s.mu.sessions = map[*Session]struct{}{}
	return s, nil
}

// SetDraining makes Open refuse new sessions with 57P03, or accept them again.
func (s *Server) SetDraining(draining bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.draining = draining
}

// Open starts a session. Errors are *Error: 57P03 while draining, 53300 when there
// are too many, 22023 for a bad setting.
func (s *Server) Open(_ context.Context, o SessionOptions) (*Session, error) {
	out := newSession(s, o)
	if err := out.startup(o); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.draining && !o.inside {
		return nil, &Error{Severity: "FATAL", Code: "57P03", Message: "the node is draining and takes no new sessions", Hint: "Connect to another node."}
	}
	if len(s.mu.sessions) >= s.cfg.MaxSessions && !o.inside {
		return nil, &Error{Severity: "FATAL", Code: "53300", Message: "sorry, too many clients already", Hint: "Connect to another node, or use a connection pool."}
	}
	s.mu.sessions[out] = struct{}{}
	return out, nil
}

func (s *Server) forget(x *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.sessions, x)
	if x.temp.Load() != 0 {
		select {
		case s.left <- struct{}{}:
		default: // somebody is told already
		}
	}
}

// Sessions lists the open sessions by process id.
func (s *Server) Sessions() []cluster.Session {
	s.mu.Lock()
	sessions := make([]*Session, 0, len(s.mu.sessions))
	for x := range s.mu.sessions {
		sessions = append(sessions, x)
	}
	s.mu.Unlock()
	out := make([]cluster.Session, len(sessions))
	for i, x := range sessions {
		out[i] = x.seen.session()
	}
	slices.SortFunc(out, func(a, b cluster.Session) int { return cmp.Compare(a.PID, b.PID) })
	return out
}

// VShard returns the vshard of the row whose primary key has the values, written
// as text, in the collection.
func (s *Server) VShard(collection string, key []string) (cluster.VShard, error) {
	name := syntax.Name{Name: collection}
	if schema, rest, ok := strings.Cut(collection, "."); ok {
		name = syntax.Name{Schema: schema, Name: rest}
	}
	table, err := s.catalog.Scope(nil, cluster.MainDatabase, []string{catalog.Public}).Resolve(name)
	if err != nil {
		return 0, AsError(err)
	}
	literals := make([]syntax.Literal, len(key))
	for i, k := range key {
		literals[i] = syntax.Literal{Text: k}
	}
	encoded, err := encodeKey(table, literals, time.UTC)
	if err != nil {
		return 0, AsError(err)
	}
	return keys.VShardOf(table.ID(), encoded), nil
}

// encodeKey encodes a primary key that was written as literals.
func encodeKey(table *catalog.Table, literals []syntax.Literal, loc *time.Location) ([]byte, error) {
	if len(literals) != len(table.Key) {
		return nil, &Error{Code: "22023", Message: fmt.Sprintf("the primary key of %q has %d columns, not %d", table.Name(), len(table.Key), len(literals))}
	}
	var key []byte
	for i, index := range table.Key {
		column := table.Columns[index]
		v, err := datum.ParseText(column.Type, literals[i].Text, loc)
		if err != nil {
			e := AsError(err)
			e.Position = literals[i].Position
			return nil, e
		}
		if key, err = datum.AppendKey(key, v); err != nil {
			return nil, err
		}
	}
	return key, nil
}

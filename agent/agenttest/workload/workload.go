// Package workload runs clients against a cluster, over SQL and through any node, that
// record what they asked and were told, and has it judged.
//
// A workload is tables, one operation of a client, and what the history must be like.
// Adding one is a type with the methods of Workload and its line in All.
//
// # Invariants
//
//  1. An operation is in the history before its first byte is sent.
//  2. It counts as failed only if it certainly had no effect: its transaction was not
//     asked to commit, or the answer has a code that says so. Everything else is
//     unknown.
//  3. No operation is tried again: the next one is another.
//
// # Concurrency
//
// Each client is one goroutine. A Workload's Step is called by all of them at once.
package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/nodedb/nodedb/agent/agenttest/checker"
	"github.com/nodedb/nodedb/agent/agenttest/history"
)

// Patience is how long a client waits for the answer to one operation.
const Patience = 15 * time.Second

// Node is where a client may connect to.
type Node struct{ Name, URL string }

// Config is what a run needs.
type Config struct {
	// Nodes returns the nodes that clients may connect to now.
	Nodes func() []Node
	// Level is the isolation level of explicit transactions.
	Level   string
	Clients int
	Seed    uint64
	// Pause is how long a client waits between two operations.
	Pause time.Duration
}

// Workload is what clients do and what must be true of it.
type Workload interface {
	Name() string
	// Setup is run once, by one session.
	Setup(ctx context.Context, conn *pgx.Conn) error
	// Step does one operation.
	Step(ctx context.Context, c *Client)
	// Finish reads what is left, when all clients have ended, through each node.
	Finish(ctx context.Context, c *Client)
	// Check says what is wrong with the history of a run at a level.
	Check(ops []history.Op, level string) []checker.Finding
}

// All returns all workloads, new.
func All() []Workload {
	return []Workload{
		&registers{}, &bank{}, &ledger{}, &longFork{}, &writeSkew{}, &lists{}, &predicates{}, &numbers{},
		&jobs{}, &mutexes{}, &past{}, &bulk{},
	}
}

// Named returns the workloads of a list of names, separated by commas; "all" are all.
func Named(names string) ([]Workload, error) {
	all := All()
	if names == "all" {
		return all, nil
	}
	var out []Workload
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(w Workload) bool { return w.Name() == name })
		if i < 0 {
			var known []string
			for _, w := range all {
				known = append(known, w.Name())
			}
			return nil, fmt.Errorf("there is no workload %q: there are %s", name, strings.Join(known, ", "))
		}
		out = append(out, all[i])
	}
	return out, nil
}

// Run is a workload under way.
type Run struct {
	W      Workload
	cfg    Config
	Record *history.Recorder
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

// Start makes the tables and starts the clients.
func Start(ctx context.Context, w Workload, cfg Config) (*Run, error) {
	conn, err := pgx.Connect(ctx, cfg.Nodes()[0].URL)
	if err == nil {
		err = errors.Join(w.Setup(ctx, conn), conn.Close(ctx))
	}
	if err != nil {
		return nil, fmt.Errorf("set up %s: %w", w.Name(), err)
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	r := &Run{W: w, cfg: cfg, Record: history.NewRecorder(), stop: stop}
	for i := range cfg.Clients {
		c := r.client(i)
		r.wg.Go(func() {
			defer c.close()
			for run.Err() == nil {
				if c.ready(run) {
					w.Step(run, c)
				}
				pause(run, cfg.Pause/2+time.Duration(c.Rand.Int64N(int64(cfg.Pause)+1)))
			}
		})
	}
	return r, nil
}

func (r *Run) client(i int) *Client {
	return &Client{
		ID: i, Rand: rand.New(rand.NewPCG(r.cfg.Seed, uint64(i))), //nolint:gosec // a seed that can be repeated
		Level: r.cfg.Level, nodes: r.cfg.Nodes, record: r.Record,
	}
}

// Stop ends the clients, after their last operation, and reads what is left through
// each node. The cluster should be well.
func (r *Run) Stop(ctx context.Context) error {
	r.stop()
	r.wg.Wait()
	for i, n := range r.cfg.Nodes() {
		c := r.client(r.cfg.Clients + i)
		c.nodes = func() []Node { return []Node{n} }
		for !c.ready(ctx) {
			if ctx.Err() != nil {
				return fmt.Errorf("%s: no session on %s at the end: %w", r.W.Name(), n.Name, context.Cause(ctx))
			}
			pause(ctx, 50*time.Millisecond)
		}
		r.W.Finish(ctx, c)
		c.close()
	}
	return nil
}

// Check judges what was recorded so far.
func (r *Run) Check() ([]history.Op, []checker.Finding) {
	ops := r.Record.Ops()
	found := r.W.Check(ops, r.cfg.Level)
	for _, o := range ops {
		if o.Error == errMissing.Error() {
			found = append(found, checker.Finding{Name: "row missing", What: fmt.Sprintf("T%d did not find a row that is always there", o.ID), Ops: []history.Op{o}})
		}
		if strings.Contains(o.Error, "SQLSTATE "+internal) {
			found = append(found, checker.Finding{Name: "internal error", What: fmt.Sprintf("T%d was told of a fault in the node: faults around it have codes of their own", o.ID), Ops: []history.Op{o}})
		}
	}
	return ops, found
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// Client is one session after another, on one node after another.
type Client struct {
	ID    int
	Rand  *rand.Rand
	Level string

	nodes  func() []Node
	record *history.Recorder
	conn   *pgx.Conn
	node   string
}

// hop is one in how many operations a client takes another node's session.
const hop = 40

// ready wants a session, a new one if the last was lost.
func (c *Client) ready(ctx context.Context) bool {
	if c.conn != nil && (c.conn.IsClosed() || c.Rand.IntN(hop) == 0) {
		c.close()
	}
	if c.conn != nil {
		return true
	}
	nodes := c.nodes()
	n := nodes[c.Rand.IntN(len(nodes))]
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, n.URL)
	if err != nil {
		return false
	}
	c.conn, c.node = conn, n.Name
	return true
}

func (c *Client) close() {
	if c.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = c.conn.Close(ctx)
		c.conn = nil
	}
}

// Do records one operation: what do does by a session, and the steps that it notes. An
// error of a statement by itself is unknown unless its code says otherwise.
func (c *Client) Do(ctx context.Context, kind string, do func(ctx context.Context, x *Tx) error) history.Outcome {
	return c.run(ctx, kind, "", do)
}

// DoTx records one transaction at a level.
func (c *Client) DoTx(ctx context.Context, kind, level string, do func(ctx context.Context, x *Tx) error) history.Outcome {
	return c.run(ctx, kind, level, do)
}

// DoBounded records a read that may be as old as checker.Staleness.
func (c *Client) DoBounded(ctx context.Context, kind string, do func(ctx context.Context, x *Tx) error) history.Outcome {
	return c.Do(ctx, kind, func(ctx context.Context, x *Tx) error {
		if _, err := x.Exec(ctx, fmt.Sprintf("SET nodedb.read_consistency = 'bounded_staleness:%d'", int(checker.Staleness.Seconds()))); err != nil {
			return err
		}
		err := do(ctx, x)
		if _, reset := x.Exec(ctx, "RESET nodedb.read_consistency"); reset != nil {
			c.close() // the session's next statement must not read so
		}
		return err
	})
}

// Age is how long the run has lasted.
func (c *Client) Age() time.Duration { return c.record.Age() }

func (c *Client) run(ctx context.Context, kind, level string, do func(ctx context.Context, x *Tx) error) history.Outcome {
	// An operation in flight when the run ends is finished, so that its fate is known.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Patience)
	defer cancel()
	x := &Tx{conn: c.conn}
	o := c.record.Call(c.ID, c.node, kind, level)
	outcome, err := x.perform(ctx, level, do)
	c.record.Done(o, outcome, err, x.steps...)
	if outcome != history.OK && c.conn != nil && !c.conn.IsClosed() && c.conn.PgConn().TxStatus() != 'I' {
		if _, err := c.conn.Exec(ctx, "ROLLBACK"); err != nil {
			c.close()
		}
	}
	return outcome
}

// Tx is an operation under way.
type Tx struct {
	conn  *pgx.Conn
	steps []history.Step
}

// errNothing ends an operation that found nothing to do: it is failed.
var errNothing = errors.New("nothing to do")

func (x *Tx) perform(ctx context.Context, level string, do func(ctx context.Context, x *Tx) error) (history.Outcome, error) {
	if level == "" {
		return outcomeOf(do(ctx, x))
	}
	_, err := x.conn.Exec(ctx, "BEGIN ISOLATION LEVEL "+level)
	if err == nil {
		err = do(ctx, x)
	}
	if err != nil {
		return history.Fail, err // nobody was asked to commit
	}
	tag, err := x.conn.Exec(ctx, "COMMIT")
	if err == nil && tag.String() != "COMMIT" {
		return history.Fail, fmt.Errorf("COMMIT was answered %s", tag)
	}
	return outcomeOf(err)
}

// Exec runs a statement and returns how many rows it changed.
func (x *Tx) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	tag, err := x.conn.Exec(ctx, sql, args...)
	return tag.RowsAffected(), err
}

// Message runs statements that are sent together.
func (x *Tx) Message(ctx context.Context, sql string) error {
	return x.conn.PgConn().Exec(ctx, sql).Close()
}

// Ints returns the rows of a query of whole numbers.
func (x *Tx) Ints(ctx context.Context, sql string, args ...any) ([][]int64, error) {
	rows, err := x.conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) ([]int64, error) {
		vs := make([]int64, len(r.FieldDescriptions()))
		ps := make([]any, len(vs))
		for i := range vs {
			ps[i] = &vs[i]
		}
		return vs, r.Scan(ps...)
	})
}

// Bool returns the answer of a query: null, or nothing, is false.
func (x *Tx) Bool(ctx context.Context, sql string) (bool, error) {
	r := x.conn.PgConn().ExecParams(ctx, sql, nil, nil, nil, nil).Read()
	return len(r.Rows) == 1 && string(r.Rows[0][0]) == "t", r.Err
}

// errLost is of a lock that a session had and was not to lose.
var errLost = errors.New("the session has lost its lock")

// errMissing is of a row that is always there.
var errMissing = errors.New("a row that is always there was not found")

// One returns the row of a query that finds one.
func (x *Tx) One(ctx context.Context, sql string, args ...any) ([]int64, error) {
	rows, err := x.Ints(ctx, sql, args...)
	if err == nil && len(rows) != 1 {
		err = errMissing
	}
	if err != nil {
		return nil, err
	}
	return rows[0], nil
}

// Note adds steps: what is asked before it is sent, what is found after.
func (x *Tx) Note(steps ...history.Step) { x.steps = append(x.steps, steps...) }

// internal is the code of what the node did not expect: no client is to see it, whatever
// fails around it.
const internal = "XX000"

// certain are the codes, or classes, of answers that say that a statement had no
// effect: 40003 is not among them, nor is whatever ends a session.
var certain = []string{"40001", "40P01", "55", "23", "22", "0A", "25", "42", "53"}

func outcomeOf(err error) (history.Outcome, error) {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return history.OK, nil
	case errors.Is(err, errNothing):
		return history.Fail, err
	case errors.As(err, &pg) && slices.ContainsFunc(certain, func(c string) bool { return strings.HasPrefix(pg.Code, c) }):
		return history.Fail, err
	}
	return history.Unknown, err
}

// setup runs statements one after another.
func setup(ctx context.Context, conn *pgx.Conn, statements ...string) error {
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%.60s: %w", s, err)
		}
	}
	return nil
}

// Level is the isolation level of the run's explicit transactions.
func (r *Run) Level() string { return r.cfg.Level }

package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	accounts      = 1000
	orders        = 4000
	rowsPerInsert = 100
	pace          = 10 * time.Millisecond // between two rounds of a client: the machine is shared
	callWait      = 15 * time.Second
	retryWait     = 100 * time.Millisecond
)

// workload is clients that write, read, and remember every acknowledgement.
type workload struct {
	c       *cluster
	writers []*writer
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

// writer is one client. Each round it inserts a numbered row, adds one to a
// counter of its own, and reads an account: a lost row or a row too many, a lost
// or a doubled addition cannot hide.
type writer struct {
	w  *workload
	id int

	mu sync.Mutex
	tally
	acked  []int        // rows acknowledged
	unsure map[int]bool // rows whose fate nobody told
	last   time.Time    // of the last acknowledged write
}

// tally counts what clients saw.
type tally struct {
	writes, reads uint64 // acknowledged
	adds          int    // additions acknowledged
	unsureAdds    int
	failed        uint64 // statements refused with an error: not applied
	moved         uint64 // connections given up, for another node
	gap           time.Duration
	lastError     string
}

func newWorkload(c *cluster, clients int) *workload {
	w := &workload{c: c, cancel: func() {}}
	for i := range clients {
		w.writers = append(w.writers, &writer{w: w, id: i + 1, unsure: map[int]bool{}})
	}
	return w
}

// connect opens a session on the i-th node that runs.
func (w *workload) connect(ctx context.Context, i int) (*pgx.Conn, error) {
	var running []*node
	for _, n := range w.c.all() {
		if _, ended := n.ended(); !ended {
			running = append(running, n)
		}
	}
	if len(running) == 0 {
		return nil, errors.New("no node runs")
	}
	return pgx.Connect(ctx, w.c.url(running[i%len(running)]))
}

// load creates the collections and the sample data, and returns its rows.
func (w *workload) load(ctx context.Context) (int, error) {
	conn, err := w.connect(ctx, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(ctx) }()
	statements := []string{
		"CREATE COLLECTION accounts (id int8 PRIMARY KEY, owner text NOT NULL, city text, balance int8 NOT NULL)",
		"CREATE COLLECTION orders (id int8 PRIMARY KEY, account int8 NOT NULL, item text NOT NULL, quantity int4 NOT NULL, price numeric(10,2) NOT NULL, placed timestamptz NOT NULL)",
		"CREATE COLLECTION demo_ledger (writer int4, seq int8, note text, PRIMARY KEY (writer, seq))",
		"CREATE COLLECTION demo_counters (writer int4 PRIMARY KEY, n int8 NOT NULL)",
	}
	statements = append(statements, inserts("accounts", accounts, account)...)
	statements = append(statements, inserts("orders", orders, order)...)
	statements = append(statements, inserts("demo_counters", len(w.writers), func(i int) string { return fmt.Sprintf("(%d, 0)", i) })...)
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return 0, fmt.Errorf("%s...: %w", s[:min(len(s), 40)], err)
		}
	}
	return accounts + orders, nil
}

func inserts(collection string, n int, row func(i int) string) []string {
	var out []string
	for first := 1; first <= n; first += rowsPerInsert {
		var rows []string
		for i := first; i < first+rowsPerInsert && i <= n; i++ {
			rows = append(rows, row(i))
		}
		out = append(out, "INSERT INTO "+collection+" VALUES "+strings.Join(rows, ", "))
	}
	return out
}

func account(i int) string {
	names := []string{"ada", "grace", "linus", "barbara", "edsger", "margaret", "ken", "frances"}
	cities := []string{"Oslo", "Lagos", "Lima", "Kyoto", "Porto"}
	return fmt.Sprintf("(%d, '%s %d', '%s', %d)", i, names[i%len(names)], i, cities[i%len(cities)], 100+i%900)
}

func order(i int) string {
	items := []string{"lamp", "chair", "kettle", "bicycle", "atlas", "violin"}
	day, second := i%28+1, i%60
	return fmt.Sprintf("(%d, %d, '%s', %d, %d.%02d, '2026-10-%02d 12:00:%02d+00')", i, i%accounts+1, items[i%len(items)], i%5+1, 5+i%200, i%100, day, second)
}

// run starts the clients.
func (w *workload) run(ctx context.Context) {
	ctx, w.cancel = context.WithCancel(ctx)
	for _, x := range w.writers {
		w.wg.Go(func() { x.run(ctx) })
	}
}

// stop ends the clients, each after the statement it is in.
func (w *workload) stop() {
	w.cancel()
	w.wg.Wait()
}

func (x *writer) run(ctx context.Context) {
	at := x.id
	var conn *pgx.Conn
	defer func() { closeConn(conn) }()
	for seq := 1; ctx.Err() == nil; seq++ {
		if conn == nil {
			if conn = x.reconnect(ctx, &at); conn == nil {
				return
			}
		}
		if !x.round(conn, seq) {
			closeConn(conn)
			conn, at = nil, at+1
		}
		select {
		case <-ctx.Done():
		case <-time.After(pace):
		}
	}
}

func closeConn(conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // it may be broken
}

// reconnect tries one node after the other until one lets it in.
func (x *writer) reconnect(ctx context.Context, at *int) *pgx.Conn {
	for ctx.Err() == nil {
		call, cancel := context.WithTimeout(ctx, 3*time.Second)
		conn, err := x.w.connect(call, *at)
		cancel()
		if err == nil {
			return conn
		}
		*at++
		select {
		case <-ctx.Done():
		case <-time.After(retryWait):
		}
	}
	return nil
}

// round does one round; false gives the connection up. A statement that has
// begun is not cut off when the demo ends: its fate would be unknown.
func (x *writer) round(conn *pgx.Conn, seq int) bool {
	ctx, cancel := context.WithTimeout(context.Background(), callWait)
	defer cancel()
	_, err := conn.Exec(ctx, "INSERT INTO demo_ledger VALUES ($1, $2, $3)", x.id, seq, "written by the demo")
	if !x.note(err, func() { x.acked = append(x.acked, seq) }, func() { x.unsure[seq] = true }) {
		return false
	}
	_, err = conn.Exec(ctx, "UPDATE demo_counters SET n = n + 1 WHERE writer = $1", x.id)
	if !x.note(err, func() { x.adds++ }, func() { x.unsureAdds++ }) {
		return false
	}
	var balance int64
	err = conn.QueryRow(ctx, "SELECT balance FROM accounts WHERE id = $1", (x.id*7919+seq*31)%accounts+1).Scan(&balance)
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil {
		return x.failLocked(err)
	}
	x.reads++
	return true
}

// note books the outcome of a write; false gives the connection up.
func (x *writer) note(err error, acked, unsure func()) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err == nil {
		now := time.Now()
		if !x.last.IsZero() {
			x.gap = max(x.gap, now.Sub(x.last))
		}
		x.last = now
		x.writes++
		acked()
		return true
	}
	if !certainlyNotApplied(err) {
		unsure()
	}
	return x.failLocked(err)
}

// failLocked counts an error; a session that the node ended is no failure of a
// statement.
func (x *writer) failLocked(err error) bool {
	var pe *pgconn.PgError
	if errors.As(err, &pe) && !goodbye(pe) {
		x.failed++
		x.lastError = fmt.Sprintf("%s (SQLSTATE %s)", pe.Message, pe.Code)
		return !strings.HasPrefix(pe.Severity, "F") // FATAL
	}
	x.moved++
	return false
}

// goodbye reports whether the node ends sessions on purpose: it drains or stops.
func goodbye(pe *pgconn.PgError) bool {
	return pe.Code == "57P01" || pe.Code == "57P02" || pe.Code == "57P03"
}

// certainlyNotApplied reports whether a failed statement changed nothing: the
// node said so, or the statement was never sent.
func certainlyNotApplied(err error) bool {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return pe.Code != "40003" && !goodbye(pe)
	}
	return pgconn.SafeToRetry(err)
}

// total sums the clients' tallies up; gap is the longest of any.
func (w *workload) total() tally {
	var t tally
	for _, x := range w.writers {
		x.mu.Lock()
		t.writes += x.writes
		t.reads += x.reads
		t.failed += x.failed
		t.moved += x.moved
		t.adds += x.adds
		t.unsureAdds += x.unsureAdds
		t.gap = max(t.gap, x.gap)
		if x.lastError != "" {
			t.lastError = x.lastError
		}
		x.mu.Unlock()
	}
	return t
}

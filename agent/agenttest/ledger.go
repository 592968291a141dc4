package agenttest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Ledger is a workload that remembers every acknowledgement: each writer inserts
// numbered rows and adds one to a counter of its own, through any node that
// answers. Check then finds every lost and every doubled write.
type Ledger struct {
	c       *Cluster
	writers []*writer
	stop    context.CancelFunc
	wg      sync.WaitGroup
	// errs are errors that a client of a healthy cluster should not see.
	mu   sync.Mutex
	errs []string
	gap  time.Duration
}

type writer struct {
	id          int
	acked       []int // rows acknowledged
	unsure      map[int]bool
	adds        int // increments acknowledged
	unsureAdds  int
	lastSuccess time.Time
	done        atomic.Int64
}

// StartLedger creates the tables and starts n writers.
func (c *Cluster) StartLedger(n int) *Ledger {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), StartTimeout)
	defer cancel()
	conn, err := c.Node(1).Connect(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	l := &Ledger{c: c}
	stmts := []string{
		"CREATE TABLE IF NOT EXISTS ledger (writer int4, seq int4, note text, PRIMARY KEY (writer, seq))",
		"CREATE TABLE IF NOT EXISTS counters (writer int4 PRIMARY KEY, n int8)",
	}
	for i := range n {
		stmts = append(stmts, fmt.Sprintf("INSERT INTO counters VALUES (%d, 0)", i))
	}
	for _, s := range stmts {
		if _, err := conn.Exec(ctx, s); err != nil {
			c.t.Fatalf("%s: %v", s, err)
		}
	}
	run, stop := context.WithCancel(context.Background())
	l.stop = stop
	for i := range n {
		w := &writer{id: i, unsure: map[int]bool{}, lastSuccess: time.Now()}
		l.writers = append(l.writers, w)
		l.wg.Go(func() { l.run(run, w) })
	}
	return l
}

// Acknowledged returns how many writes were acknowledged so far.
func (l *Ledger) Acknowledged() int {
	var n int64
	for _, w := range l.writers {
		n += w.done.Load()
	}
	return int(n)
}

// Advance waits until at least n more writes are acknowledged.
func (l *Ledger) Advance(n int, timeout time.Duration) {
	l.c.t.Helper()
	want := l.Acknowledged() + n
	Eventually(l.c.t, timeout, "writes go on", func() error {
		if got := l.Acknowledged(); got < want {
			return fmt.Errorf("%d writes acknowledged, waiting for %d; last errors: %v", got, want, l.lastErrors())
		}
		return nil
	})
}

// Stop ends the writers and returns the longest time that one of them waited
// between two acknowledged writes, and the errors that statements met other than
// those of a connection that was lost.
func (l *Ledger) Stop() (gap time.Duration, errs []string) {
	l.stop()
	l.wg.Wait()
	return l.gap, l.errs
}

// Check reads everything back through one node: every acknowledged row is there
// exactly once, no counter is below its acknowledged additions or above them by
// more than the additions whose fate is unknown.
func (l *Ledger) Check(n *Node) {
	l.c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), StartTimeout)
	defer cancel()
	conn, err := n.Connect(ctx)
	if err != nil {
		l.c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	seen := map[[2]int]int{}
	rows, err := conn.Query(ctx, "SELECT writer, seq FROM ledger")
	if err != nil {
		l.c.t.Fatal(err)
	}
	if _, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (struct{}, error) {
		var w, s int
		err := r.Scan(&w, &s)
		seen[[2]int{w, s}]++
		return struct{}{}, err
	}); err != nil {
		l.c.t.Fatal(err)
	}
	lost, doubled := 0, 0
	for _, w := range l.writers {
		for _, s := range w.acked {
			switch seen[[2]int{w.id, s}] {
			case 0:
				lost++
			case 1:
			default:
				doubled++
			}
		}
		var count int
		if err := conn.QueryRow(ctx, "SELECT n FROM counters WHERE writer = $1", w.id).Scan(&count); err != nil {
			l.c.t.Fatal(err)
		}
		if count < w.adds || count > w.adds+w.unsureAdds {
			l.c.t.Errorf("counter of writer %d: got %d, want between %d and %d", w.id, count, w.adds, w.adds+w.unsureAdds)
		}
	}
	if lost+doubled > 0 {
		l.c.t.Errorf("%d acknowledged rows lost, %d doubled, of %d acknowledged writes", lost, doubled, l.Acknowledged())
	}
	l.c.t.Logf("ledger: %d writes acknowledged, %d rows read back, none lost, none doubled; longest gap %s", l.Acknowledged(), len(seen), l.gap.Round(time.Millisecond))
}

func (l *Ledger) run(ctx context.Context, w *writer) {
	node := w.id
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close(context.Background())
		}
	}()
	for seq := 0; ctx.Err() == nil; {
		if conn == nil || conn.IsClosed() {
			conn = l.connect(ctx, &node)
			continue
		}
		seq++
		// A statement in flight at the end is finished, so that its fate is known.
		stmt, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		if seq%4 == 0 {
			_, err := conn.Exec(stmt, "UPDATE counters SET n = n + 1 WHERE writer = $1", w.id)
			l.note(w, err, func() { w.adds++ }, func() { w.unsureAdds++ })
		} else {
			_, err := conn.Exec(stmt, "INSERT INTO ledger VALUES ($1, $2, $3)", w.id, seq, "row")
			l.note(w, err, func() { w.acked = append(w.acked, seq) }, func() { w.unsure[seq] = true })
		}
		cancel()
	}
}

func (l *Ledger) connect(ctx context.Context, node *int) *pgx.Conn {
	nodes := l.c.Nodes()
	*node++
	cctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := nodes[*node%len(nodes)].Connect(cctx)
	if err != nil {
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
		return nil
	}
	return conn
}

// note books the outcome of one statement.
func (l *Ledger) note(w *writer, err error, acked, unsure func()) {
	if err == nil {
		acked()
		w.done.Add(1)
		now := time.Now()
		l.mu.Lock()
		l.gap = max(l.gap, now.Sub(w.lastSuccess))
		l.mu.Unlock()
		w.lastSuccess = now
		return
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		unsure() // the connection was lost: the fate is unknown
		return
	}
	if pg.Code == "40003" {
		unsure()
	}
	if !strings.HasPrefix(pg.Code, "57P0") { // a node that drains or stops says so
		l.mu.Lock()
		l.errs = append(l.errs, fmt.Sprintf("writer %d: %s %s", w.id, pg.Code, pg.Message))
		l.mu.Unlock()
	}
}

func (l *Ledger) lastErrors() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.errs[max(0, len(l.errs)-3):]
}

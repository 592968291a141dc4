package demo

import (
	"context"
	"fmt"
	"time"
)

// Ledger is what the comparison of the clients' memory with the cluster gave.
type Ledger struct {
	Acknowledged uint64  `json:"acknowledged"`
	Lost         int     `json:"lost"`
	Doubled      int     `json:"doubled"`
	Unknown      int     `json:"unknown"`   // writes whose fate the client was not told
	Unwritten    int     `json:"unwritten"` // rows that nobody wrote
	Failed       uint64  `json:"failed"`    // statements refused with an error
	LongestGap   float64 `json:"longestGapSeconds"`
	LastError    string  `json:"lastError,omitempty"`
}

// OK reports whether no acknowledged write is lost and none applied twice.
func (l *Ledger) OK() bool { return l.Lost == 0 && l.Doubled == 0 && l.Unwritten == 0 }

// String is the ledger in one line.
func (l *Ledger) String() string {
	return fmt.Sprintf("%d writes acknowledged, %d lost, %d doubled; %d of unknown fate, %d statements failed; longest gap of a client %.2fs",
		l.Acknowledged, l.Lost, l.Doubled, l.Unknown, l.Failed, l.LongestGap)
}

// check compares every client's memory with what the cluster holds. The clients
// must have stopped.
func (w *workload) check(ctx context.Context) (*Ledger, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	conn, err := w.connect(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("connect to check the ledger: %w", err)
	}
	defer closeConn(conn)
	t := w.total()
	l := &Ledger{Acknowledged: t.writes, Failed: t.failed, LongestGap: t.gap.Seconds(), LastError: t.lastError}
	found := map[int]map[int]int{}
	rows, err := conn.Query(ctx, "SELECT writer, seq FROM demo_ledger")
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	for rows.Next() {
		var writer, seq int
		if err := rows.Scan(&writer, &seq); err != nil {
			return nil, fmt.Errorf("read the ledger: %w", err)
		}
		if found[writer] == nil {
			found[writer] = map[int]int{}
		}
		found[writer][seq]++
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	for _, x := range w.writers {
		x.compare(l, found[x.id])
		var n int
		if err := conn.QueryRow(ctx, "SELECT n FROM demo_counters WHERE writer = $1", x.id).Scan(&n); err != nil {
			return nil, fmt.Errorf("read counter %d: %w", x.id, err)
		}
		x.compareCounter(l, n)
	}
	return l, nil
}

// compare books the rows of one client.
func (x *writer) compare(l *Ledger, found map[int]int) {
	known := map[int]bool{}
	for _, seq := range x.acked {
		known[seq] = true
		if found[seq] == 0 {
			l.Lost++
		}
	}
	l.Unknown += len(x.unsure)
	for seq, times := range found {
		if times > 1 {
			l.Doubled++
		}
		if !known[seq] && !x.unsure[seq] {
			l.Unwritten++
		}
	}
}

// compareCounter books the additions of one client: at least those acknowledged,
// at most those and the ones of unknown fate.
func (x *writer) compareCounter(l *Ledger, n int) {
	l.Unknown += x.unsureAdds
	if n < x.adds {
		l.Lost += x.adds - n
	}
	if n > x.adds+x.unsureAdds {
		l.Doubled += n - x.adds - x.unsureAdds
	}
}

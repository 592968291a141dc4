package sql

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/nodedb/nodedb/agent/internal/admission"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// maxCursors bounds what one session can keep open.
const maxCursors = 1_000

// cursor is a query whose rows are asked for piece by piece: its execution is a coroutine of
// the session's goroutine, which stops behind each row. A session does one thing at a time:
// before another query runs, the rest of the rows goes to the spool (ADR 0057).
type cursor struct {
	name, text   string
	columns      []Column
	created      time.Time
	number       int  // as they were made
	young        bool // made by the transaction that is open
	hold, binary bool
	back         bool // it may go back

	// next has the query give another row; nil: it has none, or has failed with err.
	next   func() ([]datum.Datum, bool)
	yield  func([]datum.Datum) bool
	stop   func()
	cancel context.CancelCauseFunc
	place  *admission.Place
	err    error
	failed bool // a FETCH has

	rows    spool
	skipped int64 // rows that went out and are not in the spool
	at      int64 // the row that it is on, from 1; 0: before the first
}

// declare runs DECLARE: the query has its snapshot then, and has given no row.
func (s *Session) declare(ctx context.Context, p *Prepared, node *syntax.DeclareCursor, args []datum.Datum, at time.Time) (string, error) {
	switch _, there := s.cursors[node.Name]; {
	case s.tx == nil && !node.Hold:
		return "", noBlock("DECLARE CURSOR")
	case there:
		return "", &Error{Code: "42P03", Message: fmt.Sprintf("cursor %q already exists", node.Name)}
	case len(s.cursors) >= maxCursors:
		return "", &Error{Code: "53400", Message: fmt.Sprintf("more than %d cursors in one session", maxCursors), Hint: "CLOSE those that are not needed any more."}
	}
	query := *p
	query.Columns = wireColumns(p.plan.Columns)
	locks := len(node.Query.Select.GetLockingClause()) > 0
	s.declared++
	c := &cursor{name: node.Name, text: p.statement.Text, columns: query.Columns, created: at, number: s.declared, young: s.tx != nil,
		hold: node.Hold, binary: node.Binary, back: !node.NoScroll && !locks,
		rows: spool{dir: s.server.cfg.ScratchDir, memory: s.server.cfg.Memory.Open()}}
	c.start(ctx, func(ctx context.Context) error {
		_, err := s.runQuery(ctx, &query, node.Query, args, c, at)
		return err
	})
	if s.tx == nil {
		c.readAhead(ctx)
	}
	if c.err != nil {
		c.close()
		return "", c.err
	}
	if s.cursors == nil {
		s.cursors = map[string]*cursor{}
	}
	s.cursors[c.name] = c
	return "DECLARE CURSOR", nil
}

// start begins the query, which stops before its first row.
func (c *cursor) start(ctx context.Context, run func(context.Context) error) {
	// The statement that began it ends before it does.
	own, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	c.cancel = cancel
	c.next, c.stop = iter.Pull(func(yield func([]datum.Datum) bool) {
		c.yield = yield
		c.err = run(own)
	})
	c.pull(ctx)
}

// beginCursor has a query whose rows go to a cursor take its snapshot, and wait.
func beginCursor(ctx context.Context, sink RowSink, run *exec.Run, plan *queryplan.Plan) (release func(), err error) {
	release = func() {}
	c, ok := sink.(*cursor)
	if !ok {
		return release, nil
	}
	if plan.Locks() != nil && plan.With != nil {
		return release, syntax.Unsupported("a cursor of a query whose WITH locks rows", "Lock them by a statement of its own.")
	}
	if plan.With != nil {
		return release, &Error{Code: "0A000", Message: "DECLARE CURSOR must not contain data-modifying statements in WITH"}
	}
	if plan.Select == nil || plan.Select.Lock == nil { // else it sees the newest versions of what it locks
		if err := run.Pin(ctx); err != nil {
			return release, err
		}
		release = run.DB.Hold(run.TS) // the transaction's hold goes on with its statements
	}
	return release, c.Row([]datum.Datum{})
}

// pull has the query go on to its next row; ok is false at its end.
func (c *cursor) pull(ctx context.Context) (row []datum.Datum, ok bool) {
	if c.next == nil {
		return nil, false
	}
	if c.place != nil {
		if err := c.place.Resume(); err != nil {
			c.end(err)
			return nil, false
		}
	}
	defer context.AfterFunc(ctx, func() { c.cancel(context.Cause(ctx)) })()
	switch row, ok = c.next(); {
	case !ok:
		c.end(c.err)
	case c.place != nil:
		c.place.Yield()
	}
	return row, ok
}

// end stops the query for good.
func (c *cursor) end(err error) {
	if c.next != nil {
		c.next = nil
		c.stop()
		c.cancel(context.Canceled)
	}
	c.err, c.place = err, nil
}

// WaitWith implements ClientWaiter.
func (c *cursor) WaitWith(p *admission.Place) { c.place = p }

// Describe implements RowSink: the columns were known before.
func (c *cursor) Describe([]Column) error { return nil }

// Row implements RowSink; it returns when another row is wanted.
func (c *cursor) Row(row []datum.Datum) error {
	if row == nil { // of no columns
		row = []datum.Datum{}
	}
	if !c.yield(row) {
		return ErrRowsUnread
	}
	return nil
}

// readAhead has the query give all its rows. An error is told to who comes to it.
func (c *cursor) readAhead(ctx context.Context) {
	for {
		row, ok := c.pull(ctx)
		if !ok {
			return
		}
		if err := c.rows.add(row); err != nil {
			c.end(err)
			return
		}
	}
}

func (c *cursor) close() {
	c.end(c.err)
	c.rows.close()
}

// known is how many rows the query has given.
func (c *cursor) known() int64 { return c.skipped + c.rows.count }

// forward goes to the next row; nil: it is behind the last.
func (c *cursor) forward(ctx context.Context) ([]datum.Datum, error) {
	if c.at < c.known() {
		c.at++
		return c.rows.at(c.at - 1 - c.skipped)
	}
	row, ok := c.pull(ctx)
	switch {
	case c.err != nil:
		return nil, c.err
	case !ok:
		c.at = c.known() + 1
		return nil, nil
	case !c.back:
		c.skipped++
	default:
		if err := c.rows.add(row); err != nil {
			return nil, err
		}
	}
	c.at++
	return row, nil
}

// backward goes to the row before; nil: it is before the first.
func (c *cursor) backward() ([]datum.Datum, error) {
	if !c.back {
		return nil, errForwardOnly()
	}
	if c.at = max(c.at-1, 0); c.at == 0 {
		return nil, nil
	}
	return c.rows.at(c.at - 1)
}

func errForwardOnly() error {
	return &Error{Code: "55000", Message: "cursor can only scan forward", Hint: "Declare it with SCROLL option to enable backward scan."}
}

// fetch gives rows to emit as FETCH asks for them, and counts them.
func (c *cursor) fetch(ctx context.Context, f *syntax.FetchCursor, emit func([]datum.Datum) error) (int64, error) {
	count := f.Count
	switch f.Direction {
	case syntax.FetchAbsolute:
		return c.absolute(ctx, count, emit)
	case syntax.FetchRelative:
		if count == 0 {
			return c.again(emit)
		}
		return c.relative(ctx, count, emit)
	case syntax.FetchBackward:
		if count == 0 {
			return c.again(emit)
		}
		return c.several(ctx, -count, emit)
	default:
		if count == 0 {
			return c.again(emit)
		}
		return c.several(ctx, count, emit)
	}
}

// step goes one row on, or back.
func (c *cursor) step(ctx context.Context, back bool) ([]datum.Datum, error) {
	if err := ctx.Err(); err != nil { // who reads what is kept meets it nowhere else
		return nil, err
	}
	if back {
		return c.backward()
	}
	return c.forward(ctx)
}

// several gives count rows, those before if it is negative.
func (c *cursor) several(ctx context.Context, count int64, emit func([]datum.Datum) error) (n int64, err error) {
	back := count < 0
	if back {
		count = -count
	}
	for ; n < count; n++ {
		row, err := c.step(ctx, back)
		if row == nil || err != nil {
			return n, err
		}
		if err := emit(row); err != nil {
			return n, err
		}
	}
	return n, nil
}

// relative gives the row that is count rows on.
func (c *cursor) relative(ctx context.Context, count int64, emit func([]datum.Datum) error) (int64, error) {
	back := count < 0
	var row []datum.Datum
	var err error
	for i := int64(0); i < max(count, -count); i++ {
		if row, err = c.step(ctx, back); row == nil || err != nil {
			return 0, err
		}
	}
	return 1, emit(row)
}

// absolute gives row count, from the last backward if it is negative.
func (c *cursor) absolute(ctx context.Context, count int64, emit func([]datum.Datum) error) (int64, error) {
	if count < 0 {
		for c.at <= c.known() {
			if _, err := c.forward(ctx); err != nil {
				return 0, err
			}
		}
		count = max(c.known()+1+count, 0)
	}
	switch {
	case count > c.at:
		return c.relative(ctx, count-c.at, emit)
	case count == 0 && c.at == 0:
		return 0, nil
	case !c.back:
		return 0, errForwardOnly()
	}
	if c.at = min(count, c.known()+1); count == 0 {
		return 0, nil
	}
	return c.again(emit)
}

// again gives the row that the cursor is on.
func (c *cursor) again(emit func([]datum.Datum) error) (int64, error) {
	switch {
	case c.at == 0 || c.at > c.known():
		return 0, nil
	case !c.back:
		return 0, errForwardOnly()
	}
	row, err := c.rows.at(c.at - 1)
	if err != nil {
		return 0, err
	}
	return 1, emit(row)
}

// fetch runs FETCH and MOVE.
func (s *Session) fetch(ctx context.Context, node *syntax.FetchCursor, sink RowSink) (tag string, err error) {
	c, ok := s.cursors[node.Name]
	switch {
	case !ok:
		return "", errNoCursor(node.Name)
	case c.failed:
		return "", &Error{Code: "55000", Message: fmt.Sprintf("portal %q cannot be run", c.name)}
	}
	defer func() { c.failed = err != nil && !errors.Is(err, ErrRowsUnread) }()
	if node.Move {
		n, err := c.fetch(ctx, node, func([]datum.Datum) error { return nil })
		return "MOVE " + strconv.FormatInt(n, 10), err
	}
	if err := sink.Describe(c.columns); err != nil {
		return "", err
	}
	n, err := c.fetch(ctx, node, sink.Row)
	return "FETCH " + strconv.FormatInt(n, 10), err
}

func errNoCursor(name string) error {
	return &Error{Code: "34000", Message: fmt.Sprintf("cursor %q does not exist", name)}
}

// describeFetch says what rows FETCH gives, as far as there is a cursor by now.
func (s *Session) describeFetch(p *Prepared, node *syntax.FetchCursor) {
	if c, ok := s.cursors[node.Name]; ok && !node.Move {
		p.Columns, p.Binary = c.columns, c.binary
	}
}

// Redescribed is p for another portal: what FETCH gives is known when its cursor is there,
// and that may be a later one than when p was prepared.
func (s *Session) Redescribed(p *Prepared) *Prepared {
	node, ok := p.statement.Node.(*syntax.FetchCursor)
	if !ok {
		return p
	}
	fresh := &Prepared{statement: p.statement}
	s.describeFetch(fresh, node)
	return fresh
}

// Moves is what a MOVE that goes forward says: the cursor, which may be a portal of the
// protocol, and how many rows.
func (p *Prepared) Moves() (name string, rows int64, ok bool) {
	if p.statement == nil {
		return "", 0, false
	}
	f, ok := p.statement.Node.(*syntax.FetchCursor)
	if !ok || !f.Move || f.Direction != syntax.FetchForward || f.Count < 0 {
		return "", 0, false
	}
	return f.Name, f.Count, true
}

// closeCursor runs CLOSE.
func (s *Session) closeCursor(node *syntax.CloseCursor) (string, error) {
	if node.All {
		s.closeCursors(func(*cursor) bool { return true })
		return "CLOSE CURSOR ALL", nil
	}
	c, ok := s.cursors[node.Name]
	if !ok {
		return "", errNoCursor(node.Name)
	}
	s.closeCursors(func(o *cursor) bool { return o == c })
	return "CLOSE CURSOR", nil
}

// closeCursors closes those that are to go.
func (s *Session) closeCursors(goes func(*cursor) bool) {
	for _, c := range s.openCursors() {
		if goes(c) {
			delete(s.cursors, c.name)
			c.close()
		}
	}
}

// openCursors are the cursors of the session, the oldest first.
func (s *Session) openCursors() []*cursor {
	var out []*cursor
	for _, c := range s.cursors {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *cursor) int { return a.number - b.number })
	return out
}

// settleCursors prepares cursors for another statement of the session: what it writes they
// must not see, and a session does one thing at a time.
func (s *Session) settleCursors(ctx context.Context, node syntax.Node) {
	if len(s.cursors) == 0 {
		return
	}
	except := ""
	switch node := node.(type) {
	case *syntax.Begin, *syntax.Commit, *syntax.Rollback, *syntax.Savepoint, *syntax.Release, *syntax.SetTransaction, *syntax.ShowSetting,
		*syntax.SetSetting, *syntax.CloseCursor, *syntax.Discard, *syntax.PrepareStatement, *syntax.Deallocate:
		return
	case *syntax.FetchCursor:
		except = node.Name
	}
	for _, c := range s.openCursors() {
		if c.name != except {
			c.readAhead(ctx)
		}
	}
}

// holdCursors has those that outlive the transaction be ready for its end.
func (s *Session) holdCursors(ctx context.Context) error {
	for _, c := range s.openCursors() {
		if c.hold && c.young {
			if c.readAhead(ctx); c.err != nil {
				return c.err
			}
		}
	}
	return nil
}

// endCursors ends what does not outlive its transaction.
func (s *Session) endCursors(rollback bool) {
	s.closeCursors(func(c *cursor) bool { return c.young && (rollback || !c.hold) })
	for _, c := range s.cursors {
		c.young = false
	}
}

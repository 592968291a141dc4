package exec

import (
	"context"

	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// windowBytes is how much of an INSERT ... SELECT is collected before it is written.
// One window is written while the next one fills, so such a statement holds twice
// that, however many rows it has; up to one window it is like one with VALUES:
// nothing is written before all rows are known.
const windowBytes = 8 << 20

// streams reports whether ins may be written while its source is read: a
// transaction is buffered anyway, and ON CONFLICT DO UPDATE has to know that no row
// comes twice.
func (r *Run) streams(ins *queryplan.Insert) bool {
	return r.Tx == nil && (ins.Select != nil || ins.Slow != nil) && (ins.Conflict == nil || ins.Conflict.Set == nil)
}

// stream is an INSERT ... SELECT under way.
type stream struct {
	run *Run
	ins *queryplan.Insert

	rows  []proposed // of the window that fills
	bytes int
	held  int64 // of the Run's memory, for rows
	seen  int   // rows of the source so far

	// under is the window that is being written; nil: none.
	under chan windowDone
	// written counts the rows of the windows that have ended, whatever their error.
	written int
}

// windowDone is what became of a window.
type windowDone struct {
	writes  []*rowWrite
	held    int64
	written int
	err     error
}

// insertStream runs an INSERT ... SELECT in windows.
func (r *Run) insertStream(ctx context.Context, ins *queryplan.Insert, slow SlowRows) (int64, error) {
	if err := r.Pin(ctx); err != nil { // the source must not meet what is written here
		return 0, err
	}
	s := &stream{run: r, ins: ins}
	err := r.propose(ctx, ins, slow, func(p proposed) error { return s.add(ctx, p) })
	if err == nil {
		err = s.flush(ctx)
	}
	if ended := s.wait(); err == nil {
		err = ended
	}
	if err != nil {
		return 0, finish(err, s.written, s.seen)
	}
	return int64(s.written), nil
}

func (s *stream) add(ctx context.Context, p proposed) error {
	if s.seen++; s.bytes >= windowBytes {
		if err := s.flush(ctx); err != nil {
			return err
		}
	}
	if err := s.hold(ctx, heldRow(p.row)); err != nil {
		return err
	}
	s.rows = append(s.rows, p)
	s.bytes += len(p.key) + rowBytes(p.row)
	return nil
}

// hold takes memory for a row; if there is none, once what is held is written.
func (s *stream) hold(ctx context.Context, n int64) error {
	err := s.run.Memory.Grow(n)
	if err != nil && (len(s.rows) > 0 || s.under != nil) {
		if err := s.flush(ctx); err != nil {
			return err
		}
		if err := s.wait(); err != nil {
			return err
		}
		err = s.run.Memory.Grow(n)
	}
	if err == nil {
		s.held += n
	}
	return err
}

// flush begins to write the window, once the one before is written.
func (s *stream) flush(ctx context.Context) error {
	rows := s.rows
	s.rows, s.bytes = nil, 0
	if err := s.wait(); err != nil || len(rows) == 0 {
		return err
	}
	held := s.held
	s.held = 0
	if s.ins.Conflict != nil {
		defer s.run.Memory.Shrink(held)
		return s.upsert(ctx, rows)
	}
	writes := insertions(s.ins.Table, rows)
	if err := refuseRepeated(s.ins.Table, writes); err != nil {
		return err
	}
	s.under = make(chan windowDone, 1)
	go func() { // wait hears of its end, on every way out
		written, err := s.run.insertRows(ctx, s.ins.Table, writes)
		s.under <- windowDone{writes: writes, held: held, written: written, err: err}
	}()
	return nil
}

// wait ends the window that is being written, and gives its rows to RETURNING.
func (s *stream) wait() error {
	if s.under == nil {
		return nil
	}
	done := <-s.under
	s.under = nil
	s.written += done.written
	defer s.run.Memory.Shrink(done.held)
	if done.err != nil {
		return done.err
	}
	return s.run.returning(s.ins.Returning, results(done.writes))
}

// upsert inserts the rows of a window that are not there (ON CONFLICT DO NOTHING).
func (s *stream) upsert(ctx context.Context, rows []proposed) error {
	rows, err := distinct(rows, s.ins)
	if err != nil {
		return err
	}
	n, err := s.run.upsert(ctx, s.ins, rows)
	s.written += int(n)
	return err
}

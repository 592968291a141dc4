package exec

import (
	"context"
	"errors"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

const (
	// commandBytes and commandRows bound what a statement writes by one command: more
	// would keep others from the range's log for too long.
	commandBytes = 1 << 20
	commandRows  = 4096
	// maxRows and maxBytes bound what one statement changes, and what a transaction
	// buffers: it is held in memory.
	maxRows  = 1_000_000
	maxBytes = 256 << 20
	// maxRowBytes bounds one row, with its key: it must fit into a command.
	maxRowBytes = 3 << 20
)

// checkRow refuses a row that could not be written.
func checkRow(table *catalog.Table, key, value []byte) error {
	n := len(key) + len(value)
	if n <= maxRowBytes {
		return nil
	}
	return &syntax.Error{Code: "54000", Message: fmt.Sprintf("a row may have at most %d MiB, this one has %.1f", maxRowBytes>>20, float64(n)/(1<<20)),
		Hint: "Split large values over several rows.", Table: table.Name()}
}

// rowWrite is one row that a statement writes outside of a transaction.
type rowWrite struct {
	mut     kv.Mutation
	entries []entry // of a new row
	// returned is what RETURNING says of it; nil: nothing.
	returned []datum.Datum
}

// size is about how much of a command the write is.
func (w *rowWrite) size() int {
	n := len(w.mut.Key) + len(w.mut.Value) + 32
	for i := range w.entries {
		n += len(w.entries[i].key) + len(w.entries[i].value) + 32
	}
	return n
}

// held is about how much memory it takes.
func (w *rowWrite) held() int64 { return int64(w.size() + rowBytes(w.returned) + perRow) }

// errSeveral says that the rows are not written by one command: they are in several
// ranges, or too many, or others have locked some of them, so that it takes a
// transaction that waits.
var errSeveral = errors.New("the rows are not written by one command") //nolint:gochecknoglobals // a sentinel

// inRange writes rows of one range by one command, all or none. They are computed anew
// for as long as others write them meanwhile.
func (r *Run) inRange(ctx context.Context, table *catalog.Table, compute func() ([]*rowWrite, error)) ([]*rowWrite, error) {
	var place kv.Place // kept at the range's leader since the write lost
	defer func() { r.giveUp(place) }()
	for {
		before := r.Memory.Used()
		writes, err := compute()
		if err != nil || len(writes) == 0 {
			return nil, err
		}
		muts, err := r.command(table, writes)
		if err != nil {
			return nil, err
		}
		in := place
		place = kv.Place{}
		_, err = r.DB.Write(ctx, muts, kv.WriteOptions{OneRange: true, Writer: r.Writer, Keep: true, Yield: true, Place: in})
		var condition *kv.ConditionError
		var multi *kv.MultiRangeError
		switch {
		case err == nil:
			return writes, nil
		case errors.As(err, &multi), isBlocked(err): // it was split meanwhile, or is locked
			return nil, errSeveral
		case !errors.As(err, &condition):
			return nil, fmt.Errorf("write rows: %w", err)
		}
		place = condition.Place
		r.Memory.Shrink(r.Memory.Used() - before)
	}
}

// isBlocked reports whether a write found rows that others have locked.
func isBlocked(err error) bool {
	var blocked *kv.BlockedError
	return errors.As(err, &blocked)
}

// direct reports whether a statement outside of a transaction may do without locks of its
// own, as long as nobody has any. With lock_timeout it waits for them by itself.
func (r *Run) direct() bool { return r.Level != serializable && r.Waiting.Lock == 0 }

// giveUp gives a place up that nothing was written in. Nobody waits for that.
func (r *Run) giveUp(p kv.Place) {
	if p.Kept() {
		go r.DB.GiveUp(context.Background(), p) // ends with its one attempt
	}
}

// command makes one command of the writes, or returns errSeveral.
func (r *Run) command(table *catalog.Table, writes []*rowWrite) ([]kv.Mutation, error) {
	muts, err := r.mutations(table, writes)
	if err != nil {
		return nil, err
	}
	bytes := 0
	var in cluster.RangeID
	for i := range muts {
		m := &muts[i]
		rng := r.DB.RangeOf(m.Pool, m.Collection, m.Key)
		if bytes += len(m.Key) + len(m.Value) + 32; i > 0 && (rng != in || bytes > commandBytes) || len(muts) > commandRows {
			return nil, errSeveral
		}
		in = rng
	}
	return muts, nil
}

// keysInOne returns the keys that an access names, if they are few and of one range.
func (r *Run) keysInOne(table *catalog.Table, a *queryplan.Access) (keys [][]byte, one bool, err error) {
	if !a.ByKey() {
		return nil, false, nil
	}
	if keys, err = a.Keys(r.Env); err != nil || len(keys) == 0 || len(keys) > commandRows {
		return keys, err == nil && len(keys) == 0, err
	}
	in := r.DB.RangeOf(table.Pool(), table.ID(), keys[0])
	for _, k := range keys[1:] {
		if r.DB.RangeOf(table.Pool(), table.ID(), k) != in {
			return nil, false, nil
		}
	}
	return keys, true, nil
}

// atomic runs what a statement writes as a transaction of its own, anew if it loses
// against others: nothing of it was written then, nor was anything told to the client.
func (r *Run) atomic(ctx context.Context, fn func(in *Run) ([][]datum.Datum, int64, error)) ([][]datum.Datum, int64, error) {
	for {
		before := r.Memory.Used()
		results, n, err := r.once(ctx, fn)
		var conflict *txn.ConflictError
		if !errors.As(err, &conflict) || ctx.Err() != nil {
			return results, n, err
		}
		r.Memory.Shrink(r.Memory.Used() - before)
	}
}

func (r *Run) once(ctx context.Context, fn func(in *Run) ([][]datum.Datum, int64, error)) ([][]datum.Datum, int64, error) {
	in := *r
	in.TS = 0
	in.Tx = NewTx(r.DB, TxOptions{Writer: r.Writer, Info: r.Info, Memory: r.Memory, Planted: r.Planted})
	in.Tx.Begin(r.Level)
	defer in.Tx.Close()
	in.work, in.Deferred = &keyWork{}, nil // the statement is the transaction
	results, n, err := fn(&in)
	if err == nil {
		err = in.settleKeys(ctx)
	}
	if err == nil {
		err = in.Tx.Commit(ctx, CommitOptions{})
	}
	return results, n, err
}

// returned evaluates the RETURNING list for a row, nil if there is none.
func (r *Run) returned(list []queryplan.Expr, row []datum.Datum) ([]datum.Datum, error) {
	if list == nil {
		return nil, nil
	}
	out := make([]datum.Datum, len(list))
	r.Env.Row = row
	for i, e := range list {
		var err error
		if out[i], err = e.Eval(r.Env); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// emit gives the rows of RETURNING, if there is one.
func (r *Run) emit(list []queryplan.Expr, rows [][]datum.Datum) error {
	if list == nil {
		return nil
	}
	for _, row := range rows {
		if err := r.Emit(row); err != nil {
			return err
		}
	}
	return nil
}

// emitOf gives what RETURNING says of the writes.
func (r *Run) emitOf(list []queryplan.Expr, writes []*rowWrite) error {
	rows := make([][]datum.Datum, len(writes))
	for i, w := range writes {
		rows[i] = w.returned
	}
	return r.emit(list, rows)
}

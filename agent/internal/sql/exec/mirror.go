package exec

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// mirrored appends to muts what a mutation of a table is in the place that the table is on
// its way to: the same, on no condition, since those of the place where it is keep others
// away. It comes after all mutations that have conditions, whose numbers tell what failed.
// While some may write who do not know of the move, nothing is left there that they could
// change: it is copied later.
func (p Planted) mirrored(muts []kv.Mutation, table *catalog.Table, m *kv.Mutation) ([]kv.Mutation, error) {
	to, moves := table.MovesTo()
	if !moves || p.missesNewPlace() {
		return muts, nil
	}
	twin := *m
	twin.Pool, twin.Collection, twin.Expect, twin.ExpectTS = to.Pool, to.ID, datastate.Any, 0
	if table.Owner().Desc.Collection.Move.State == cluster.ElementDeleteOnly && !p.movesAtOnce() {
		twin.Delete, twin.Value = true, nil
	}
	if !twin.Delete && !p.copiesOldTypes() {
		becomes, err := queryplan.ConversionOf(table)
		if err == nil && becomes != nil {
			twin.Value, err = becomes.Value(twin.Key, twin.Value)
		}
		if err != nil {
			return nil, err
		}
	}
	return append(muts, twin), nil
}

// place is where rows of a table are that are read at ts, 0: as they are now. Those of
// before it was moved are where they were.
func (r *Run) place(table *catalog.Table, ts hlc.Timestamp) (cluster.Place, error) {
	rows, now := table.Desc.Collection, cluster.Place{Pool: table.Pool(), ID: table.ID()}
	if rows.Left == nil {
		return now, nil
	}
	if r.Tx != nil {
		if b := r.Tx.tables[rows.Left.ID]; b != nil && len(b.rows) > 0 {
			return now, &txn.ConflictError{Reason: fmt.Sprintf("table %q was moved to another pool since the transaction has written to it", table.Name())}
		}
	}
	switch past := ts != 0 && ts < hlc.Timestamp(rows.Since); {
	case past && rows.LeftTypes && r.Tx != nil && r.Tx.past == 0:
		return now, &txn.ConflictError{Reason: fmt.Sprintf("columns of table %q have become of other types since the transaction began", table.Name())}
	case past && rows.LeftTypes:
		return now, &syntax.Error{Code: "0A000", Message: fmt.Sprintf("columns of table %q had other types at the time that is read", table.Name()), Hint: "Read it as of a later time."}
	case past:
		return *rows.Left, nil
	}
	return now, nil
}

package sql

import (
	"fmt"
	"time"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// reading is how a statement reads. What came together with others and is in no block
// reads as it would alone, as long as nothing was written: so it does not matter
// whether a client sends its Sync in the same packet.
//
// ts is the time that the statement, or its transaction, names; 0: none.
func (s *Session) reading(plan *queryplan.Plan, q *syntax.Query, env *queryplan.Env) (r kv.Reading, ts hlc.Timestamp, err error) {
	if ts, err = s.asOf(q, env); err != nil || ts != 0 {
		return kv.Reading{Consistency: kv.AsOf}, ts, err
	}
	r = kv.Reading{
		Writes: plan.With != nil || plan.Insert != nil || plan.Change != nil || plan.Instead != nil || plan.Merge != nil,
		Locks:  plan.Locks() != nil,
	}
	if s.tx != nil && !s.modes.readOnly {
		r.InTransaction = s.block || s.depth > 0 || s.tx.Wrote(nil) || s.modes.level() != txn.ReadCommitted
	}
	r.Consistency, r.Within = s.settings.Consistency()
	return r, 0, nil
}

// asOf is the time at which a statement is to read, if it, or its transaction, says so.
func (s *Session) asOf(q *syntax.Query, env *queryplan.Env) (hlc.Timestamp, error) {
	switch {
	case q.AsOf == nil && s.tx != nil:
		return s.modes.asOf, nil
	case q.AsOf == nil:
		return 0, nil
	case s.tx != nil && (s.block || s.tx.Wrote(nil)):
		return 0, &Error{Code: "0A000", Message: "AS OF SYSTEM TIME is for a whole transaction, or for a statement outside of one", Hint: "Say it at BEGIN."}
	}
	return s.pastTime(q.AsOf, env)
}

// pastTime evaluates AS OF SYSTEM TIME.
func (s *Session) pastTime(n *pg.Node, env *queryplan.Env) (hlc.Timestamp, error) {
	t, err := queryplan.AsOf(env, n)
	switch {
	case err != nil:
		return 0, err
	case t.After(env.Statement):
		return 0, &Error{Code: "22023", Message: "AS OF SYSTEM TIME must not be in the future", Detail: fmt.Sprintf("It is %s from now.", t.Sub(env.Statement).Round(time.Millisecond)),
			Hint: "An interval counts from now: a negative one, such as '-10s', is in the past."}
	case t.UnixMilli() <= 0:
		return 0, &Error{Code: "22023", Message: "AS OF SYSTEM TIME must not be before 1970"}
	}
	return hlc.New(t), nil
}

package queryplan

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Locking is FOR UPDATE and its like: the rows are locked before they are given out.
type Locking struct {
	Strength lock.Strength
	Wait     evaluation.Wait
}

// String is the clause as SQL has it.
func (l *Locking) String() string {
	return l.Strength.String() + [...]string{evaluation.Block: "", evaluation.NoWait: " NOWAIT", evaluation.SkipLocked: " SKIP LOCKED"}[l.Wait]
}

func strengthOf(s pg.LockClauseStrength) lock.Strength {
	switch s {
	case pg.LockClauseStrength_LCS_FORKEYSHARE:
		return lock.KeyShare
	case pg.LockClauseStrength_LCS_FORSHARE:
		return lock.Share
	case pg.LockClauseStrength_LCS_FORNOKEYUPDATE:
		return lock.NoKeyUpdate
	default:
		return lock.Update
	}
}

// strongest is the strength of several clauses for one table.
func strongest(clauses []*pg.Node) lock.Strength {
	var out lock.Strength
	for _, n := range clauses {
		out = max(out, strengthOf(n.GetLockingClause().GetStrength()))
	}
	return out
}

// refuseLocking refuses what no row of a table stands behind, in PostgreSQL's words.
func refuseLocking(s *pg.SelectStmt) error {
	if len(s.GetLockingClause()) == 0 {
		return nil
	}
	// The first clause is the one that is named.
	words := strengthOf(s.GetLockingClause()[0].GetLockingClause().GetStrength()).String()
	var what string
	switch {
	case s.GetOp() != pg.SetOperation_SETOP_NONE:
		what = "UNION/INTERSECT/EXCEPT"
	case len(s.GetValuesLists()) > 0:
		return fail("0A000", 0, "%s cannot be applied to VALUES", words)
	case len(s.GetDistinctClause()) > 0:
		what = "DISTINCT clause"
	case len(s.GetGroupClause()) > 0:
		what = "GROUP BY clause"
	case s.GetHavingClause() != nil:
		what = "HAVING clause"
	case len(s.GetWindowClause()) > 0 || calls(s.GetTargetList(), func(f *pg.FuncCall) bool { return f.GetOver() != nil }):
		what = "window functions"
	case calls(s.GetTargetList(), aggregates):
		what = "aggregate functions"
	default:
		return nil
	}
	return fail("0A000", 0, "%s is not allowed with %s", words, what)
}

// calls reports whether an item of a list, or an argument of a call in it, is a call
// that is wanted.
func calls(list []*pg.Node, wanted func(*pg.FuncCall) bool) bool {
	for _, n := range list {
		if t := n.GetResTarget(); t != nil {
			n = t.GetVal()
		}
		switch f := n.GetFuncCall(); {
		case f != nil && (wanted(f) || calls(f.GetArgs(), wanted)):
			return true
		case n.GetTypeCast() != nil && calls([]*pg.Node{n.GetTypeCast().GetArg()}, wanted):
			return true
		case n.GetAExpr() != nil && calls([]*pg.Node{n.GetAExpr().GetLexpr(), n.GetAExpr().GetRexpr()}, wanted):
			return true
		}
	}
	return false
}

func aggregates(f *pg.FuncCall) bool {
	if f.GetAggStar() || f.GetAggDistinct() || f.GetAggFilter() != nil {
		return true
	}
	if len(f.GetFuncname()) == 0 {
		return false
	}
	switch f.GetFuncname()[len(f.GetFuncname())-1].GetString_().GetSval() {
	case "count", "sum", "avg", "min", "max", "array_agg", "string_agg", "bool_and", "bool_or", "every", "json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg",
		"stddev", "variance", "bit_and", "bit_or":
		return true
	}
	return false
}

// locking finds what a SELECT of one table locks. Where several clauses name the table
// the strongest holds, and NOWAIT goes before SKIP LOCKED.
func locking(s *pg.SelectStmt, from *scope) (*Locking, error) {
	var out *Locking
	for _, n := range s.GetLockingClause() {
		clause := n.GetLockingClause()
		if err := lockedRelations(clause, from); err != nil {
			return nil, err
		}
		if out == nil {
			out = &Locking{Wait: evaluation.Block}
		}
		out.Strength = max(out.Strength, strengthOf(clause.GetStrength()))
		switch clause.GetWaitPolicy() {
		case pg.LockWaitPolicy_LockWaitError:
			out.Wait = evaluation.NoWait
		case pg.LockWaitPolicy_LockWaitSkip:
			if out.Wait == evaluation.Block {
				out.Wait = evaluation.SkipLocked
			}
		}
	}
	return out, nil
}

// lockedRelations looks for the names after OF in FROM.
func lockedRelations(clause *pg.LockingClause, from *scope) error {
	for _, n := range clause.GetLockedRels() {
		name := n.GetRangeVar().GetRelname()
		found := false
		if from != nil {
			for _, r := range from.relations {
				found = found || r.alias == name
			}
		}
		if !found {
			return fail("42P01", syntax.Position(n.GetRangeVar().GetLocation()), "relation %q in %s clause not found in FROM clause", name, strengthOf(clause.GetStrength()))
		}
	}
	return nil
}

// Locks is what a SELECT locks, itself or by its WITH; nil: nothing.
func (p *Plan) Locks() *Locking {
	switch {
	case p.Select != nil:
		return p.Select.Lock
	case p.With == nil || len(p.With.Changing()) > 0:
		return nil
	}
	for _, part := range p.With.Parts {
		if part.Read && part.Plan.Select != nil && part.Plan.Select.Lock != nil {
			return part.Plan.Select.Lock
		}
	}
	return nil
}

package sql

import (
	"context"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// hiddenStatement is what PostgreSQL shows in the place of a statement that is not for
// the user to see.
const hiddenStatement = "<insufficient privilege>"

// seesAll reports whether the user may see the statements of others: as in the admin API.
func (s *Session) seesAll() bool {
	return strength(s.adminRole(s.server.catalog.View())) >= strength(roleOperator)
}

// warnMissing says which nodes are left out of what is shown.
func (s *Session) warnMissing(what string, missing []cluster.NodeID) {
	if len(missing) > 0 {
		s.notice("WARNING", "01000", "the %s of %s are not shown: no answer", what, nodeNames(missing).Text())
	}
}

// allSessions are the sessions of all nodes as far as the user may see them. Those of
// nodes that do not answer are left out, with a warning.
func (s *Session) allSessions(ctx context.Context) []cluster.Session {
	found, missing := s.server.cfg.Views.Sessions(ctx)
	s.warnMissing("sessions", missing)
	all := s.seesAll()
	for i := range found {
		if x := &found[i]; !all && x.User != s.options.User {
			x.Statement, x.Client = hiddenStatement, ""
		}
	}
	return found
}

// allTransactions are the same of transactions.
func (s *Session) allTransactions(ctx context.Context) []cluster.Transaction {
	found, missing := s.server.cfg.Views.Transactions(ctx)
	s.warnMissing("transactions", missing)
	all := s.seesAll()
	for i := range found {
		if t := &found[i]; !all && t.User != s.options.User {
			t.Statement = hiddenStatement
		}
	}
	return found
}

// allLocks are the locks of all transactions.
func (s *Session) allLocks(ctx context.Context) []cluster.RowLock {
	found, missing := s.server.cfg.Views.Locks(ctx)
	s.warnMissing("locks", missing)
	return found
}

// textOrNull is a text; the empty one is NULL.
func textOrNull(s string) datum.Datum {
	if s == "" {
		return datum.MakeNull(datum.Text)
	}
	return datum.MakeText(s)
}

func sessionRows(sessions []cluster.Session) [][]datum.Datum {
	out := make([][]datum.Datum, 0, len(sessions))
	for i := range sessions {
		x := &sessions[i]
		out = append(out, []datum.Datum{number(x.PID), datum.MakeText(x.Node.String()), datum.MakeText(x.User), textOrNull(x.Application), textOrNull(x.Client),
			datum.MakeText(string(x.State)), momentOf(x.Since), momentOf(x.Began), momentOf(x.TransactionAt), momentOf(x.StatementAt), textOrNull(x.Statement)})
	}
	return out
}

func transactionRows(txns []cluster.Transaction) [][]datum.Datum {
	out := make([][]datum.Datum, 0, len(txns))
	for i := range txns {
		t := &txns[i]
		pid := datum.MakeNull(datum.Int8)
		if t.PID != 0 {
			pid = number(t.PID)
		}
		ids := make([]string, len(t.WaitsFor))
		for k, w := range t.WaitsFor {
			ids[k] = w.ID
		}
		out = append(out, []datum.Datum{textOrNull(t.ID), datum.MakeText(t.Node.String()), pid, textOrNull(t.User), textOrNull(t.Application),
			datum.MakeText(string(t.State)), textOrNull(t.Isolation), momentOf(t.Began), number(t.Locks), number(t.Ranges), momentOf(t.WaitsSince),
			textOrNull(strings.Join(ids, ",")), textOrNull(pids(t.WaitsFor)), textOrNull(pids(t.Blocks)), textOrNull(t.Statement)})
	}
	return out
}

// pids are the sessions of transactions, as far as they are known.
func pids(refs []cluster.TransactionRef) string {
	var out []string
	for _, r := range refs {
		if r.PID != 0 {
			out = append(out, strconv.FormatUint(uint64(r.PID), 10))
		}
	}
	return strings.Join(out, ",")
}

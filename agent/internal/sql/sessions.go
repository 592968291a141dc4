package sql

import (
	"context"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/clusterview"
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
		s.notice("WARNING", "01000", "the %s of %s are not shown: no answer", what, clusterview.NodeNames(missing).Text())
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
			x.Statement, x.Client, x.Copy = hiddenStatement, "", nil
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

package agent

import (
	"time"

	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/sql"
)

// sqlSessions are the node's SQL sessions as a drain sees them.
type sqlSessions struct{ n *Node }

// adminShutdown is what a session of a draining node is told, as PostgreSQL says it.
func adminShutdown() *sql.Error {
	return &sql.Error{Code: "57P01", Severity: "FATAL", Message: "terminating connection: this node is being drained", Hint: "Connect to another node."}
}

// SetDraining implements operation.SQL.
func (s *sqlSessions) SetDraining(on bool) {
	if srv := s.n.sql.Load(); srv != nil {
		srv.SetDraining(on)
	}
}

// CloseIdle implements operation.SQL.
func (s *sqlSessions) CloseIdle() {
	if p := s.n.pgwire.Load(); p != nil {
		p.EndSessions(adminShutdown())
	}
}

// CloseAll implements operation.SQL.
func (s *sqlSessions) CloseAll() {
	p := s.n.pgwire.Load()
	if p == nil {
		return
	}
	for _, info := range s.n.sql.Load().Sessions() {
		p.EndSession(info.PID, adminShutdown(), true)
	}
}

// Blockers implements operation.SQL.
func (s *sqlSessions) Blockers() []operation.Blocker {
	srv := s.n.sql.Load()
	if srv == nil {
		return nil
	}
	var out []operation.Blocker
	for _, info := range srv.Sessions() {
		out = append(out, operation.Blocker{PID: info.PID, User: info.User, Application: info.ApplicationName, Since: info.Since.Round(time.Millisecond), Query: info.QueryHead})
	}
	return out
}

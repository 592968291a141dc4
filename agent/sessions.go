package agent

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/pgwire"
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

// methodCancel ends the statement of a session on the node that is called.
const methodCancel = "sql.cancel"

type cancelRequest struct {
	PID uint32 `json:"pid"`
	Key []byte `json:"key"`
}

// forwardCancel hands a cancel request to the node that has the session.
func (n *Node) forwardCancel(ctx context.Context, pid uint32, key []byte) {
	payload, err := json.Marshal(cancelRequest{PID: pid, Key: key})
	if err != nil {
		n.logger.Error("a cancel request cannot be encoded", logattr.Err(err))
		return
	}
	for _, id := range cancelTargets(n.others(), pid, n.suspects) {
		if _, err := n.transport.Call(ctx, id, methodCancel, payload); err != nil {
			n.logger.Debug("cancel request not forwarded", logattr.Peer(id), logattr.Err(err))
		}
	}
}

// cancelTargets are the nodes that may have the session. One that seems to be gone is
// not waited for: its sessions are gone with it, and whoever can reach the port could
// keep all requests to living nodes waiting behind those to a dead one.
func cancelTargets(others []cluster.NodeID, pid uint32, suspected func(cluster.NodeID) bool) []cluster.NodeID {
	return slices.DeleteFunc(slices.Clone(others), func(id cluster.NodeID) bool { return !pgwire.PIDOnNode(pid, uint32(id)) || suspected(id) })
}

// sessionMethods answer the other nodes.
func (n *Node) sessionMethods() map[string]method {
	return map[string]method{
		methodCancel: func(_ context.Context, _ cluster.NodeID, payload []byte) ([]byte, error) {
			var r cancelRequest
			if err := json.Unmarshal(payload, &r); err != nil {
				return nil, err
			}
			if p := n.pgwire.Load(); p != nil {
				p.Cancel(r.PID, r.Key)
			}
			return nil, nil
		},
	}
}

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
	for _, x := range s.n.sessions() {
		p.EndSession(x.PID, adminShutdown(), true)
	}
}

// Blockers implements operation.SQL.
func (s *sqlSessions) Blockers() []operation.Blocker {
	var out []operation.Blocker
	for _, x := range s.n.sessions() {
		out = append(out, operation.Blocker{PID: x.PID, User: x.User, Application: x.Application, State: x.State, InTransaction: !x.TransactionAt.IsZero(), Since: x.Busy(), Query: x.Statement})
	}
	return out
}

// sessions are the SQL sessions of this node, with which of them wait for locks.
func (n *Node) sessions() []cluster.Session {
	out := n.sqlSessions()
	blocked := map[uint32]bool{}
	for _, t := range n.txns.List() {
		if len(t.WaitsFor) > 0 {
			blocked[t.Info.PID] = true
		}
	}
	for i := range out {
		out[i].Blocked = out[i].State == cluster.SessionActive && blocked[out[i].PID]
	}
	return out
}

// sqlSessions are the same as SQL has them.
func (n *Node) sqlSessions() []cluster.Session {
	if srv := n.sql.Load(); srv != nil {
		return srv.Sessions()
	}
	return nil
}

const (
	methodCancel   = "sql.cancel"   // ends the statement of a session on the node that is called, as its client wants
	methodSessions = "sql.sessions" // lists the sessions of the node that is called
	methodEnd      = "sql.end"      // ends a session there, or its statement, as an operator wants
)

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

// endRequest asks for the end of a session, or of its statement.
type endRequest struct {
	PID       uint32 `json:"pid"`
	Terminate bool   `json:"terminate,omitempty"`
}

// endReply says what came of it.
type endReply struct {
	There bool `json:"there"` // there is such a session
	Ended bool `json:"ended"` // it ends, or its statement does
}

// terminated is what a session is told that an operator ends, as PostgreSQL says it.
func terminated() *sql.Error {
	return &sql.Error{Code: "57P01", Severity: "FATAL", Message: "terminating connection due to administrator command"}
}

// endSession ends a session of this node, or its statement.
func (n *Node) endSession(r endRequest) endReply {
	p := n.pgwire.Load()
	if p == nil {
		return endReply{}
	}
	if r.Terminate {
		there := p.EndSession(r.PID, terminated(), true)
		return endReply{There: there, Ended: there}
	}
	there, ran := p.CancelStatement(r.PID)
	return endReply{There: there, Ended: ran}
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
		methodNotify:   n.notified,
		methodSessions: func(context.Context, cluster.NodeID, []byte) ([]byte, error) { return json.Marshal(n.sessions()) },
		methodEnd: func(_ context.Context, _ cluster.NodeID, payload []byte) ([]byte, error) {
			var r endRequest
			if err := json.Unmarshal(payload, &r); err != nil {
				return nil, err
			}
			return json.Marshal(n.endSession(r))
		},
	}
}

// Sessions implements admin.Sessions.
func (b *backend) Sessions(ctx context.Context, perNode time.Duration) (map[cluster.NodeID][]cluster.Session, []cluster.NodeID) {
	return askNodes(ctx, b.n, perNode, methodSessions, nil, b.n.sessions)
}

// EndSession implements admin.Sessions.
func (b *backend) EndSession(ctx context.Context, node cluster.NodeID, pid uint32, terminate bool) (there, ended bool, err error) {
	r := endRequest{PID: pid, Terminate: terminate}
	if node == b.n.id.Node {
		reply := b.n.endSession(r)
		return reply.There, reply.Ended, nil
	}
	payload, err := json.Marshal(r)
	if err != nil {
		return false, false, err
	}
	out, err := b.n.transport.Call(ctx, node, methodEnd, payload)
	if err != nil {
		return false, false, adminError(err)
	}
	var reply endReply
	err = json.Unmarshal(out, &reply)
	return reply.There, reply.Ended, err
}

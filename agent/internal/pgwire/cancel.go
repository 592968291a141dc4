package pgwire

import (
	"context"
	"time"
)

const (
	// nodeBits of a process id say which node the session is on, as the rest of
	// its number divided by 2^nodeBits: a cancel request may come to any node.
	nodeBits = 11
	pidBits  = 31 - nodeBits // the protocol has a signed 32-bit number
	pidMask  = 1<<pidBits - 1
	nodeMask = 1<<nodeBits - 1

	// forwardsMost bounds the cancel requests that are on their way to other nodes:
	// anybody who reaches the port can send them.
	forwardsMost   = 16
	forwardTimeout = 2 * time.Second
	cancelKey      = 4 // of protocol 3.0
)

// PIDOnNode reports whether a session with that process id can be on that node.
func PIDOnNode(pid, node uint32) bool { return node&nodeMask == pid>>pidBits }

// nextPID gives a process id that no connection of this node has.
func (s *Server) nextPID() uint32 {
	for {
		s.mu.lastPID = s.mu.lastPID%pidMask + 1
		pid := s.cfg.Node&nodeMask<<pidBits | s.mu.lastPID
		if _, taken := s.mu.conns[pid]; !taken {
			return pid
		}
	}
}

// Cancel ends the statement of this node's session with that process id and key.
// A wrong key is ignored without a word, as the protocol wants it.
func (s *Server) Cancel(pid uint32, key []byte) {
	s.mu.Lock()
	c := s.mu.conns[pid]
	s.mu.Unlock()
	if c == nil || !c.isLoggedIn() || !c.keyIs(key) {
		return
	}
	s.counters.cancels.Add(1)
	c.cancelStatement(canceledByUser())
}

// CancelStatement ends the statement of this node's session with that process id,
// whoever's it is. It reports whether there is such a session, and whether it ran one.
func (s *Server) CancelStatement(pid uint32) (there, ran bool) {
	s.mu.Lock()
	c := s.mu.conns[pid]
	s.mu.Unlock()
	if c == nil || !c.isLoggedIn() {
		return false, false
	}
	return true, c.cancelStatement(canceledByUser())
}

// cancelAnywhere is a client's request: the session may be on another node, since
// a load balancer chooses one for each connection. The client waits for the end
// of its connection, so that the request is done by then.
func (s *Server) cancelAnywhere(ctx context.Context, pid uint32, key []byte) {
	if PIDOnNode(pid, s.cfg.Node) {
		s.Cancel(pid, key)
	}
	s.mu.Lock()
	_, here := s.mu.conns[pid]
	s.mu.Unlock()
	if here || s.cfg.ForwardCancel == nil || len(key) != cancelKey {
		return
	}
	select {
	case s.forwards <- struct{}{}:
	default:
		return // as if the statement had ended meanwhile
	}
	defer func() { <-s.forwards }()
	ctx, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	s.cfg.ForwardCancel(ctx, pid, key)
}

package transport

import (
	"context"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"google.golang.org/grpc"
)

// session is one connection to a peer: the raft stream and the call stream, both
// past their hello. It ends as a whole.
type session struct {
	node  cluster.NodeID
	peer  Peer // as its hello said
	raft  *outbox
	calls *outbox
	end   context.CancelCauseFunc

	mu struct {
		sync.Mutex
		next    uint64
		pending map[uint64]*pendingCall
		ended   bool
		cause   error
	}
}

type pendingCall struct {
	batch uint64 // of the outbox; 0: not yet pushed
	done  chan callResult
}

type callResult struct {
	payload []byte
	err     error
}

// call sends a request and waits for its reply.
func (s *session) call(ctx context.Context, method string, payload []byte) ([]byte, error) {
	f := frame{kind: kindRequest, name: method, payload: payload}
	if d, ok := ctx.Deadline(); ok {
		// A deadline that has passed is left to ctx.
		f.timeout = max(time.Until(d), time.Microsecond)
	}
	p := &pendingCall{done: make(chan callResult, 1)}
	if err := s.begin(&f, p); err != nil {
		return nil, &UnreachableError{Node: s.node, Cause: err}
	}
	select {
	case r := <-p.done:
		return r.payload, r.err
	case <-ctx.Done():
	}
	if s.forget(f.id) {
		s.calls.push(&frame{kind: kindCancel, id: f.id})
	}
	return nil, &UnreachableError{Node: s.node, Sent: true, Cause: ctx.Err()}
}

// begin registers the call before its request can be answered.
func (s *session) begin(f *frame, p *pendingCall) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.ended {
		return s.mu.cause
	}
	s.mu.next++
	f.id = s.mu.next
	batch, ok := s.calls.push(f)
	if !ok {
		return ErrQueueFull
	}
	p.batch = batch
	s.mu.pending[f.id] = p
	return nil
}

func (s *session) forget(id uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.mu.pending[id]
	delete(s.mu.pending, id)
	return ok
}

// answer gives a reply to its call; a reply to a call that has gone is dropped.
func (s *session) answer(id uint64, r callResult) {
	s.mu.Lock()
	p, ok := s.mu.pending[id]
	delete(s.mu.pending, id)
	s.mu.Unlock()
	if ok {
		p.done <- r
	}
}

// finish fails all calls that wait.
func (s *session) finish(cause error) {
	s.raft.close()
	taken := s.calls.close()
	s.mu.Lock()
	s.mu.ended, s.mu.cause = true, cause
	pending := s.mu.pending
	s.mu.pending = nil
	s.mu.Unlock()
	for _, p := range pending {
		p.done <- callResult{err: &UnreachableError{Node: s.node, Sent: p.batch <= taken, Cause: cause}}
	}
}

// readReplies runs until the call stream ends.
func (s *session) readReplies(stream grpc.ClientStream) error {
	for {
		var m message
		if err := stream.RecvMsg(&m); err != nil {
			return err
		}
		for b := m.data; len(b) > 0; {
			f, rest, err := decodeFrame(b)
			if err != nil {
				return err
			}
			b = rest
			switch f.kind {
			case kindReply:
				s.answer(f.id, callResult{payload: f.payload})
			case kindError:
				s.answer(f.id, callResult{err: &CallError{Code: f.name, Message: f.message, Detail: f.payload}})
			default:
				return errFrame
			}
		}
	}
}

// readNothing runs until the raft stream ends: nothing comes back on it.
func readNothing(stream grpc.ClientStream) error {
	var m message
	if err := stream.RecvMsg(&m); err != nil {
		return err
	}
	return errFrame
}

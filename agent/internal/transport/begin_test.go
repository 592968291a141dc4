package transport

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// began is a call that BeginCall took.
type began struct {
	payload   string
	within    time.Duration
	reply     func([]byte, error)
	cancelled chan struct{}
}

// beginner takes calls of the method "begun" and leaves the answer to the test.
func beginner() (*handler, chan *began) {
	calls := make(chan *began, 8)
	return &handler{call: echo, begin: func(method string, payload []byte, within time.Duration, reply func([]byte, error)) (func(), bool) {
		if method != "begun" {
			return nil, false
		}
		c := &began{payload: string(payload), within: within, reply: reply, cancelled: make(chan struct{})}
		calls <- c
		return func() { close(c.cancelled) }, true
	}}, calls
}

// TestBegunCalls: a call that BeginCall takes is answered whenever its owner does, and
// stands in nobody's way.
func TestBegunCalls(t *testing.T) {
	n := newNetwork(t)
	h, calls := beginner()
	a := n.start(1, n.config(1, &handler{}))
	n.start(2, n.config(2, h))
	type answer struct {
		b   []byte
		err error
	}
	answers := make(chan answer, 1)
	ask := func(ctx context.Context) {
		go func() {
			b, err := a.Call(ctx, 2, "begun", []byte("x"))
			answers <- answer{b, err}
		}()
	}
	ask(ctxFor(t, 30*time.Second))
	c := <-calls
	if c.payload != "x" || c.within < 20*time.Second || c.within > 30*time.Second {
		t.Errorf("began with %q and %s", c.payload, c.within)
	}
	if b, err := a.Call(t.Context(), 2, "m", []byte("y")); err != nil || string(b) != "n1 m y" {
		t.Errorf("another call meanwhile: %q, %v", b, err)
	}
	c.reply([]byte("done"), nil)
	if got := <-answers; got.err != nil || string(got.b) != "done" {
		t.Errorf("answer %q, %v", got.b, got.err)
	}

	ask(t.Context())
	(<-calls).reply(nil, &CallError{Code: "c", Message: "no"})
	var ce *CallError
	if got := <-answers; !errors.As(got.err, &ce) || ce.Code != "c" {
		t.Errorf("answer %q, %v", got.b, got.err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	ask(ctx)
	c = <-calls
	cancel()
	<-c.cancelled
	var ue *UnreachableError
	if got := <-answers; !errors.As(got.err, &ue) || !ue.Sent {
		t.Errorf("a caller that left: %q, %v", got.b, got.err)
	}
	c.reply([]byte("late"), nil) // nobody waits, and nothing breaks
	if b, err := a.Call(t.Context(), 2, "m", nil); err != nil {
		t.Errorf("the next call: %q, %v", b, err)
	}
}

// TestBegunCallsEndWithTheirSession: who takes a call learns that its caller is gone.
func TestBegunCallsEndWithTheirSession(t *testing.T) {
	n := newNetwork(t)
	h, calls := beginner()
	a := n.start(1, n.config(1, &handler{}))
	n.start(2, n.config(2, h))
	answered := make(chan error, 1)
	go func() {
		_, err := a.Call(t.Context(), 2, "begun", nil)
		answered <- err
	}()
	c := <-calls
	a.Reset(2)
	<-c.cancelled
	if err := <-answered; err == nil {
		t.Error("answered")
	}
	c.reply(nil, nil)
}

// TestAnsweredBeforeItBegan: BeginCall may answer before it returns.
func TestAnsweredBeforeItBegan(t *testing.T) {
	n := newNetwork(t)
	cfg := n.config(2, &handler{begin: func(_ string, payload []byte, _ time.Duration, reply func([]byte, error)) (func(), bool) {
		reply(payload, nil)
		return func() {}, true
	}})
	cfg.MaxInboundCalls = 2
	a := n.start(1, n.config(1, &handler{}))
	n.start(2, cfg)
	for range 8 { // none of them is counted as running for ever
		if b, err := a.Call(t.Context(), cluster.NodeID(2), "m", []byte("x")); err != nil || string(b) != "x" {
			t.Fatalf("%q, %v", b, err)
		}
	}
}

package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCall(t *testing.T) {
	n := newNetwork(t)
	a := n.start(1, n.config(1, &handler{call: echo}))
	n.start(2, n.config(2, &handler{call: echo}))
	for _, to := range []cluster.NodeID{1, 2} {
		got, err := a.Call(ctxFor(t, 5*time.Second), to, "m", []byte("hello"))
		if err != nil || string(got) != "n1 m hello" {
			t.Fatalf("%s: got %q, %v", to, got, err)
		}
	}
	var wg sync.WaitGroup
	for i := range 500 {
		wg.Go(func() {
			want := fmt.Sprint("n1 m ", i)
			if got, err := a.Call(t.Context(), 2, "m", fmt.Append(nil, i)); err != nil || string(got) != want {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		})
	}
	wg.Wait()
	if st := a.Status(); len(st) != 1 || !st[0].Connected || st[0].Nonce != "boot-n2" {
		t.Errorf("status: %+v", st)
	}
}

func TestCallErrors(t *testing.T) {
	n := newNetwork(t)
	released := make(chan struct{})
	h := &handler{call: func(ctx context.Context, _ cluster.NodeID, method string, _ []byte) ([]byte, error) {
		switch method {
		case "coded":
			return nil, fmt.Errorf("wrapped: %w", &CallError{Code: "not-leader", Message: "ask n3", Detail: []byte{3}})
		case "plain":
			return nil, errors.New("broken")
		}
		<-ctx.Done()
		close(released)
		return nil, ctx.Err()
	}}
	a := n.start(1, n.config(1, h))
	n.start(2, n.config(2, h))
	for _, to := range []cluster.NodeID{1, 2} {
		var ce *CallError
		if _, err := a.Call(t.Context(), to, "coded", nil); !errors.As(err, &ce) || ce.Code != "not-leader" || !bytes.Equal(ce.Detail, []byte{3}) {
			t.Errorf("%s: got %#v", to, err)
		}
		if _, err := a.Call(t.Context(), to, "plain", nil); !errors.As(err, &ce) || ce.Code != CodeInternal || ce.Message != "broken" {
			t.Errorf("%s: got %#v", to, err)
		}
	}
	// The caller's end reaches the handler.
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err := a.Call(ctx, 2, "hang", nil)
	var ue *UnreachableError
	if !errors.As(err, &ue) || !ue.Sent || !errors.Is(err, context.Canceled) {
		t.Errorf("got %#v", err)
	}
	select {
	case <-released:
	case <-time.After(5 * time.Second):
		t.Error("the handler was not cancelled")
	}
}

func TestDeadlineReachesTheHandler(t *testing.T) {
	n := newNetwork(t)
	left := make(chan time.Duration, 1)
	a := n.start(1, n.config(1, &handler{}))
	n.start(2, n.config(2, &handler{call: func(ctx context.Context, _ cluster.NodeID, _ string, _ []byte) ([]byte, error) {
		d, ok := ctx.Deadline()
		if !ok {
			return nil, errors.New("no deadline")
		}
		left <- time.Until(d)
		return nil, nil
	}}))
	if _, err := a.Call(ctxFor(t, 30*time.Second), 2, "m", nil); err != nil {
		t.Fatal(err)
	}
	if d := <-left; d < 20*time.Second || d > 30*time.Second {
		t.Errorf("deadline in %s", d)
	}
}

func TestRaftArrivesInOrder(t *testing.T) {
	n := newNetwork(t)
	const count = 5000
	got := make(chan int, count)
	a := n.start(1, n.config(1, &handler{}))
	n.start(2, n.config(2, &handler{raft: func(from cluster.NodeID, b []byte) {
		var i int
		if _, err := fmt.Sscan(string(b), &i); err != nil || from != 1 {
			t.Errorf("from %s: %q", from, b)
		}
		got <- i
	}}))
	if a.SendRaft(2, []byte("0")) {
		t.Error("sent without a connection")
	}
	eventually(t, func() error {
		if !a.SendRaft(2, []byte("0")) {
			return errors.New("not connected")
		}
		return nil
	})
	for i := 1; i < count; i++ {
		if !a.SendRaft(2, fmt.Append(nil, i)) {
			t.Fatal("queue full at", i)
		}
	}
	for i := range count {
		if v := <-got; v != i {
			t.Fatalf("got %d, want %d", v, i)
		}
	}
	if a.SendRaft(9, nil) {
		t.Error("sent to a node without address")
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name string
		mut  func(t *testing.T, n *network, dialler, acceptor *Config)
		want string
		code string // of OnRefused; "": not called
	}{
		{"another CA", func(t *testing.T, _ *network, d, _ *Config) {
			ca, err := auth.NewCA(testCluster)
			if err != nil {
				t.Fatal(err)
			}
			d.TLS = source(t, ca, testCluster, 1)
		}, "certificate", ""},
		{"another cluster of the same CA", func(t *testing.T, n *network, d, _ *Config) {
			d.TLS, d.ClusterID = source(t, n.ca, "other", 1), "other"
		}, "belongs to cluster", ""},
		{"hello of another cluster", func(_ *testing.T, _ *network, _, a *Config) { a.ClusterID = "other" }, "belongs to cluster", RefusedCluster},
		{"another node's certificate", func(t *testing.T, n *network, d, _ *Config) { d.TLS = source(t, n.ca, testCluster, 3) }, "it says n1, its certificate n3", RefusedNode},
		{"another node at the address", func(t *testing.T, n *network, _, a *Config) {
			a.TLS, a.Self = source(t, n.ca, testCluster, 3), 3
		}, "node.2", ""},
		{"decommissioned", func(_ *testing.T, _ *network, _, a *Config) {
			a.Admit = func(p Peer) error {
				return &RefusedError{Code: RefusedDecommissioned, Reason: p.Node.String() + " was decommissioned"}
			}
		}, "n2 refuses the connection: n1 was decommissioned", RefusedDecommissioned},
		{"a store that is behind", func(_ *testing.T, _ *network, d, a *Config) {
			was := cluster.Standing{Now: cluster.Mark{Boot: cluster.NewBoot(3, 9), Round: 7}, Past: []cluster.Mark{{Boot: cluster.NewBoot(2, 8), Round: 6}}}
			d.Standing = func() cluster.Standing { return was }
			a.Compare = func(p Peer) error {
				return &RefusedError{Code: RefusedBehind, Reason: p.Standing.Now.String() + " is old", Detail: p.Standing.Append(nil)}
			}
		}, "n2 refuses the connection: boot 3 (00000009), round 7 is old", RefusedBehind},
		{"a newer binary that shares no version", func(_ *testing.T, _ *network, d, _ *Config) {
			d.Supports = gate.Support{Min: 8, Max: 9}
		}, "they have none in common", RefusedVersion},
		{"an older binary that shares no version", func(_ *testing.T, _ *network, _, a *Config) {
			a.Supports = gate.Support{Min: 8, Max: 9}
		}, "they have none in common", RefusedVersion},
		{"the dialler does not admit", func(_ *testing.T, _ *network, d, _ *Config) {
			d.Admit = func(p Peer) error { return fmt.Errorf("%s is gone", p.Node) }
		}, "n2 is gone", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNetwork(t)
			var handled atomic.Int64
			h := &handler{call: func(context.Context, cluster.NodeID, string, []byte) ([]byte, error) {
				handled.Add(1)
				return nil, nil
			}, scan: func(context.Context, []byte, func([]byte) error) error { handled.Add(1); return nil }}
			d, acc := n.config(1, h), n.config(2, h)
			var refused atomic.Pointer[RefusedError]
			d.OnRefused = func(re *RefusedError) { refused.Store(re) }
			tt.mut(t, n, &d, &acc)
			n.start(2, acc)
			a := n.start(1, d)
			to := cluster.NodeID(2)
			_, err := a.Call(ctxFor(t, 5*time.Second), to, "m", nil)
			var ue *UnreachableError
			if !errors.As(err, &ue) || ue.Sent || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("call: got %v, want %q", err, tt.want)
			}
			if err := a.Scan(ctxFor(t, 5*time.Second), to, nil, func([]byte) error { return nil }); err == nil {
				t.Fatal("scan was admitted")
			}
			if re := refused.Load(); (re == nil) != (tt.code == "") || re != nil && re.Code != tt.code {
				t.Fatalf("told %v, want code %q", re, tt.code)
			}
			if re := refused.Load(); tt.code == RefusedBehind && !bytes.Equal(re.Detail, d.Standing().Append(nil)) {
				t.Errorf("told with the detail %x", re.Detail)
			}
			if handled.Load() != 0 {
				t.Fatal("a handler ran")
			}
		})
	}
}

func TestPeerRestarts(t *testing.T) {
	n := newNetwork(t)
	begun := make(chan struct{}, 1)
	slow := &handler{call: func(ctx context.Context, _ cluster.NodeID, _ string, _ []byte) ([]byte, error) {
		begun <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	a := n.start(1, n.config(1, &handler{}))
	b := n.start(2, n.config(2, slow))
	res := make(chan error, 1)
	go func() { _, err := a.Call(context.Background(), 2, "m", nil); res <- err }()
	<-begun
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	var ue *UnreachableError
	if err := <-res; !errors.As(err, &ue) || !ue.Sent {
		t.Fatalf("call in flight: got %v", err)
	}
	eventually(t, func() error {
		_, err := a.Call(t.Context(), 2, "m", nil)
		if !errors.As(err, &ue) {
			t.Fatalf("got %v", err)
		}
		if ue.Sent || !strings.Contains(err.Error(), "refused") {
			return err
		}
		return nil
	})
	n.start(2, n.config(2, &handler{call: echo}))
	eventually(t, func() error { _, err := a.Call(t.Context(), 2, "m", nil); return err })
}

func TestUnknownNode(t *testing.T) {
	n := newNetwork(t)
	a := n.start(1, n.config(1, &handler{}))
	var ue *UnreachableError
	if _, err := a.Call(t.Context(), 7, "m", nil); !errors.As(err, &ue) || ue.Sent {
		t.Fatalf("got %v", err)
	}
}

func TestQueueOverflow(t *testing.T) {
	n := newNetwork(t)
	block := make(chan struct{})
	defer close(block)
	cfg := n.config(1, &handler{})
	cfg.RaftQueueBytes = 1 << 20
	a := n.start(1, cfg)
	n.start(2, n.config(2, &handler{raft: func(cluster.NodeID, []byte) { <-block }}))
	batch := make([]byte, 256<<10)
	dropped := false
	eventually(t, func() error {
		for range 1000 {
			if !a.SendRaft(2, batch) && a.Status()[0].Connected {
				dropped = true
				return nil
			}
		}
		return errors.New("nothing dropped yet")
	})
	if !dropped {
		t.Fatal("not reached")
	}
}

func TestTooManyCalls(t *testing.T) {
	n := newNetwork(t)
	block := make(chan struct{})
	cfg := n.config(2, &handler{call: func(context.Context, cluster.NodeID, string, []byte) ([]byte, error) {
		<-block
		return nil, nil
	}})
	cfg.MaxInboundCalls = 2
	a := n.start(1, n.config(1, &handler{}))
	n.start(2, cfg)
	res := make(chan error, 3)
	for range 3 {
		go func() { _, err := a.Call(t.Context(), 2, "m", nil); res <- err }()
	}
	var ce *CallError
	if err := <-res; !errors.As(err, &ce) || ce.Code != CodeOverloaded {
		t.Fatalf("got %v", err)
	}
	close(block)
	for range 2 {
		if err := <-res; err != nil {
			t.Fatal(err)
		}
	}
}

func TestCutAndDelay(t *testing.T) {
	n := newNetwork(t)
	a := n.start(1, n.config(1, &handler{}))
	n.start(2, n.config(2, &handler{call: echo}))
	if _, err := a.Call(ctxFor(t, 5*time.Second), 2, "m", nil); err != nil {
		t.Fatal(err)
	}
	n.setFault(2, Fault{Cut: true})
	if _, err := a.Call(ctxFor(t, 50*time.Millisecond), 2, "m", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("cut: got %v", err)
	}
	a.Reset(2)
	eventually(t, func() error {
		_, err := a.Call(ctxFor(t, time.Second), 2, "m", nil)
		if !errors.Is(err, errCut) && (err == nil || !strings.Contains(err.Error(), errCut.Error())) {
			return fmt.Errorf("reset and cut: got %w", err)
		}
		return nil
	})
	n.setFault(2, Fault{Delay: 50 * time.Millisecond})
	eventually(t, func() error { _, err := a.Call(ctxFor(t, time.Second), 2, "m", nil); return err })
	began := time.Now()
	if _, err := a.Call(ctxFor(t, 5*time.Second), 2, "m", nil); err != nil || time.Since(began) < 50*time.Millisecond {
		t.Fatalf("delayed call took %s, %v", time.Since(began), err)
	}
}

func TestRecheckEndsConnections(t *testing.T) {
	n := newNetwork(t)
	var banned atomic.Bool
	cfg := n.config(2, &handler{call: echo})
	cfg.Admit = func(Peer) error {
		if banned.Load() {
			return &RefusedError{Code: RefusedDecommissioned, Reason: "n1 was decommissioned"}
		}
		return nil
	}
	told := make(chan *RefusedError, 100)
	acfg := n.config(1, &handler{})
	acfg.OnRefused = func(re *RefusedError) {
		select {
		case told <- re:
		default:
		}
	}
	a := n.start(1, acfg)
	b := n.start(2, cfg)
	if _, err := a.Call(ctxFor(t, 5*time.Second), 2, "m", nil); err != nil {
		t.Fatal(err)
	}
	banned.Store(true)
	b.Recheck()
	if re := <-told; re.Code != RefusedDecommissioned || re.Node != 2 {
		t.Fatalf("told %+v", re)
	}
	if _, err := a.Call(ctxFor(t, 5*time.Second), 2, "m", nil); err == nil {
		t.Fatal("still connected")
	}
}

func TestSilentAcceptor(t *testing.T) {
	n := newNetwork(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	n.addrs[2] = ln.Addr().String()
	cfg := n.config(1, &handler{})
	cfg.HandshakeTimeout = 100 * time.Millisecond
	a := n.start(1, cfg)
	var ue *UnreachableError
	if _, err := a.Call(ctxFor(t, 5*time.Second), 2, "m", nil); !errors.As(err, &ue) || ue.Sent || errors.Is(err, context.DeadlineExceeded) && t.Context().Err() != nil {
		t.Fatalf("got %v", err)
	}
}

func TestSnapshot(t *testing.T) {
	n := newNetwork(t)
	h := &handler{snapshot: func(_ context.Context, header []byte, recv func() ([]byte, error)) ([]byte, error) {
		total := 0
		for {
			b, err := recv()
			if errors.Is(err, io.EOF) {
				return fmt.Appendf(nil, "%s %d", header, total), nil
			}
			if err != nil {
				return nil, err
			}
			total += len(b)
			if string(header) == "refuse" {
				return nil, &CallError{Code: "full", Message: "disk is full"}
			}
		}
	}}
	a := n.start(1, n.config(1, &handler{}))
	n.start(2, n.config(2, h))
	got, err := a.SendSnapshot(ctxFor(t, 30*time.Second), 2, []byte("r7"), chunks(40, 256<<10))
	if err != nil || string(got) != fmt.Sprint("r7 ", 10<<20) {
		t.Fatalf("got %q, %v", got, err)
	}
	var ce *CallError
	if _, err := a.SendSnapshot(ctxFor(t, 30*time.Second), 2, []byte("refuse"), chunks(100, 1<<20)); !errors.As(err, &ce) || ce.Code != "full" {
		t.Fatalf("got %v", err)
	}
	broken := errors.New("disk broke")
	if _, err := a.SendSnapshot(ctxFor(t, 30*time.Second), 2, nil, func() ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
}

func TestScan(t *testing.T) {
	n := newNetwork(t)
	var sent atomic.Int64
	h := &handler{scan: func(ctx context.Context, request []byte, send func([]byte) error) error {
		next := chunks(64, 256<<10)
		for {
			b, err := next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err := send(b); err != nil {
				return err
			}
			if string(request) == "slow" { // the others' streams may end after their readers
				sent.Add(1)
			}
		}
		if string(request) == "fail" {
			return &CallError{Code: "not-leader", Message: "moved"}
		}
		return nil
	}}
	a := n.start(1, n.config(1, h))
	n.start(2, n.config(2, h))
	for _, to := range []cluster.NodeID{1, 2} {
		count := 0
		err := a.Scan(ctxFor(t, 30*time.Second), to, nil, func(b []byte) error {
			count++
			if int(b[0]) != count {
				return fmt.Errorf("chunk %d at %d", b[0], count)
			}
			return nil
		})
		if err != nil || count != 64 {
			t.Fatalf("%s: %d chunks, %v", to, count, err)
		}
		var ce *CallError
		if err := a.Scan(ctxFor(t, 30*time.Second), to, []byte("fail"), func([]byte) error { return nil }); !errors.As(err, &ce) || ce.Code != "not-leader" {
			t.Fatalf("%s: got %v", to, err)
		}
		stop := errors.New("enough")
		if err := a.Scan(ctxFor(t, 30*time.Second), to, nil, func([]byte) error { return stop }); !errors.Is(err, stop) {
			t.Fatalf("%s: got %v", to, err)
		}
	}
	// A reader that stands still stops the sender within the windows.
	hold, first := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		var once sync.Once
		done <- a.Scan(t.Context(), 2, []byte("slow"), func([]byte) error {
			once.Do(func() { close(first) })
			<-hold
			return nil
		})
	}()
	<-first
	var last int64 = -1
	eventually(t, func() error { // until the count stands still over 100 ms
		if !pause(t.Context(), 100*time.Millisecond) {
			return nil
		}
		v := sent.Load()
		if v != last {
			last = v
			return fmt.Errorf("%d chunks sent so far", v)
		}
		return nil
	})
	if last > 24 {
		t.Errorf("%d chunks were sent to a reader that read one", last)
	}
	close(hold)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

//go:build bench

package tui

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// Size of the cluster that the dashboard must carry, and the rate of its changes.
const (
	benchNodes  = 200
	benchRanges = 10_000
	benchHertz  = 10
	benchChange = 500 // ranges that change with each response
	benchFor    = 4 * time.Second
)

// synthetic is a feed of encoded responses, as they come off the wire.
type synthetic struct {
	whole  *adminpb.WatchResponse
	deltas []*adminpb.WatchResponse
	static bool // nothing changes after the first response
}

// of is the part of r that a watch of topics gets, encoded.
func of(r *adminpb.WatchResponse, topics []string) []byte {
	out := &adminpb.WatchResponse{AsOf: r.AsOf, Reset_: r.Reset_}
	for _, t := range topics {
		switch t {
		case feed.Status:
			out.Status = r.Status
		case feed.Nodes:
			out.Nodes = r.Nodes
		case feed.Ranges:
			out.Ranges = r.Ranges
		case feed.Operations:
			out.Operations = r.Operations
		case feed.Members:
			out.Members = r.Members
		case feed.Rebalance:
			out.Rebalance = r.Rebalance
		case feed.Events:
			out.Events = r.Events
		case feed.Pools:
			out.Pools = r.Pools
		}
	}
	b, err := proto.Marshal(out)
	if err != nil {
		panic(err)
	}
	return b
}

func newSynthetic(static bool) *synthetic {
	f := newFixture(benchNodes, benchRanges, static)
	s := &synthetic{static: static, whole: f.whole()}
	for k := range 10 {
		r := &adminpb.WatchResponse{AsOf: asOf(), Status: f.status()}
		if k == 0 { // 40,000 views of each other, sent whole: they change by the second at most
			r.Members = f.members()
		}
		for i := range benchNodes / 2 {
			r.Nodes = append(r.Nodes, f.node(2*i+k%2))
		}
		for i := range benchChange {
			r.Ranges = append(r.Ranges, f.rng((i*7+k*benchChange)%benchRanges))
		}
		r.Events = []*adminpb.Event{{Sequence: uint64(1000 + k), Time: ago(0), Kind: "range.moved", Severity: "info", Text: "r12 moved from n5 to n2 in 8.2s"}}
		s.deltas = append(s.deltas, r)
	}
	return s
}

func (s *synthetic) watch(ctx context.Context, w *adminpb.WatchRequest, changed feed.Changed, _ func(error)) error {
	send := func(b []byte) error {
		r := &adminpb.WatchResponse{}
		if err := proto.Unmarshal(b, r); err != nil {
			return err
		}
		return changed(r, time.Now())
	}
	if err := send(of(s.whole, w.GetTopics())); err != nil {
		return err
	}
	gap := time.Second / benchHertz
	deltas := make([][]byte, len(s.deltas))
	for i, r := range s.deltas {
		deltas[i] = of(r, w.GetTopics())
	}
	if s.static {
		gap, deltas = 5*time.Second, [][]byte{of(&adminpb.WatchResponse{AsOf: asOf()}, nil)}
	}
	tick := time.NewTicker(gap)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := send(deltas[i%len(deltas)]); err != nil {
			return err
		}
	}
}

// wire counts what is written to the terminal, and says when.
type wire struct {
	mu    sync.Mutex
	bytes int
	wrote chan struct{}
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.bytes += len(p)
	w.mu.Unlock()
	select {
	case w.wrote <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (w *wire) total() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bytes
}

type benchRun struct {
	p    *tea.Program
	d    *Dashboard
	in   *io.PipeWriter
	out  *wire
	done chan struct{}
	h    *hub
}

func runBench(t *testing.T, s *synthetic, view string, at size, every time.Duration) *benchRun {
	t.Helper()
	r := &benchRun{out: &wire{wrote: make(chan struct{}, 1)}, done: make(chan struct{}), h: &hub{every: every}}
	cfg := config{want: theme.Want{Name: theme.Dark, Profile: colorprofile.TrueColor}, now: time.Now, view: view, attach: r.h.attach}
	r.d = newDashboard(cfg, &cluster{name: "bench", admin: newSimulated(), watch: s.watch})
	pr, pw := io.Pipe()
	r.in = pw
	r.p = tea.NewProgram(r.d, tea.WithInput(pr), tea.WithOutput(r.out), tea.WithWindowSize(at.w, at.h), tea.WithColorProfile(colorprofile.TrueColor),
		tea.WithEnvironment([]string{"TERM=xterm-256color"}), tea.WithoutSignals(), tea.WithFPS(framesPerSecond))
	r.h.program = r.p
	go func() {
		defer close(r.done)
		_, _ = r.p.Run()
		r.h.stop()
	}()
	<-time.After(1500 * time.Millisecond) // the first response is behind
	return r
}

func (r *benchRun) end() {
	r.p.Kill()
	_ = r.in.Close()
	<-r.done
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestBenchDashboard prints what the dashboard of a large cluster costs: the
// whole program, its decoding of the stream and its renderer included.
func TestBenchDashboard(t *testing.T) {
	s := newSynthetic(false)
	t.Logf("%d nodes, %d ranges, %d responses/s of %d changed nodes and %d changed ranges", benchNodes, benchRanges, benchHertz, benchNodes/2, benchChange)
	for _, size := range []size{{80, 24}, {160, 48}, {200, 60}} {
		for _, view := range Views() {
			t.Run(fmt.Sprintf("%s/%dx%d", view, size.w, size.h), func(t *testing.T) { benchView(t, s, view, size, defaultEvery) })
		}
	}
	for _, view := range Views() { // as with --every 100ms: each response is drawn
		t.Run(view+"/160x48/every", func(t *testing.T) { benchView(t, s, view, size{160, 48}, time.Second/benchHertz) })
	}
}

func benchView(t *testing.T, s *synthetic, view string, at size, every time.Duration) {
	r := runBench(t, s, view, at, every)
	defer r.end()
	bytes, before := r.out.total(), cpu()
	<-time.After(benchFor)
	used := cpu() - before
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("%5.2f %% of a core  %5.1f KiB/s to the terminal  heap %d MiB", 100*used.Seconds()/benchFor.Seconds(),
		float64(r.out.total()-bytes)/1024/benchFor.Seconds(), m.HeapInuse>>20)
}

// TestBenchIdle prints what the dashboard costs while nothing changes.
func TestBenchIdle(t *testing.T) {
	s := newSynthetic(true)
	r := runBench(t, s, "overview", size{160, 48}, defaultEvery)
	defer r.end()
	<-time.After(2 * time.Second)
	before, frames := cpu(), r.d.frames
	<-time.After(10 * time.Second)
	t.Logf("idle: %.2f %% of a core, %d frames in 10 s", 100*(cpu()-before).Seconds()/10, r.d.frames-frames)
}

// TestBenchKey prints how long a key takes to reach the terminal.
func TestBenchKey(t *testing.T) {
	for _, view := range []string{"nodes", "ranges"} {
		r := runBench(t, newSynthetic(true), view, size{160, 48}, defaultEvery)
		var took []time.Duration
		for range 60 {
			select {
			case <-r.out.wrote:
			default:
			}
			began := time.Now()
			if _, err := io.WriteString(r.in, "j"); err != nil {
				t.Fatal(err)
			}
			<-r.out.wrote
			took = append(took, time.Since(began))
			<-time.After(37 * time.Millisecond)
		}
		r.end()
		slices.Sort(took)
		t.Logf("%s: key to terminal p50 %s, p99 %s", view, took[len(took)/2].Round(100*time.Microsecond), took[len(took)-1].Round(100*time.Microsecond))
	}
}

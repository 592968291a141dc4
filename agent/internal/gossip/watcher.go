package gossip

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/logsample"
)

// errSnapshot keeps memberlist from merging its own table with itself.
var errSnapshot = errors.New("this was a look at the table, not a join")

func isSnapshot(err error) bool { return strings.Contains(err.Error(), errSnapshot.Error()) }

// lookEvery is how often the table is looked at while some node is not well; a look
// costs 0.5 ms with few nodes and 3 ms with 100. lookRest is how often while all are,
// when nothing says that the table changed: only that others suspect a node is learnt
// so, and that they call it dead, soon after, kicks.
const (
	lookEvery = time.Second
	lookRest  = 5 * time.Second
)

// watcher turns memberlist's tables into transitions. It is memberlist's event,
// merge and alive delegate.
type watcher struct {
	cfg  Config
	kick chan struct{} // 1 deep

	// view is a map that is never changed: each request of a client looks at it. Only
	// publish replaces it.
	view atomic.Pointer[map[cluster.NodeID]cluster.Liveness]

	mu struct {
		sync.Mutex
		// self counts the tables that the self-join in progress still hands over;
		// both is closed when it has handed over both.
		self   int
		both   chan struct{}
		tables [][]*memberlist.Node
		subs   map[int]func(Transition)
		// standing is view with since and cause; hints are what memberlist logged.
		standing map[cluster.NodeID]Standing
		hints    map[cluster.NodeID]hint
		next     int
	}
}

func newWatcher(cfg Config) *watcher {
	w := &watcher{cfg: cfg, kick: make(chan struct{}, 1)}
	w.view.Store(&map[cluster.NodeID]cluster.Liveness{cfg.Self: cluster.Alive})
	w.mu.subs = map[int]func(Transition){}
	w.mu.standing, w.mu.hints = map[cluster.NodeID]Standing{}, map[cluster.NodeID]hint{}
	w.mu.standing[cfg.Self] = Standing{Liveness: cluster.Alive, Since: time.Now().UTC().Round(0), Cause: "this node"}
	return w
}

// run looks at the table at each kick and tick.
func (w *watcher) run(ctx context.Context, snapshot func(context.Context)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-w.kick:
		}
		snapshot(ctx)
		w.publish()
		timer.Reset(w.rest())
	}
}

// rest returns how long the table may be left alone.
func (w *watcher) rest() time.Duration {
	for _, l := range *w.view.Load() {
		if l == cluster.Suspect {
			return lookEvery
		}
	}
	// memberlist logs that it suspects a node, which kicks, and does so only then: the
	// look that followed may have come before.
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.mu.hints {
		if time.Since(h.at) < 2*lookEvery {
			return lookEvery
		}
	}
	return lookRest
}

func (w *watcher) trigger() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

func (w *watcher) subscribe(fn func(Transition)) (cancel func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := w.mu.next
	w.mu.next++
	w.mu.subs[id] = fn
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.mu.subs, id)
	}
}

func (w *watcher) expectSelf() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.self, w.mu.both, w.mu.tables = 2, make(chan struct{}), nil
	return w.mu.both
}

func (w *watcher) endSelf() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.self = 0
}

// NotifyMerge gets the table of a node that joins, or in a self-join our own.
func (w *watcher) NotifyMerge(table []*memberlist.Node) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.self == 0 {
		return nil
	}
	w.mu.tables = append(w.mu.tables, table)
	if w.mu.self--; w.mu.self == 0 {
		close(w.mu.both)
	}
	return errSnapshot
}

// NotifyAlive refuses names that are not of this cluster.
func (w *watcher) NotifyAlive(n *memberlist.Node) error {
	id, uuid, ok := parseName(n.Name)
	if !ok {
		return errors.New("its name is not of the form n<id>.<uuid>")
	}
	if id == w.cfg.Self && uuid != w.cfg.UUID {
		return errors.New("it has the id of this node and another UUID")
	}
	if w.cfg.Admit != nil && id != w.cfg.Self && !w.cfg.Admit(id, uuid) {
		return errors.New("the meta range does not know it")
	}
	return nil
}

// NotifyJoin, NotifyLeave and NotifyUpdate only say that something happened.
func (w *watcher) NotifyJoin(*memberlist.Node) { w.trigger() }

// NotifyLeave is called for the dead and for those that left.
func (w *watcher) NotifyLeave(*memberlist.Node) { w.trigger() }

// NotifyUpdate is called when a node's metadata changes.
func (w *watcher) NotifyUpdate(*memberlist.Node) { w.trigger() }

// publish compares the newest table with the view and tells subscribers.
func (w *watcher) publish() {
	now := time.Now()
	w.mu.Lock()
	tables := w.mu.tables
	w.mu.tables = nil
	// Two equal tables are ours, or as good as ours. If they differ, another node
	// joined in this very moment and one of them is its.
	if len(tables) != 2 {
		w.mu.Unlock()
		return
	}
	seen := states(tables[0])
	if !maps.Equal(seen, states(tables[1])) {
		w.mu.Unlock()
		w.trigger()
		return
	}
	seen[w.cfg.Self] = cluster.Alive // what others think of us, we refute
	view := maps.Clone(*w.view.Load())
	var ts []Transition
	for id, to := range seen {
		if from := view[id]; from != to && (from != "" || to == cluster.Alive || to == cluster.Suspect) {
			ts = append(ts, Transition{Node: id, From: from, To: to, At: now})
		}
	}
	for id, from := range view {
		if _, ok := seen[id]; !ok && from != cluster.Dead && from != cluster.Left {
			ts = append(ts, Transition{Node: id, From: from, To: cluster.Dead, At: now})
		}
	}
	slices.SortFunc(ts, func(a, b Transition) int { return cmp.Compare(a.Node, b.Node) })
	for _, t := range ts {
		view[t.Node] = t.To
		w.stand(t)
	}
	if len(ts) > 0 {
		w.view.Store(&view)
	}
	var subs []func(Transition)
	for _, id := range slices.Sorted(maps.Keys(w.mu.subs)) {
		subs = append(subs, w.mu.subs[id])
	}
	w.mu.Unlock()
	for _, t := range ts {
		w.cfg.Logger.Info("liveness changed", logattr.Peer(t.Node), logattr.From(string(t.From)), logattr.To(string(t.To)))
		for _, fn := range subs {
			fn(t)
		}
	}
}

// states maps a table to node ids. If two names claim one id, the better state
// counts: the worse one is what is left of the other.
func states(table []*memberlist.Node) map[cluster.NodeID]cluster.Liveness {
	rank := []memberlist.NodeStateType{memberlist.StateAlive, memberlist.StateSuspect, memberlist.StateLeft, memberlist.StateDead}
	best := map[cluster.NodeID]memberlist.NodeStateType{}
	for _, n := range table {
		id, _, ok := parseName(n.Name)
		if !ok {
			continue
		}
		if old, ok := best[id]; !ok || slices.Index(rank, n.State) < slices.Index(rank, old) {
			best[id] = n.State
		}
	}
	out := make(map[cluster.NodeID]cluster.Liveness, len(best))
	for id, s := range best {
		out[id] = liveness(s)
	}
	return out
}

func liveness(s memberlist.NodeStateType) cluster.Liveness {
	switch s {
	case memberlist.StateAlive:
		return cluster.Alive
	case memberlist.StateSuspect:
		return cluster.Suspect
	case memberlist.StateLeft:
		return cluster.Left
	case memberlist.StateDead:
	}
	return cluster.Dead
}

// logWriter passes memberlist's log lines on, and takes them as hints that a
// state changed: suspicion that begins here shows nowhere else.
type logWriter struct {
	logger  *slog.Logger
	foreign *logsample.Sampler // what somebody else's traffic looks like
	trigger func()
	heard   func(line string, now time.Time)
}

func (w *logWriter) Write(b []byte) (int, error) {
	line := string(bytes.TrimSpace(b))
	if strings.Contains(line, errSnapshot.Error()) {
		return len(b), nil
	}
	if strings.Contains(line, "Suspect ") || strings.Contains(line, "Marking ") {
		_, text, _ := strings.Cut(line, "memberlist: ")
		w.heard(text, time.Now())
		w.trigger()
	}
	_, text, found := strings.Cut(line, "memberlist: ")
	if !found {
		text = line
	}
	// Failed probes are the watcher's to tell. What a stranger's datagram can cause
	// is a warning, a few times a minute.
	for _, word := range []string{"decrypt", "label", "Conflicting address"} {
		if strings.Contains(line, word) {
			w.foreign.Log(slog.LevelWarn, word, "memberlist", slog.String("line", text))
			return len(b), nil
		}
	}
	w.logger.Debug("memberlist", slog.String("line", text))
	return len(b), nil
}

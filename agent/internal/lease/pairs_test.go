package lease

import (
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

const (
	leader   cluster.NodeID = 1
	follower cluster.NodeID = 2
)

// side is one node with a clock that tests move.
type side struct {
	*Pairs
	at   time.Duration
	boot cluster.Boot
}

func newSide(number uint32, again bool) *side {
	s := &side{boot: cluster.NewBoot(number, 7)}
	s.Pairs = NewPairs(func() time.Duration { return s.at }, again, Planted{})
	s.Begin(s.boot)
	return s
}

func ts(d time.Duration) hlc.Timestamp { return hlc.New(time.UnixMilli(0)).Add(d) }

// supported has l ask v, which answers at once.
func supported(t *testing.T, l, v *side, clock, durable hlc.Timestamp) Answer {
	t.Helper()
	q, ok := l.Question(clock)
	if !ok {
		t.Fatal("no question")
	}
	v.Expire()
	a, ok := v.Promise(leader, q, durable)
	if !ok {
		t.Fatal("no promise")
	}
	l.Take(follower, a)
	return a
}

// TestRule1And2 asks and answers.
func TestRule1And2(t *testing.T) {
	l, v := newSide(3, false), newSide(9, false)
	l.at, v.at = 40*time.Second, 7*time.Second
	a := supported(t, l, v, ts(time.Second), hlc.Max)
	if a.Boot != l.boot || a.Sent != l.at || a.Ceiling != ts(time.Second+Duration+Slack) {
		t.Errorf("answer %+v", a)
	}
	v.at += Duration
	if !v.Supports(leader, l.boot, a.Epoch) {
		t.Error("the promise ended early")
	}
	if len(v.Expire()) != 0 {
		t.Error("withdrawn early")
	}
	v.at++
	if v.Supports(leader, l.boot, a.Epoch) {
		t.Error("the promise lasts too long")
	}
	// A start that has not begun its boot neither asks nor answers.
	fresh := NewPairs(func() time.Duration { return 0 }, false, Planted{})
	if _, ok := fresh.Question(1); ok {
		t.Error("asked without a boot")
	}
	if _, ok := fresh.Promise(leader, Ask{Boot: 1}, hlc.Max); ok {
		t.Error("promised without a boot")
	}
}

// TestRule3 has epochs change with a withdrawal and with a boot of the supporter.
func TestRule3(t *testing.T) {
	l, v := newSide(3, false), newSide(9, false)
	first := supported(t, l, v, 1, hlc.Max).Epoch
	v.at += 2 * time.Second
	ended := v.Expire()
	if len(ended) != 1 || ended[0].Node != leader {
		t.Fatalf("ended %+v", ended)
	}
	if again := v.Expire(); len(again) != 0 {
		t.Errorf("withdrawn twice: %+v", again)
	}
	second := supported(t, l, v, 1, hlc.Max).Epoch
	if !first.before(second) || first.Boot != second.Boot {
		t.Errorf("%+v, then %+v", first, second)
	}
	v = newSide(10, true)
	if third := supported(t, l, v, 1, hlc.Max).Epoch; !second.before(third) {
		t.Errorf("%+v after a restart, %+v before it", third, second)
	}
}

// TestRule4 counts for less than was promised, and ignores what is old.
func TestRule4(t *testing.T) {
	l, v := newSide(3, false), newSide(9, false)
	a := supported(t, l, v, 1, hlc.Max)
	peer := l.Peer(follower)
	l.at = Counted - 1
	if e, ok := peer.Epoch(l.at); !ok || e != a.Epoch {
		t.Error("not counted")
	}
	l.at = Counted
	if _, ok := peer.Epoch(l.at); ok {
		t.Error("counted for too long")
	}
	if Counted > Duration*98/100+time.Millisecond {
		t.Errorf("counted for %s: both clocks may be wrong", Counted)
	}
	later := a
	later.Epoch.Count++
	l.Take(follower, later)
	l.Take(follower, a)
	if s := peer.now.Load(); s.epoch != later.Epoch {
		t.Error("an older epoch was taken")
	}
	l2 := newSide(4, false)
	l2.Take(follower, a)
	if l2.Peer(follower).now.Load() != nil {
		t.Error("an answer to an older boot was taken")
	}
}

// TestRule5 keeps an old promise to a node that starts again, and gives it another
// one only after that.
func TestRule5(t *testing.T) {
	l, v := newSide(3, false), newSide(9, false)
	supported(t, l, v, 1, hlc.Max)
	l = newSide(4, true)
	q, _ := l.Question(1)
	v.at += Duration / 2
	v.Expire()
	if _, ok := v.Promise(leader, q, hlc.Max); ok {
		t.Error("the promise to the old boot was given to the new one")
	}
	v.at += Duration/2 + 1
	if ended := v.Expire(); len(ended) != 1 || ended[0].Ceiling != hlc.Timestamp(1).Add(Duration+Slack) {
		t.Errorf("ended %+v", ended)
	}
	if _, ok := v.Promise(leader, q, hlc.Max); !ok {
		t.Error("no promise to the new boot")
	}
}

// TestRule6 promises no ceiling that is not durable.
func TestRule6(t *testing.T) {
	l, v := newSide(3, false), newSide(9, false)
	durable := ts(700 * time.Millisecond)
	a := supported(t, l, v, ts(time.Millisecond), durable)
	if a.Ceiling != durable {
		t.Errorf("promised up to %s, durable is %s", a.Ceiling, durable)
	}
}

// TestRule7 is silent after a restart, and not on a new store.
func TestRule7(t *testing.T) {
	v := newSide(9, true)
	if v.at = Silence - 1; !v.Silent() {
		t.Error("it speaks too early")
	}
	if v.at = Silence; v.Silent() {
		t.Error("it is silent for too long")
	}
	if Silence <= Duration {
		t.Error("the silence is no longer than a promise")
	}
	if newSide(9, false).Silent() {
		t.Error("a new store is silent")
	}
}

// TestReview notes what begins, ends and changes.
func TestReview(t *testing.T) {
	l, v := newSide(3, false), newSide(9, false)
	at := l.Version()
	step := func(what string, changed bool) {
		t.Helper()
		l.Review()
		if (l.Version() != at) != changed {
			t.Errorf("%s: version %d, then %d", what, at, l.Version())
		}
		at = l.Version()
	}
	supported(t, l, v, 1, hlc.Max)
	step("support begins", true)
	l.at, v.at = l.at+AskEvery, v.at+AskEvery
	supported(t, l, v, 1, hlc.Max)
	step("it goes on", false)
	l.at += Duration
	step("it ends", true)
	v.at += 2 * Duration
	supported(t, l, v, 1, hlc.Max)
	step("it begins again, in another epoch", true)
	if s := l.Peer(follower).Standing(l.at); s.Left != Counted || s.Node != follower {
		t.Errorf("it stands so: %+v", s)
	}
}

// TestStanding says how support stands, for both sides, and why it ended.
func TestStanding(t *testing.T) {
	l, v := newSide(3, false), newSide(9, false)
	l.at, v.at = 5*time.Second, 9*time.Second
	if s := l.Peer(follower).Standing(l.at); s.Live || !s.Epoch.IsZero() || len(v.Given()) > 0 {
		t.Errorf("before anything was asked: %+v, %+v", s, v.Given())
	}
	a := supported(t, l, v, 1, hlc.Max)
	given := func() Standing {
		t.Helper()
		if g := v.Given(); len(g) == 1 && g[0].Node == leader {
			return g[0]
		}
		t.Fatalf("given: %+v", v.Given())
		return Standing{}
	}
	if g := given(); !g.Live || g.Since != v.at || g.Epoch != a.Epoch || g.Left != Duration || g.Ended != 0 {
		t.Errorf("given: %+v", g)
	}
	since := l.at
	l.at, v.at = l.at+AskEvery, v.at+AskEvery
	supported(t, l, v, 1, hlc.Max)
	if s := l.Peer(follower).Standing(l.at); !s.Live || s.Since != since || s.Epoch != a.Epoch || s.Left != Counted {
		t.Errorf("received: %+v", s)
	}
	end := func(late time.Duration, want cluster.SupportCause) {
		t.Helper()
		v.at += Duration + late
		v.Expire()
		if g := given(); g.Live || g.Cause != want || g.Since != v.at || g.Left != 0 {
			t.Errorf("%s after its end: %+v, want cause %s", late, g, want)
		}
	}
	end(1, cluster.SupportSilent)
	if g := given(); g.Epoch != a.Epoch || g.Ended != 1 {
		t.Errorf("of the stretch that is over: %+v", g)
	}
	l.at += Counted
	l.Review()
	if s := l.Peer(follower).Standing(l.at); s.Live || s.Ended != 1 || s.Since != l.at {
		t.Errorf("lost: %+v", s)
	}
	supported(t, l, v, 1, hlc.Max)
	end(stalled+1, cluster.SupportStalled)
	supported(t, l, v, 1, hlc.Max)
	q, _ := newSide(4, true).Question(1)
	if _, ok := v.Promise(leader, q, hlc.Max); ok {
		t.Error("promised to another boot at once")
	}
	end(1, cluster.SupportRestarted)
}

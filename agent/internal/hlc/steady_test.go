package hlc

import (
	"testing"
	"time"
)

// lab is a few nodes' clocks, moved by hand. The true time is begin plus now.
type lab struct {
	t     *testing.T
	begin time.Time
	now   time.Duration
	nodes []*labNode
}

type labNode struct {
	l      *lab
	offset time.Duration // of the wall clock
	asleep time.Duration // what the monotonic clock has not counted
	boot   time.Duration // of the boot-time clock: machines started at different times
	down   bool
	s      *Steady
}

const (
	labBound    = 500 * time.Millisecond
	labPatience = 30 * time.Second
	labSilence  = 5 * time.Second
)

func newLab(t *testing.T, nodes int) *lab {
	l := &lab{t: t, begin: time.UnixMilli(1_763_900_000_000)}
	for i := range nodes {
		l.nodes = append(l.nodes, &labNode{l: l, boot: time.Duration(i+1) * time.Hour, offset: time.Duration(i) * 50 * time.Millisecond})
		l.nodes[i].start()
	}
	return l
}

func (n *labNode) start() {
	n.down = false
	n.s = NewSteady(SteadyConfig{
		Read: func() (time.Time, time.Duration) {
			return n.l.begin.Add(n.l.now + n.offset), n.l.now + n.boot - n.asleep
		},
		Boot:  func() time.Duration { return n.l.now + n.boot },
		Bound: labBound, Patience: labPatience, Silence: labSilence,
	})
}

// run lets time pass, in seconds in which every node hears of the others.
func (l *lab) run(d time.Duration) {
	for end := l.now + d; l.now < end; l.now += time.Second {
		for _, n := range l.nodes {
			var peers []PeerClock
			for _, o := range l.nodes {
				if o != n && !o.down {
					st, zero := o.s.Standing(), -n.s.Boot()
					peers = append(peers, PeerClock{Wall: st.Time.Add(st.Step + zero), Time: st.Time.Add(zero), Belief: st.Belief})
				}
			}
			if !n.down {
				n.s.Judge(len(l.nodes), peers)
			}
		}
	}
}

// off is how far a node's time is from the true one.
func (n *labNode) off() time.Duration { return n.s.Now().Sub(n.l.begin.Add(n.l.now)) }

func (l *lab) want(what string, node int, low, high time.Duration) {
	l.t.Helper()
	if off := l.nodes[node].off(); off < low || off > high {
		l.t.Errorf("%s: the time of node %d is off by %s, want %s to %s", what, node, off, low, high)
	}
}

func (l *lab) wantTrue(what string) {
	l.t.Helper()
	for i, n := range l.nodes {
		if !n.down && !n.s.Settled() {
			l.t.Errorf("%s: node %d is not settled", what, i)
		}
		if !n.down {
			l.want(what, i, -labBound, labBound)
		}
	}
}

func TestAClusterThatStartsBelievesItsClocks(t *testing.T) {
	l := newLab(t, 3)
	if l.nodes[0].s.Settled() {
		t.Error("a node is settled before it heard of anybody")
	}
	l.run(2 * time.Second)
	l.wantTrue("after a start")
}

func TestAStepOfAMinorityIsNotTaken(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour, 24 * 365 * time.Hour, 700 * time.Millisecond, -700 * time.Millisecond} {
		l := newLab(t, 3)
		l.run(2 * time.Second)
		l.nodes[0].offset += step
		l.wantTrue("at once")
		l.run(2 * labPatience)
		l.wantTrue("while it lasts")
		if st := l.nodes[0].s.Standing(); (st.Step-step).Abs() > labBound || st.Taking {
			t.Errorf("a step of %s stands as %+v", step, st)
		}
		l.nodes[0].offset -= step
		l.run(2 * time.Second)
		l.wantTrue("repaired")
	}
}

func TestAStepOfAMajorityIsNotTakenBeforePatienceIsOver(t *testing.T) {
	l := newLab(t, 3)
	l.run(2 * time.Second)
	l.nodes[0].offset += time.Hour
	l.run(3 * time.Second)
	l.nodes[1].offset += time.Hour
	l.run(labPatience - 4*time.Second)
	l.wantTrue("two of three ahead")
	if st := l.nodes[1].s.Standing(); !st.Taking || st.Due > 6*time.Second {
		t.Errorf("what is about to be taken stands as %+v", st)
	}
	l.nodes[1].offset -= time.Hour
	l.run(3 * time.Second)
	l.nodes[0].offset -= time.Hour
	l.run(2 * labPatience)
	l.wantTrue("repaired")
}

func TestAStepOfAllIsTakenInTheEnd(t *testing.T) {
	l := newLab(t, 3)
	l.run(2 * time.Second)
	for _, n := range l.nodes {
		n.offset += time.Hour
		l.run(2 * time.Second)
	}
	l.run(labPatience + 3*time.Second)
	for i := range l.nodes {
		l.want("all ahead", i, time.Hour-labBound, time.Hour+labBound)
	}
}

// TestAStepBackOfAllIsSlewed: the time never stands still, and nodes stay together.
func TestAStepBackOfAllIsSlewed(t *testing.T) {
	l := newLab(t, 3)
	l.run(2 * time.Second)
	for _, n := range l.nodes {
		n.offset -= 10 * time.Second
		l.run(2 * time.Second)
	}
	l.run(labPatience)
	last := l.nodes[0].s.Now()
	for range 130 {
		l.run(time.Second)
		now := l.nodes[0].s.Now()
		if d := now.Sub(last); d < time.Second/2 && now.Sub(l.begin.Add(l.now)) < -10*time.Second {
			t.Fatalf("the time went on by %s in a second", d)
		}
		if d := l.nodes[0].off() - l.nodes[2].off(); d.Abs() > labBound {
			t.Fatalf("two nodes are %s apart", d)
		}
		last = now
	}
	for i := range l.nodes {
		l.want("slewed", i, -10*time.Second-labBound, -10*time.Second+labBound)
	}
}

func TestAWrongClockIsRepaired(t *testing.T) {
	l := newLab(t, 3)
	l.nodes[2].down = true
	l.run(2 * time.Second)
	l.nodes[2].offset = -time.Hour
	l.nodes[2].start()
	l.run(2 * time.Second)
	l.wantTrue("a node that starts with a wrong clock goes by its peers'")
	l.nodes[2].offset = 0
	l.run(2 * time.Second)
	l.wantTrue("repaired")
	if st := l.nodes[2].s.Standing(); st.Step.Abs() > labBound {
		t.Errorf("repaired, it stands as %+v", st)
	}
}

func TestSmallStepsDoNotAddUp(t *testing.T) {
	l := newLab(t, 3)
	l.run(2 * time.Second)
	for range 40 {
		l.nodes[0].offset += 400 * time.Millisecond
		l.run(time.Second)
		l.want("many small steps", 0, -labBound, 2*labBound)
	}
}

// TestASleepIsNoStep: the monotonic clock stood still, the others went on.
func TestASleepIsNoStep(t *testing.T) {
	l := newLab(t, 3)
	l.run(2 * time.Second)
	l.nodes[0].asleep += time.Hour
	l.now += time.Hour
	l.wantTrue("after a sleep")
	if st := l.nodes[0].s.Standing(); st.Step.Abs() > labBound {
		t.Errorf("a sleep stands as a step: %+v", st)
	}
	l.nodes[0].offset += time.Hour
	l.nodes[0].asleep += time.Hour
	l.now += time.Hour
	l.wantTrue("a step during a sleep")
}

func TestAPausedMachineTakesTheTimeOfItsPeers(t *testing.T) {
	l := newLab(t, 3)
	l.run(2 * time.Second)
	n := l.nodes[0]
	n.offset -= time.Minute // it was stopped from outside: no clock of it went on
	n.asleep += time.Minute
	n.boot -= time.Minute
	l.run(2 * time.Second)
	l.wantTrue("after a pause from outside")
}

func TestANodeAloneGoesOnFromItsPast(t *testing.T) {
	l := newLab(t, 3)
	l.run(2 * time.Second)
	past := l.nodes[0].s.Now()
	for _, n := range l.nodes {
		n.down = true
	}
	l.now += time.Minute
	n := l.nodes[0]
	n.offset = time.Hour
	n.start()
	n.s.Found(past)
	l.run(3 * time.Second)
	if n.s.Settled() {
		t.Error("settled before anybody had the time to answer")
	}
	l.run(4 * time.Second)
	if st := n.s.Standing(); st.Belief != Past {
		t.Errorf("alone it stands as %+v", st)
	}
	l.want("alone", 0, -time.Minute-labBound, -time.Minute+labBound)
	l.nodes[1].start()
	l.run(2 * time.Second)
	l.nodes[2].start()
	l.run(2 * time.Second)
	l.wantTrue("with the others")
	if st := n.s.Standing(); st.Belief != Sure {
		t.Errorf("with the others it stands as %+v", st)
	}
}

func TestANewNodeWaitsForItsPeers(t *testing.T) {
	l := newLab(t, 3)
	l.nodes[1].down, l.nodes[2].down = true, true
	l.run(time.Minute)
	if l.nodes[0].s.Settled() {
		t.Error("a node without a past is settled by itself")
	}
}

func TestANodeWithoutPeersBelievesItsClock(t *testing.T) {
	l := newLab(t, 1)
	n := l.nodes[0]
	n.s.Found(l.begin.Add(-time.Minute))
	l.run(time.Second)
	l.wantTrue("alone")
	n.offset = time.Hour
	l.run(labPatience / 2)
	l.wantTrue("a step that is repaired in time is not taken")
	l.run(labPatience)
	l.want("a step that stays is", 0, time.Hour-labBound, time.Hour+labBound)
	ahead := n.s.Now()
	n.offset = 0
	n.start()
	n.s.Found(ahead)
	l.run(time.Second)
	l.want("it never waits for a time that it was ahead by", 0, time.Hour-2*time.Second, time.Hour+2*time.Second)
}

package sim

import (
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// Clocks of a run: how far two nodes may be apart, how long most wall clocks must
// agree on a step, how long a start waits for peers.
const (
	clockBound    = 500 * time.Millisecond
	clockPatience = 8 * time.Second
	clockSilence  = 2 * time.Second
	// longestJump is for how long a clock is wrong when most of them are: less than
	// clockPatience, the time that it takes to notice included.
	longestJump = 5 * time.Second
	// ceilingSlack is how far ahead of the true time a ceiling may be: its lead, and
	// what a clock may be off.
	ceilingSlack = 2*time.Second + 2*clockBound
)

// truth is the true time.
func (w *World) truth() time.Time { return epoch.Add(w.now) }

// newSteady is the time of a node that starts. Machines started at different times,
// and their monotonic clocks miss what they slept.
func (n *Node) newSteady() *hlc.Steady {
	return hlc.NewSteady(hlc.SteadyConfig{
		Read: func() (time.Time, time.Duration) { return n.w.truth().Add(n.offset), n.boot() - n.asleep },
		Boot: n.boot, Bound: clockBound, Patience: clockPatience, Silence: clockSilence, Planted: n.w.cfg.PlantedClock,
	})
}

func (n *Node) boot() time.Duration { return n.w.now + time.Duration(n.id)*time.Hour }

// reading is what a node heard of a peer's clocks.
type reading struct {
	clock hlc.PeerClock
	at    time.Duration // by this node's boot-time clock
}

// readingAge is how long a reading says what the time is.
const readingAge = 3 * pingEvery

// askClocks asks every other node what its clocks say, and judges by what is known.
func (n *Node) askClocks() {
	n.checkTime()
	age, life := n.w.age, n.life
	for _, dst := range n.w.nodes {
		if dst == n || n.w.gone(dst.id) || n.w.cut[[2]cluster.NodeID{n.id, dst.id}] || n.w.chance(n.w.loss) {
			continue
		}
		sent := n.boot()
		n.w.After(n.w.ms(1, 5), func() {
			if !dst.Up() || n.w.age != age || n.w.cut[[2]cluster.NodeID{dst.id, n.id}] {
				return
			}
			st := dst.steady.Standing()
			n.w.After(n.w.ms(1, 5), func() {
				if !n.Up() || n.life != life {
					return
				}
				middle := (sent + n.boot()) / 2
				n.clocks[dst.id] = reading{hlc.PeerClock{Wall: st.Time.Add(st.Step - middle), Time: st.Time.Add(-middle), Belief: st.Belief}, n.boot()}
				if n.steady.Standing().Belief != hlc.Sure {
					n.judge()
				}
			})
		})
	}
	n.judge()
	pause := pingEvery
	if n.steady.Standing().Belief != hlc.Sure {
		pause /= 5
	}
	n.later(pause, n.askClocks)
}

func (n *Node) judge() {
	members := 0
	var clocks []hlc.PeerClock
	for _, o := range n.w.nodes {
		if n.w.gone(o.id) {
			continue
		}
		members++
		if r, ok := n.clocks[o.id]; ok && n.boot()-r.at <= readingAge {
			clocks = append(clocks, r.clock)
		}
	}
	n.steady.Judge(members, clocks)
	n.checkTime()
}

// checkTime holds that a node's time is the true one, and that nothing ahead of it
// is durable, as long as most clocks are right. A node that goes on from its past
// is behind.
func (n *Node) checkTime() {
	off := n.steady.Now().Sub(n.w.truth())
	switch st := n.steady.Standing(); {
	case n.w.tainted || st.Belief == hlc.Asking:
	case off > 2*clockBound || st.Belief == hlc.Sure && off < -2*clockBound:
		n.w.fail("the time of %s (%s) is off by %s although most clocks are right", n.id, st.Belief, off)
	}
	ceiling, err := store.Ceiling(n.engine)
	if err != nil {
		n.w.fail("read the ceiling of %s: %v", n.id, err)
	}
	if ahead := ceiling.Time().Sub(n.w.truth()); ahead > ceilingSlack && !n.w.tainted {
		n.w.fail("the ceiling of %s is %s ahead of the true time although most clocks were right", n.id, ahead)
	}
}

// jumpClock moves a node's wall clock: a little, by what peers do not accept any
// more, or by anything.
func (w *World) jumpClock(n *Node, heal time.Duration) {
	w.Stats.ClockJumps++
	n.offset = n.honest + w.ms(0, 400) - 200*time.Millisecond
	if w.chance(50) && !w.mostJumped(n) {
		n.offset = n.honest + w.jump()
	}
	w.After(heal, func() { n.offset = n.honest }) // another jump may lie between
}

// jump draws how far a clock is set.
func (w *World) jump() time.Duration {
	jumps := []time.Duration{700 * time.Millisecond, 3 * time.Second, time.Minute, time.Hour, 365 * 24 * time.Hour}
	d := jumps[w.rng.IntN(len(jumps))]
	if w.chance(40) {
		return -d
	}
	return d
}

// mostJumped reports whether half of the clocks, n's too, would be wrong.
func (w *World) mostJumped(n *Node) bool {
	wrong := 1
	for _, o := range w.nodes {
		if o != n && !w.gone(o.id) && o.clockWrong() {
			wrong++
		}
	}
	return 2*wrong >= len(w.nodes)
}

// mostWrong reports whether most clocks may be wrong: see jumpAll.
func (w *World) mostWrong() bool { return w.wrongUntil > w.now }

func (n *Node) clockWrong() bool { return (n.offset - n.honest).Abs() > clockBound/2 }

// jumpAll is a bad time server: most clocks, or all, are set to the same wrong time
// within a second, and repaired one after the other within longestJump. Nodes may be
// restarted meanwhile, as long as others run that know what the time is: nobody can
// tell a cluster that starts as a whole that most of its clocks are wrong. So whatever
// restarts several nodes waits until mostWrong is over.
func (w *World) jumpAll() {
	if w.mostWrong() {
		return
	}
	w.wrongUntil = w.now + longestJump + time.Second
	w.Stats.MassJumps++
	d := w.jump()
	spared := -1
	if w.chance(50) {
		spared = w.rng.IntN(len(w.nodes))
	}
	for i, n := range w.nodes {
		if i == spared {
			continue
		}
		w.After(w.ms(0, 1000), func() { n.offset = n.honest + d })
		w.After(w.ms(1001, int(longestJump.Milliseconds())), func() { n.offset = n.honest })
	}
	if n := w.nodes[w.rng.IntN(len(w.nodes))]; w.chance(70) {
		w.After(w.ms(200, 4000), func() {
			if w.othersSure(n) {
				n.crash()
			}
		})
	}
}

// othersSure reports whether every other node runs, is heard and knows the time.
func (w *World) othersSure(n *Node) bool {
	if len(w.cut) > 0 || w.loss > 0 {
		return false
	}
	for _, o := range w.nodes {
		if o != n && !w.gone(o.id) && (!o.Up() || o.crashIn > 0 || o.steady.Standing().Belief != hlc.Sure) {
			return false
		}
	}
	return true
}

// sleep suspends a node's machine for a while: its monotonic clock stands still.
func (w *World) sleep(n *Node, d time.Duration) {
	n.paused = true
	w.Stats.Sleeps++
	w.After(d, func() {
		if n.paused {
			n.asleep += d
			n.paused = false
		}
	})
}

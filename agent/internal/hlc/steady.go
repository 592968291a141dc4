package hlc

import (
	"sync"
	"time"
)

// Belief is what a node's time rests on.
type Belief uint8

// The beliefs. A node that is asking gives no timestamp and takes none.
const (
	Asking Belief = iota // after a start: peers have not told yet what the time is
	Past                 // hardly any peer is there to tell: the time goes on from where the node was before
	Sure                 // a majority agreed, or there is nobody else
)

// String returns the word that operators read.
func (b Belief) String() string {
	switch b {
	case Asking:
		return "asking"
	case Past:
		return "past"
	case Sure:
	}
	return "sure"
}

// SteadyConfig is what a Steady reads and how it judges.
type SteadyConfig struct {
	// Read returns the wall clock, and a monotonic clock that may stand still while
	// the machine is suspended.
	Read func() (wall time.Time, mono time.Duration)
	// Boot returns the boot-time clock, which does not stand still. It is read when
	// the wall clock moved against the monotonic one, and to judge.
	Boot func() time.Duration
	// Bound is how far the clocks of two nodes may be apart: max_clock_offset. A wall
	// clock that is further from the node's time is not followed.
	Bound time.Duration
	// Patience is how long the wall clocks of a majority must agree on a step before
	// it is taken. Too short: a bad time server moves the cluster before it is
	// repaired. Too long costs nothing but times that differ from the walls'.
	Patience time.Duration
	// Silence is how long a start waits for peers before it goes on from its past.
	Silence time.Duration
	// Planted holds faults that tests plant.
	Planted Planted
}

// PeerClock is what a peer said of its clocks, as the times at which this node's
// boot-time clock was zero.
type PeerClock struct {
	Wall, Time time.Time
	Belief     Belief
}

// Standing is where a node's time stands.
type Standing struct {
	Belief Belief
	Time   time.Time
	// Step is how far the wall clock is ahead of Time; beyond the bound it is not
	// followed.
	Step time.Duration
	// Taking says that a majority of wall clocks agrees with this one, so that the
	// step will be taken: forward in Due, back by a tenth of the time that passes.
	Taking bool
	Due    time.Duration
}

// Steady is the physical clock that a node's timestamps follow: it goes with the
// boot-time clock and follows the wall clock only where others agree.
//
//   - Steps within the bound are followed at once, as long as they do not add up to
//     more than the bound since others agreed last.
//   - A step forward is taken when a majority of the members, this node counted, has
//     that time already, or has had wall clocks that say so for Config.Patience.
//   - A step back is never taken at once: the time goes a tenth slower until it is
//     where a majority of wall clocks says.
//   - A node that is alone with its time takes that of a majority of its peers.
//   - After a start, peers that are sure decide; if none is, a majority of wall
//     clocks; if too few answer, the node goes on from its past, which is not ahead
//     of the time. A node without peers believes its wall clock, but for its past.
//
// Nothing of a step that is not taken gets into a timestamp, and so to disk.
type Steady struct {
	cfg SteadyConfig

	mu struct {
		sync.Mutex
		base   time.Time // the time when the boot-time clock was zero
		agreed time.Time // base when others last agreed with the wall clock
		slept  time.Duration
		// wall and mono are of the last reading.
		wall time.Time
		mono time.Duration

		belief Belief
		opened time.Duration // by the boot-time clock
		past   time.Time     // where the node was before; zero: nowhere
		// agreeing is since when most wall clocks agree with a step; 0: they do not.
		agreeing time.Duration
		judged   time.Duration
	}
}

// jitter is how far the wall clock may move against the monotonic one between two
// readings without a look at the boot-time clock: slews and the reading itself.
const jitter = 10 * time.Millisecond

// slewShare is the part of the time that passes by which a time that is ahead goes
// slower: two nodes that begin a few seconds apart stay within the bound.
const slewShare = 10

// NewSteady returns a clock that asks.
func NewSteady(cfg SteadyConfig) *Steady {
	s := &Steady{cfg: cfg}
	wall, mono := cfg.Read()
	boot := cfg.Boot()
	s.mu.wall, s.mu.mono, s.mu.slept, s.mu.opened, s.mu.judged = wall, mono, boot-mono, boot, boot
	s.mu.base = wall.Add(-boot)
	s.mu.agreed = s.mu.base
	return s
}

// Now returns the time.
func (s *Steady) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.base.Add(s.look())
}

// look reads the clocks and returns the boot-time clock; s.mu is held.
func (s *Steady) look() (boot time.Duration) {
	wall, mono := s.cfg.Read()
	moved := wall.Sub(s.mu.wall) - (mono - s.mu.mono)
	s.mu.wall, s.mu.mono = wall, mono
	if moved.Abs() > jitter && !s.cfg.Planted.sleepIsStep() {
		s.wakeUp()
	}
	boot = mono + s.mu.slept
	zero := wall.Add(-boot)
	near := s.near(zero, s.mu.agreed) && s.mu.belief == Sure && s.near(zero, s.mu.base)
	if near || s.mu.belief == Asking || s.cfg.Planted.stepAtOnce() {
		s.mu.base = zero
	}
	return boot
}

// wakeUp counts the time for which the machine was suspended. The monotonic clock
// is read last, so that a pause between the readings is not counted; s.mu is held.
func (s *Steady) wakeUp() {
	boot := s.cfg.Boot()
	_, mono := s.cfg.Read()
	if slept := boot - mono; slept > s.mu.slept+jitter {
		s.mu.slept = slept
	}
}

func (s *Steady) near(a, b time.Time) bool { return a.Sub(b).Abs() <= s.cfg.Bound }

// Found tells where the node was before it was restarted, if it was anywhere: a
// time that was not ahead of the true one then.
func (s *Steady) Found(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.past = at
}

// Settled reports whether the time may be used.
func (s *Steady) Settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.belief != Asking
}

// Standing returns where the time stands.
func (s *Steady) Standing() Standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	boot := s.look()
	st := Standing{Belief: s.mu.belief, Time: s.mu.base.Add(boot), Step: s.mu.wall.Add(-boot).Sub(s.mu.base)}
	if st.Taking = s.mu.agreeing != 0; st.Taking {
		st.Due = max(0, s.mu.agreeing+s.cfg.Patience-boot)
	}
	return st
}

// Wall returns the wall clock, which may be anywhere.
func (s *Steady) Wall() time.Time {
	wall, _ := s.cfg.Read()
	return wall
}

// Boot returns the boot-time clock.
func (s *Steady) Boot() time.Duration { return s.cfg.Boot() }

// Judge decides what the time is by what peers said lately. Members is how many
// nodes there are, this one counted.
func (s *Steady) Judge(members int, peers []PeerClock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	boot := s.look()
	j := judgement{s: s, boot: boot, wall: s.mu.wall.Add(-boot), majority: members/2 + 1, peers: peers}
	if s.mu.belief == Sure {
		j.keep()
	} else {
		j.begin()
	}
	s.mu.judged = boot
}

// judgement is one look at all clocks; s.mu is held.
type judgement struct {
	s        *Steady
	boot     time.Duration
	wall     time.Time // when the boot-time clock was zero, as all times here
	majority int
	peers    []PeerClock
}

// begin decides after a start.
func (j *judgement) begin() {
	m := &j.s.mu
	if j.s.cfg.Planted.trustStart() {
		j.settle(j.wall)
		return
	}
	if j.majority == 1 { // nobody else would refuse a time that is ahead
		j.settle(latest(j.wall, j.gone()))
		return
	}
	sure := j.times(Sure)
	_, walls := j.agree(j.wall)
	switch at, ok := j.most(sure, len(sure)/2+1); {
	case len(sure) > 0 && 2*count(sure, j.wall, j.s.cfg.Bound) >= len(sure):
		j.settle(j.wall)
	case len(sure) > 0 && ok:
		j.settle(at)
	case len(sure) == 0 && walls >= j.majority:
		j.settle(j.wall)
	case m.past.IsZero() || j.boot-m.opened < j.s.cfg.Silence:
	default:
		if m.belief == Asking {
			m.belief, m.base = Past, j.gone()
		}
		for _, at := range j.times(Past) { // each of them is not ahead of the time
			m.base = latest(m.base, at)
		}
	}
}

// gone is the past, gone on since the start.
func (j *judgement) gone() time.Time { return j.s.mu.past.Add(-j.s.mu.opened) }

func (j *judgement) settle(at time.Time) {
	m := &j.s.mu
	m.belief, m.base, m.agreed, m.agreeing = Sure, at, at, 0
}

// keep decides while the node runs.
func (j *judgement) keep() {
	m := &j.s.mu
	times, walls := j.agree(j.wall)
	if j.s.near(j.wall, m.base) {
		m.agreeing = 0
		if times >= j.majority {
			m.agreed = j.wall
		}
	}
	if at, ok := j.most(j.times(Sure), j.majority); ok && !j.s.near(at, m.base) {
		j.settle(at)
		return
	}
	step := j.wall.Sub(m.base)
	if step.Abs() <= j.s.cfg.Bound && j.s.near(j.wall, m.agreed) {
		return
	}
	if step > 0 && times >= max(2, j.majority) {
		j.settle(j.wall)
		return
	}
	if walls < j.majority {
		m.agreeing = 0
		return
	}
	if m.agreeing == 0 {
		m.agreeing = j.boot
	}
	if j.boot-m.agreeing < j.s.cfg.Patience && !(step > 0 && times > 1) {
		return
	}
	if step > 0 {
		j.settle(j.wall)
		return
	}
	m.base = latest(j.wall, m.base.Add(-(j.boot-m.judged)/slewShare))
	m.agreed = m.base
}

// times are those of the peers of one belief.
func (j *judgement) times(b Belief) []time.Time {
	var out []time.Time
	for _, p := range j.peers {
		if p.Belief == b {
			out = append(out, p.Time)
		}
	}
	return out
}

// agree counts whose time, and whose wall clock, is near at. This node is counted.
func (j *judgement) agree(at time.Time) (times, walls int) {
	times, walls = 1, 1
	for _, p := range j.peers {
		if p.Belief == Sure && j.s.near(p.Time, at) {
			times++
		}
		if j.s.near(p.Wall, at) {
			walls++
		}
	}
	return times, walls
}

// most returns a time that enough of all are near.
func (j *judgement) most(all []time.Time, enough int) (time.Time, bool) {
	for _, at := range all {
		if count(all, at, j.s.cfg.Bound) >= enough {
			return at, true
		}
	}
	return time.Time{}, false
}

func count(all []time.Time, at time.Time, bound time.Duration) int {
	n := 0
	for _, t := range all {
		if t.Sub(at).Abs() <= bound {
			n++
		}
	}
	return n
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

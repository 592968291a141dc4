package lease

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// model is a requester and a supporter in true time, with what lets a third see
// whether they agree: when each epoch ended, and where clocks began again.
type model struct {
	rng     *rand.Rand
	now     time.Duration // true
	l, v    *modelNode
	mail    []letter
	ended   map[Epoch]time.Duration // true time of each epoch's end at the supporter
	raised  map[Epoch]hlc.Timestamp // the supporter's clock after it
	served  map[Epoch]hlc.Timestamp // up to which the requester may have served
	given   Epoch                   // the last one that was promised
	hushed  time.Duration           // nothing is asked until then
	durable hlc.Timestamp           // of the supporter
}

type modelNode struct {
	*Pairs
	rate  float64
	base  time.Duration
	boots uint32
	clock hlc.Timestamp
}

type letter struct {
	at     time.Duration
	ask    *Ask
	answer *Answer
}

func newModel(seed uint64, planted Planted) *model {
	m := &model{rng: rand.New(rand.NewPCG(seed, 1)), ended: map[Epoch]time.Duration{}, raised: map[Epoch]hlc.Timestamp{}, served: map[Epoch]hlc.Timestamp{}}
	m.l = &modelNode{rate: m.rate(), base: time.Duration(m.rng.Int64N(int64(time.Hour)))}
	m.v = &modelNode{rate: m.rate(), base: time.Duration(m.rng.Int64N(int64(time.Hour)))}
	m.start(m.l, planted)
	m.start(m.v, planted)
	return m
}

func (m *model) rate() float64 {
	return 1 + []float64{-Rate, 0, Rate}[m.rng.IntN(3)]/100
}

func (m *model) start(n *modelNode, planted Planted) {
	n.boots++
	n.Pairs = NewPairs(func() time.Duration { return n.base + time.Duration(float64(m.now)*n.rate) }, n.boots > 1, planted)
	n.Begin(cluster.NewBoot(n.boots, m.rng.Uint32()))
}

// step lets something happen, and returns what is wrong.
func (m *model) step(planted Planted) string {
	m.now += time.Duration(m.rng.Int64N(int64(25 * time.Millisecond)))
	m.l.clock = max(m.l.clock, ts(m.now))
	m.v.clock = max(m.v.clock, ts(m.now-200*time.Millisecond))
	m.durable = max(m.durable, m.v.clock.Add(time.Second))
	switch x := m.rng.IntN(100); {
	case x < 1:
		m.start(m.l, planted)
	case x < 2: // the epochs of this boot end when the silence does
		at := m.now
		for _, e := range m.known() {
			if _, ok := m.ended[e]; !ok {
				m.ended[e] = at + time.Duration(float64(Silence)/m.v.rate)
				m.raised[e] = m.durable
			}
		}
		m.v.clock = m.durable
		m.start(m.v, planted)
	case x < 4:
		m.hushed = m.now + time.Duration(m.rng.Int64N(int64(2*time.Second)))
	case x < 40 && m.now > m.hushed:
		if q, ok := m.l.Question(m.l.clock); ok {
			m.post(letter{ask: &q})
		}
	default:
		m.deliver()
	}
	m.expire()
	return m.wrong()
}

func (m *model) known() []Epoch {
	var es []Epoch
	for _, p := range m.l.peers {
		if s := p.now.Load(); s != nil {
			es = append(es, s.epoch)
		}
	}
	for _, x := range m.mail {
		if x.answer != nil {
			es = append(es, x.answer.Epoch)
		}
	}
	return es
}

func (m *model) expire() {
	for _, e := range m.v.Expire() {
		m.v.clock = max(m.v.clock, e.Ceiling)
		m.ended[m.given], m.raised[m.given] = m.now, m.v.clock
	}
}

func (m *model) post(x letter) {
	if m.rng.IntN(10) == 0 {
		return
	}
	x.at = m.now + time.Duration(m.rng.Int64N(int64([]time.Duration{5 * time.Millisecond, 5 * time.Millisecond, 900 * time.Millisecond}[m.rng.IntN(3)])))
	m.mail = append(m.mail, x)
}

func (m *model) deliver() {
	var rest []letter
	for _, x := range m.mail {
		switch {
		case x.at > m.now:
			rest = append(rest, x)
		case x.ask != nil:
			m.expire()
			if a, ok := m.v.Promise(leader, *x.ask, m.durable); ok {
				m.given = a.Epoch
				defer m.post(letter{answer: &a})
			}
		default:
			m.l.Take(follower, *x.answer)
		}
	}
	m.mail = rest
}

// wrong looks whether the requester counts what has ended, or a ceiling that the
// supporter's clock would begin below.
func (m *model) wrong() string {
	e, ok := m.l.Peer(follower).Epoch(m.l.Now())
	if ok {
		m.served[e] = max(m.served[e], m.l.Peer(follower).now.Load().ceiling)
	}
	if at, over := m.ended[e]; ok && over && m.now > at {
		return "an epoch counts after its end"
	}
	for e, raised := range m.raised {
		if m.served[e] > raised {
			return "a ceiling counted above the supporter's clock"
		}
	}
	return ""
}

func runModel(seed uint64, planted Planted) string {
	m := newModel(seed, planted)
	for range 400 {
		if bad := m.step(planted); bad != "" {
			return bad
		}
	}
	return ""
}

// TestModel has a requester and a supporter live through random lives, and looks
// with other eyes whether what one counts the other still promises.
func TestModel(t *testing.T) {
	for seed := uint64(1); seed <= 500; seed++ {
		if bad := runModel(seed, Planted{}); bad != "" {
			t.Fatalf("seed %d: %s", seed, bad)
		}
	}
}

package admission

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
)

// statement is one that the model knows.
type statement struct {
	id     int
	begun  bool
	cancel context.CancelFunc
	done   chan error // of Take
	place  *Place
}

// model is what a queue must do.
type model struct {
	ctx           context.Context // of all statements
	rng           *rand.Rand
	q             *Queue
	limit, room   int
	next          int
	running, away []*statement
	begun, others []*statement // in line
}

// runModel makes random statements come, end, leave the line, go away and come back,
// and returns how the queue differed from the model; "": it did not.
func runModel(t *testing.T, seed uint64, planted Planted) (bad string) {
	synctest.Test(t, func(*testing.T) {
		rng := rand.New(rand.NewPCG(seed, 0))
		m := &model{rng: rng, limit: 1 + rng.IntN(4), room: rng.IntN(5)}
		m.q = New("short", m.limit, m.room)
		m.q.planted = planted
		var over context.CancelFunc
		m.ctx, over = context.WithCancel(context.Background())
		for step := 0; step < 200 && bad == ""; step++ {
			if bad = m.step(); bad != "" {
				bad = fmt.Sprintf("step %d: %s", step, bad)
			}
		}
		over()
		synctest.Wait()
	})
	return bad
}

func (m *model) step() string {
	switch n := m.rng.IntN(10); {
	case n < 4:
		return m.come(m.rng.IntN(4) == 0)
	case n < 6 && len(m.running) > 0:
		i := m.rng.IntN(len(m.running))
		m.running[i].place.End()
		m.running = slices.Delete(m.running, i, i+1)
	case n < 7 && len(m.begun)+len(m.others) > 0:
		return m.giveUp()
	case n < 8 && len(m.running) > 0:
		i := m.rng.IntN(len(m.running))
		m.running[i].place.Yield()
		m.away = append(m.away, m.running[i])
		m.running = slices.Delete(m.running, i, i+1)
	case n < 9 && len(m.away) > 0:
		s := m.away[0]
		m.away = m.away[1:]
		m.wait(s, true, s.place.Resume)
		m.begun = append(m.begun, s)
	}
	return m.settle()
}

// wait runs what may wait for a place.
func (m *model) wait(s *statement, begun bool, fn func() error) {
	s.begun, s.done = begun, make(chan error, 1)
	go func() { s.done <- fn() }()
	synctest.Wait()
}

// come begins a statement.
func (m *model) come(begun bool) string {
	ctx, cancel := context.WithCancel(m.ctx)
	s := &statement{id: m.next, cancel: cancel}
	m.next++
	full := len(m.running) == m.limit && len(m.others) >= m.room && !begun
	m.wait(s, begun, func() (err error) {
		s.place, err = m.q.Take(ctx, begun)
		return err
	})
	if full {
		var why *FullError
		select {
		case err := <-s.done:
			if errors.As(err, &why) {
				return m.settle()
			}
		default:
		}
		cancel()
		return fmt.Sprintf("statement %d waits, though %d of %d do", s.id, len(m.others), m.room)
	}
	if begun {
		m.begun = append(m.begun, s)
	} else {
		m.others = append(m.others, s)
	}
	return m.settle()
}

// giveUp has one leave the line, at the very moment in which it may get its turn.
func (m *model) giveUp() string {
	line := &m.others
	if len(m.begun) > 0 {
		line = &m.begun
	}
	s := (*line)[0]
	*line = (*line)[1:]
	if len(m.running) > 0 && m.rng.IntN(2) == 0 {
		s.cancel()
		m.running[0].place.End() // nobody has looked at the cancelled one since
		m.running = m.running[1:]
	} else {
		s.cancel()
	}
	synctest.Wait()
	switch err := <-s.done; {
	case err == nil && s.place != nil: // both happened: it may have either
		s.place.End()
	case !errors.Is(err, context.Canceled):
		return fmt.Sprintf("statement %d left the line and got %v", s.id, err)
	}
	return m.settle()
}

// settle gives places in the model, and compares.
func (m *model) settle() string {
	synctest.Wait()
	for len(m.running) < m.limit {
		line := &m.begun
		if len(*line) == 0 {
			line = &m.others
		}
		if len(*line) == 0 {
			break
		}
		s := (*line)[0]
		*line = (*line)[1:]
		select {
		case err := <-s.done:
			if err != nil {
				return fmt.Sprintf("statement %d, next in line, got %v", s.id, err)
			}
		default:
			return fmt.Sprintf("statement %d is next in line and waits, while %d of %d run", s.id, len(m.running), m.limit)
		}
		m.running = append(m.running, s)
	}
	for _, s := range slices.Concat(m.begun, m.others) {
		if len(s.done) > 0 {
			return fmt.Sprintf("statement %d got its turn too early", s.id)
		}
	}
	if u := m.q.Usage(); u.Running != len(m.running) || u.Waiting != len(m.begun)+len(m.others) {
		return fmt.Sprintf("%d run and %d wait, want %d and %d", u.Running, u.Waiting, len(m.running), len(m.begun)+len(m.others))
	}
	return ""
}

func TestModel(t *testing.T) {
	for seed := uint64(1); seed <= 300; seed++ {
		if bad := runModel(t, seed, Planted{}); bad != "" {
			t.Fatalf("seed %d: %s", seed, bad)
		}
	}
}

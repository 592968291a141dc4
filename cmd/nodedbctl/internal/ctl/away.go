package ctl

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
)

// awayEvery is how often it is said that nobody answers.
const awayEvery = 5 * time.Second

// Away says on stderr, every 5 s, that no node answers, while a verb waits for
// one: it may be waited for, but not without a word. It may be used by any
// number of goroutines.
type Away struct {
	term *term.Streams
	live bool // a block on the screen says it

	mu struct {
		sync.Mutex
		since time.Time // zero: somebody answers
		why   error
		timer *time.Timer
	}
}

// NewAway begins: until Back is called, nobody has answered. With live set it
// says nothing by itself, see Text. The caller calls Stop.
func (e *Env) NewAway(live bool) *Away {
	a := &Away{term: e.Term, live: live}
	a.Lost(nil)
	return a
}

// Lost tells that nobody answers, and why, if that is known.
func (a *Away) Lost(why error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.why = why
	if !a.mu.since.IsZero() {
		return
	}
	a.mu.since = time.Now()
	if !a.live {
		a.mu.timer = time.AfterFunc(awayEvery, a.remind)
	}
}

// Back tells that a node answers.
func (a *Away) Back() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.since, a.mu.why = time.Time{}, nil
	if a.mu.timer != nil {
		a.mu.timer.Stop()
	}
}

// Stop ends it.
func (a *Away) Stop() { a.Back() }

// Text is what is to be said; empty while somebody answers.
func (a *Away) Text() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.textLocked()
}

// What is Text for an end: nothing is tried any more.
func (a *Away) What() string { return strings.TrimSuffix(a.Text(), stillTrying) }

const stillTrying = "; still trying, Ctrl-C ends this"

func (a *Away) textLocked() string {
	if a.mu.since.IsZero() {
		return ""
	}
	s := "no node has answered for " + render.Duration(time.Since(a.mu.since).Round(time.Second))
	if a.mu.why != nil {
		s += fmt.Sprintf(" (%v)", a.mu.why)
	}
	return s + stillTrying
}

func (a *Away) remind() {
	a.mu.Lock()
	text := a.textLocked()
	if text != "" {
		a.mu.timer.Reset(awayEvery)
	}
	a.mu.Unlock()
	if text != "" {
		a.term.Say("%s", text)
	}
}

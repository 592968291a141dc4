package sim

import (
	"context"
	"errors"
	"iter"
	"time"
)

// task runs code that waits, as package txn's does, in the world's one goroutine: it goes
// on where it waited when the event that it waits for comes. A task of a node dies with
// the node's life, or with its gateway.
type task struct {
	g     *gateway
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	ended bool
}

// errKilled ends a task that nobody will ever resume.
var errKilled = errors.New("the task was killed")

// spawn begins a task on a gateway, which runs until it waits for the first time.
func (g *gateway) spawn(fn func()) {
	t := &task{g: g}
	t.next, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		defer func() {
			t.ended = true
			if r := recover(); r != nil && r != any(errKilled) {
				panic(r)
			}
		}()
		fn()
	})
	g.n.w.tasks = append(g.n.w.tasks, t)
	t.resume()
}

// resume has the task go on.
func (t *task) resume() {
	w := t.g.n.w
	if t.ended || t.g.n.gateway != t.g {
		return // its gateway has died: it waits for ever
	}
	before := w.running
	w.running = t
	t.next()
	w.running = before
}

// wait has the running task wait until somebody resumes it.
func (w *World) wait() {
	t := w.running
	if !t.yield(struct{}{}) {
		panic(errKilled)
	}
}

// endTasks ends those that wait, at the end of a run.
func (w *World) endTasks() {
	for _, t := range w.tasks {
		t.stop()
	}
}

// sleep is a Sleep of package txn.
func (g *gateway) sleep(_ context.Context, d time.Duration) error {
	t := g.n.w.running
	g.n.later(d, t.resume)
	g.n.w.wait()
	return nil
}

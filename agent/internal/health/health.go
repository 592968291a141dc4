// Package health collects what each component says of itself.
//
// # Concurrency
//
// A Board may be used by any number of goroutines.
package health

import (
	"sort"
	"sync"
)

// Problem is why the node should not get traffic; a warning is something else that
// is wrong.
type Problem struct {
	Component string `json:"component"`
	// Code is a stable word for scripts, e.g. "starting", "draining", "no-meta-leader".
	Code   string `json:"code"`
	Detail string `json:"detail,omitempty"`
	// Warning says that the node should get traffic all the same.
	Warning bool `json:"warning,omitempty"`
}

// Board holds the current problems of a node.
type Board struct {
	mu struct {
		sync.Mutex
		problems map[string]Problem
	}
}

// NewBoard returns a board without problems.
func NewBoard() *Board {
	b := &Board{}
	b.mu.problems = map[string]Problem{}
	return b
}

// Set records component's problem, replacing an earlier one.
func (b *Board) Set(p Problem) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.problems[p.Component] = p
}

// Clear says that component has no problem.
func (b *Board) Clear(component string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.mu.problems, component)
}

// Problems returns all problems, ordered by component. None but warnings: the node
// is ready.
func (b *Board) Problems() []Problem {
	b.mu.Lock()
	defer b.mu.Unlock()
	ps := make([]Problem, 0, len(b.mu.problems))
	for _, p := range b.mu.problems {
		ps = append(ps, p)
	}
	sort.Slice(ps, func(i, j int) bool { return ps[i].Component < ps[j].Component })
	return ps
}

package aggregate

import (
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/codec"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Groups are the states of groups of rows.
type Groups struct {
	by        []datum.Type
	functions []Function
	index     map[string]int // by key
	keys      []string
	states    []State // as many for each group as there are functions
	size      int64
	scratch   []byte
	spare     []State
}

// NewGroups returns no groups of rows, by values of some types.
func NewGroups(by []datum.Type, functions []Function) *Groups {
	return &Groups{by: by, functions: functions, index: map[string]int{}}
}

const (
	groupBytes = 96  // of memory, of a group without its key and its states
	stateBytes = 112 // of a state without what it refers to
)

// Len is how many groups there are, Size about how many bytes of memory they take.
func (g *Groups) Len() int { return len(g.keys) }

// Size is about how many bytes of memory the groups take.
func (g *Groups) Size() int64 { return g.size }

// Of returns the states of the group with the values by, which is there from then on. They
// are valid until the next call. Null is a value.
func (g *Groups) Of(by []datum.Datum) []State {
	g.scratch = g.scratch[:0]
	for i := range by {
		g.scratch = appendBy(g.scratch, &by[i])
	}
	return g.of(g.scratch)
}

// appendBy encodes a value to group by, so that only equal ones are the same.
func appendBy(dst []byte, v *datum.Datum) []byte {
	if v.Null || !v.Type.IsInt() {
		return append(dst, datum.EncodeStored(*v)...)
	}
	return datum.AppendStoredInt(dst, v.I)
}

func (g *Groups) of(key []byte) []State {
	i, ok := g.index[string(key)]
	if !ok {
		i = len(g.keys)
		k := string(key)
		g.index[k] = i
		g.keys = append(g.keys, k)
		g.states = slices.Grow(g.states, len(g.functions))[:len(g.states)+len(g.functions)]
		g.size += groupBytes + int64(2*len(k)+stateBytes*len(g.functions))
	}
	return g.states[i*len(g.functions) : (i+1)*len(g.functions)]
}

// Each calls fn with each group, encoded for Merge; what it is given is valid during the
// call only.
func (g *Groups) Each(fn func(key, states []byte)) {
	for i, k := range g.keys {
		g.scratch = g.scratch[:0]
		for n, f := range g.functions {
			g.scratch = f.Append(g.scratch, &g.states[i*len(g.functions)+n])
		}
		fn([]byte(k), g.scratch)
	}
}

// Reset forgets all groups.
func (g *Groups) Reset() {
	clear(g.index)
	clear(g.states)
	g.keys, g.states, g.size = g.keys[:0], g.states[:0], 0
}

// Merge takes a group that Each has encoded.
func (g *Groups) Merge(key, states []byte) error {
	if len(g.spare) < len(g.functions) {
		g.spare = make([]State, len(g.functions))
	}
	r := codec.Read(states, errMalformed)
	for i, f := range g.functions {
		f.take(&r, &g.spare[i])
	}
	if err := r.End(); err != nil {
		return fmt.Errorf("take a group: %w", err)
	}
	into := g.of(key)
	for i, f := range g.functions {
		if err := f.Merge(&into[i], &g.spare[i]); err != nil {
			return err
		}
	}
	return nil
}

// Row fills out with the values of group i, and what the functions say of it.
func (g *Groups) Row(i int, out []datum.Datum) error {
	rest := []byte(g.keys[i])
	for n, t := range g.by {
		var err error
		if out[n], rest, err = datum.TakeStored(t, rest); err != nil {
			return fmt.Errorf("take the values of a group: %w", err)
		}
	}
	for n, f := range g.functions {
		var err error
		if out[len(g.by)+n], err = f.Final(&g.states[i*len(g.functions)+n]); err != nil {
			return err
		}
	}
	return nil
}

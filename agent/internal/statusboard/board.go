package statusboard

import (
	"cmp"
	"slices"
	"sync"
)

// goneMost bounds the removals that a board remembers: who asks with an older base
// gets everything. More than any node loses between two questions.
const goneMost = 4096

// Rules say which values of a board are the same.
type Rules[V any] struct {
	// Same reports whether b says nothing that a does not.
	Same func(a, b *V) bool
	// SameRoot reports whether the part that seldom changes is the same. Nil: Same.
	SameRoot func(a, b *V) bool
}

// Board holds the newest value of each key. It is safe for use by several
// goroutines.
type Board[K cmp.Ordered, V any] struct {
	rules   Rules[V]
	values  sync.Map // K -> *V: a look at one value takes no lock
	mu      sync.Mutex
	gen     uint64
	entries map[K]*entry[K, V]
	// newest and oldest are the ends of the list of entries by generation.
	newest, oldest *entry[K, V]
	keys           []K    // of the values there are, ascending; nil: to be made
	gone           int    // removals in the list
	forgotten      uint64 // generation of the last removal that is not remembered
}

// entry is a value, or a removal if value is nil.
type entry[K cmp.Ordered, V any] struct {
	key          K
	value        *V
	gen          uint64
	root         uint64 // generation at which the root changed last
	newer, older *entry[K, V]
}

// New returns a board without values.
func New[K cmp.Ordered, V any](rules Rules[V]) *Board[K, V] {
	if rules.SameRoot == nil {
		rules.SameRoot = rules.Same
	}
	return &Board[K, V]{rules: rules, entries: map[K]*entry[K, V]{}}
}

// Put sets the value of a key, unless the board says the same already. The board
// keeps v.
func (b *Board[K, V]) Put(key K, v *V) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entries[key]
	if e != nil && e.value != nil && b.rules.Same(e.value, v) {
		return false
	}
	b.gen++
	switch {
	case e == nil:
		e = &entry[K, V]{key: key, root: b.gen}
		b.entries[key] = e
		b.keys = nil
	case e.value == nil:
		e.root = b.gen
		b.gone--
		b.keys = nil
		b.unlink(e)
	default:
		if !b.rules.SameRoot(e.value, v) {
			e.root = b.gen
		}
		b.unlink(e)
	}
	e.value, e.gen = v, b.gen
	b.link(e)
	b.values.Store(key, v)
	return true
}

// Drop removes a key.
func (b *Board[K, V]) Drop(key K) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entries[key]
	if e == nil || e.value == nil {
		return
	}
	b.gen++
	b.unlink(e)
	e.value, e.gen = nil, b.gen
	b.link(e)
	b.values.Delete(key)
	b.keys = nil
	if b.gone++; b.gone > goneMost {
		b.forget()
	}
}

// forget drops the older half of the removals.
func (b *Board[K, V]) forget() {
	for e := b.oldest; e != nil && b.gone > goneMost/2; {
		next := e.newer
		if e.value == nil {
			b.forgotten = max(b.forgotten, e.gen)
			b.unlink(e)
			delete(b.entries, e.key)
			b.gone--
		}
		e = next
	}
}

func (b *Board[K, V]) link(e *entry[K, V]) {
	e.older, e.newer = b.newest, nil
	if b.newest != nil {
		b.newest.newer = e
	} else {
		b.oldest = e
	}
	b.newest = e
}

func (b *Board[K, V]) unlink(e *entry[K, V]) {
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		b.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		b.oldest = e.newer
	}
	e.newer, e.older = nil, nil
}

// Get returns the value of a key.
func (b *Board[K, V]) Get(key K) (*V, bool) {
	v, ok := b.values.Load(key)
	if !ok {
		return nil, false
	}
	p, ok := v.(*V)
	return p, ok
}

// All returns every value, by key.
func (b *Board[K, V]) All() []*V {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]*V, 0, len(b.sorted()))
	for _, k := range b.sorted() {
		out = append(out, b.entries[k].value)
	}
	return out
}

func (b *Board[K, V]) sorted() []K {
	if b.keys == nil {
		b.keys = make([]K, 0, len(b.entries))
		for k, e := range b.entries {
			if e.value != nil {
				b.keys = append(b.keys, k)
			}
		}
		slices.Sort(b.keys)
	}
	return b.keys
}

// Changed is one value that differs from the one at the base.
type Changed[K cmp.Ordered, V any] struct {
	Key   K
	Value *V
	// Root says that its root differs too, or that the base does not have it.
	Root bool
}

// Changes lead from one generation of a board to a later one.
type Changes[K cmp.Ordered, V any] struct {
	// From is the base; 0: there is none, and these are all the values.
	From, To uint64
	Changed  []Changed[K, V] // by key
	Gone     []K             // ascending
}

// Since returns what changed since the generation base; everything, if the board
// cannot tell. If roots, values whose root is the same are left out.
func (b *Board[K, V]) Since(base uint64, roots bool) Changes[K, V] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if base > b.gen || base < b.forgotten {
		base = 0
	}
	c := Changes[K, V]{From: base, To: b.gen}
	for e := b.newest; e != nil && e.gen > base; e = e.older {
		switch {
		case e.value == nil && base > 0:
			c.Gone = append(c.Gone, e.key)
		case e.value == nil, roots && e.root <= base:
		default:
			c.Changed = append(c.Changed, Changed[K, V]{Key: e.key, Value: e.value, Root: e.root > base})
		}
	}
	slices.SortFunc(c.Changed, func(x, y Changed[K, V]) int { return cmp.Compare(x.Key, y.Key) })
	slices.Sort(c.Gone)
	return c
}

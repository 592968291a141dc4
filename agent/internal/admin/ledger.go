package admin

import (
	"cmp"
	"slices"
)

// goneMost is how many items that are gone a ledger remembers.
const goneMost = 1024

// ledger remembers items by when each changed last, so that "what changed since"
// costs as much as it holds. Whoever has seen less than lost needs all items.
type ledger[K cmp.Ordered, V any] struct {
	same    func(a, b V) bool
	entries map[K]*entry[K, V]
	root    entry[K, V] // of the ring of entries; root.next changed last
	gone    int         // entries that are gone
	lost    uint64      // stamp of the newest one that was forgotten
}

type entry[K cmp.Ordered, V any] struct {
	key        K
	value      V
	gone       bool
	stamp      uint64
	next, prev *entry[K, V]
}

func newLedger[K cmp.Ordered, V any](same func(a, b V) bool) *ledger[K, V] {
	l := &ledger[K, V]{same: same, entries: map[K]*entry[K, V]{}}
	l.root.next, l.root.prev = &l.root, &l.root
	return l
}

// edit is what a ledger is to be told.
type edit[K cmp.Ordered, V any] struct {
	put  map[K]V
	drop []K
}

func (e *edit[K, V]) empty() bool { return len(e.put) == 0 && len(e.drop) == 0 }

// has reports whether v is what k is now.
func (l *ledger[K, V]) has(k K, v V) bool {
	old := l.entries[k]
	return old != nil && !old.gone && l.same(old.value, v)
}

// compare finds what all items being now changes; it changes nothing.
func (l *ledger[K, V]) compare(now map[K]V) edit[K, V] {
	e := edit[K, V]{put: map[K]V{}}
	for k, v := range now {
		if !l.has(k, v) {
			e.put[k] = v
		}
	}
	for k, old := range l.entries {
		if _, ok := now[k]; !ok && !old.gone {
			e.drop = append(e.drop, k)
		}
	}
	return e
}

// apply makes the change at stamp, which must be higher than any before.
func (l *ledger[K, V]) apply(e edit[K, V], stamp uint64) {
	for k, v := range e.put {
		at := l.touch(k, stamp)
		if at.gone {
			l.gone--
		}
		at.value, at.gone = v, false
	}
	for _, k := range e.drop {
		at := l.touch(k, stamp)
		var none V
		at.value, at.gone = none, true
		l.gone++
	}
	for at := l.root.prev; l.gone > goneMost && at != &l.root; {
		older := at
		at = at.prev
		if older.gone {
			l.lost = max(l.lost, older.stamp)
			older.unlink()
			delete(l.entries, older.key)
			l.gone--
		}
	}
}

// touch moves the entry of k to the front.
func (l *ledger[K, V]) touch(k K, stamp uint64) *entry[K, V] {
	at := l.entries[k]
	if at == nil {
		at = &entry[K, V]{key: k}
		l.entries[k] = at
	} else {
		at.unlink()
	}
	at.stamp = stamp
	at.next, at.prev = l.root.next, &l.root
	at.next.prev, at.prev.next = at, at
	return at
}

func (e *entry[K, V]) unlink() {
	e.prev.next, e.next.prev = e.next, e.prev
}

// entriesSince returns what changed after stamp, by key.
func (l *ledger[K, V]) entriesSince(stamp uint64) []*entry[K, V] {
	var some []*entry[K, V]
	for at := l.root.next; at != &l.root && at.stamp > stamp; at = at.next {
		some = append(some, at)
	}
	slices.SortFunc(some, func(a, b *entry[K, V]) int { return cmp.Compare(a.key, b.key) })
	return some
}

// since returns what changed after stamp, by key. From the beginning (0) only
// what is there counts.
func (l *ledger[K, V]) since(stamp uint64) (changed []V, gone []K) {
	for _, at := range l.entriesSince(stamp) {
		switch {
		case !at.gone:
			changed = append(changed, at.value)
		case stamp > 0:
			gone = append(gone, at.key)
		}
	}
	return changed, gone
}

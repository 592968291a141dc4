package datastate

import (
	"cmp"
	"iter"
	"slices"
)

// sorted is a list in the order of its keys. It does not change: what changes makes
// another list, which shares all chunks that are as they were. A change of a few keys
// costs the chunks that they are in, and the list of chunks.
type sorted[T any] struct {
	chunks [][]entry[T] // none is empty
	n      int          // entries
}

type entry[T any] struct {
	key   string
	value *T // of a change nil: the key goes
}

// maxChunk bounds a chunk: 6 KiB to copy for a change of one key, and one part in 256 of
// the list to copy for each change.
const maxChunk = 256

// find is the position of the chunk that has key, or would have it.
func (s *sorted[T]) find(key string) int {
	i, _ := slices.BinarySearchFunc(s.chunks, key, func(c []entry[T], key string) int { return cmp.Compare(c[len(c)-1].key, key) })
	return i
}

// get is what key has; nil: nothing.
func (s *sorted[T]) get(key string) *T {
	i := s.find(key)
	if i == len(s.chunks) {
		return nil
	}
	c := s.chunks[i]
	at, ok := slices.BinarySearchFunc(c, key, compareEntry[T])
	if !ok {
		return nil
	}
	return c[at].value
}

func compareEntry[T any](e entry[T], key string) int { return cmp.Compare(e.key, key) }

// from are the entries from key on, in order.
func (s *sorted[T]) from(key string) iter.Seq2[string, *T] {
	return func(yield func(string, *T) bool) {
		i := s.find(key)
		if i == len(s.chunks) {
			return
		}
		at, _ := slices.BinarySearchFunc(s.chunks[i], key, compareEntry[T])
		for ; i < len(s.chunks); i, at = i+1, 0 {
			for _, e := range s.chunks[i][at:] {
				if !yield(e.key, e.value) {
					return
				}
			}
		}
	}
}

// add appends an entry while the list is made: its key is the highest.
func (s *sorted[T]) add(key string, value *T) {
	if n := len(s.chunks); n > 0 && len(s.chunks[n-1]) < maxChunk {
		s.chunks[n-1] = append(s.chunks[n-1], entry[T]{key, value})
	} else {
		s.chunks = append(s.chunks, []entry[T]{{key, value}})
	}
	s.n++
}

// changed is the list after changes, which are in order, each key once.
func (s *sorted[T]) changed(changes []entry[T]) sorted[T] {
	if len(changes) == 0 {
		return *s
	}
	next := sorted[T]{chunks: make([][]entry[T], 0, len(s.chunks)+len(changes)/maxChunk+1)}
	for i := 0; len(changes) > 0; i++ {
		at := s.find(changes[0].key)
		if at == len(s.chunks) { // all of them come after the last chunk's keys
			at = max(len(s.chunks)-1, i)
		}
		for ; i < min(at, len(s.chunks)); i++ {
			next.keep(s.chunks[i])
		}
		var chunk []entry[T]
		here := len(changes)
		if i < len(s.chunks) {
			chunk = s.chunks[i]
			if last := chunk[len(chunk)-1].key; i < len(s.chunks)-1 {
				here, _ = slices.BinarySearchFunc(changes, last+"\x00", compareEntry[T])
			}
		}
		next.merge(chunk, changes[:here])
		if changes = changes[here:]; len(changes) == 0 {
			for _, c := range s.chunks[min(i+1, len(s.chunks)):] {
				next.keep(c)
			}
		}
	}
	return next
}

// keep appends a chunk as it is.
func (s *sorted[T]) keep(c []entry[T]) { s.chunks, s.n = append(s.chunks, c), s.n+len(c) }

// merge appends what changes make of a chunk. What is small joins a small one before it,
// so that a list that shrinks has no more chunks than one that grows.
func (s *sorted[T]) merge(chunk, changes []entry[T]) {
	out := make([]entry[T], 0, len(chunk)+len(changes))
	if n := len(s.chunks); n > 0 && len(s.chunks[n-1])+len(chunk) < maxChunk/2 {
		out = append(out, s.chunks[n-1]...)
		s.chunks, s.n = s.chunks[:n-1], s.n-len(out)
	}
	for _, c := range changes {
		i, _ := slices.BinarySearchFunc(chunk, c.key, compareEntry[T])
		out, chunk = append(out, chunk[:i]...), chunk[i:]
		if len(chunk) > 0 && chunk[0].key == c.key {
			chunk = chunk[1:]
		}
		if c.value != nil {
			out = append(out, c)
		}
	}
	out = append(out, chunk...)
	for parts := (len(out) + maxChunk - 1) / maxChunk; parts > 0; parts-- {
		n := len(out) / parts
		s.keep(out[:n:n])
		out = out[n:]
	}
}

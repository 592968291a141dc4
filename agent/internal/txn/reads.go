package txn

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/kv"
)

// maxReads bounds the spans that a transaction remembers of one collection: one that
// reads more is taken to have read all of it, and may conflict needlessly.
const maxReads = 1000

// readSpans are what a transaction has read.
type readSpans struct {
	of map[collection]map[string]kv.Span // by what they hold
}

type collection struct {
	pool cluster.PoolID
	id   cluster.CollectionID
}

func (r *readSpans) add(s kv.Span) {
	if r.of == nil {
		r.of = map[collection]map[string]kv.Span{}
	}
	c := collection{s.Pool, s.Collection}
	spans := r.of[c]
	if _, all := spans[""]; all {
		return
	}
	if len(spans) >= maxReads {
		s.Start, s.End = nil, nil
	}
	if spans == nil || len(s.Start) == 0 && len(s.End) == 0 {
		spans = map[string]kv.Span{}
		r.of[c] = spans
	}
	spans[spanName(s)] = s
}

// spanName is the same for equal spans, and "" for that of everything.
func spanName(s kv.Span) string {
	if len(s.Start) == 0 && len(s.End) == 0 {
		return ""
	}
	return string(s.Start) + "\x00\x00" + string(s.End)
}

// all returns the spans, in an order that is always the same.
func (r *readSpans) all() []kv.Span {
	var out []kv.Span
	for _, spans := range r.of {
		for _, s := range spans {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b kv.Span) int {
		return cmp.Or(cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Collection, b.Collection), bytes.Compare(a.Start, b.Start), bytes.Compare(a.End, b.End))
	})
	return out
}

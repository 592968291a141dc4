package cluster

import (
	"math"
	"testing"
)

// TestAdvance: blocks follow each other without a gap or a number twice, up to the bounds.
func TestAdvance(t *testing.T) {
	for name, c := range map[string]struct {
		s     Sequence
		from  SequencePlace
		count int64
		want  []Block
	}{
		"from the start":   {Sequence{Increment: 1, Min: 1, Max: 1 << 40, Cache: 1}, SequencePlace{Last: 1}, 32, []Block{{1, 32}, {33, 32}}},
		"scarce":           {Sequence{Increment: 1, Min: 1, Max: 130, Cache: 1}, SequencePlace{Last: 1}, 32, []Block{{1, 2}, {3, 1}, {4, 1}}},
		"cache":            {Sequence{Increment: 10, Min: 1, Max: 55, Cache: 4}, SequencePlace{Last: 1}, 32, []Block{{1, 4}, {41, 2}, {}}},
		"cycle":            {Sequence{Increment: 2, Min: 1, Max: 4, Cache: 9, Cycle: true}, SequencePlace{Last: 3}, 9, []Block{{3, 1}, {1, 2}, {1, 2}}},
		"down":             {Sequence{Increment: -1, Min: -3, Max: -1, Cache: 9}, SequencePlace{Last: -1}, 9, []Block{{-1, 3}, {}}},
		"the last of all":  {Sequence{Increment: 1, Min: 1, Max: math.MaxInt64, Cache: 9}, SequencePlace{Last: math.MaxInt64 - 1, Called: true}, 9, []Block{{math.MaxInt64, 1}, {}}},
		"the first of all": {Sequence{Increment: math.MinInt64, Min: math.MinInt64, Max: math.MaxInt64, Cache: 9}, SequencePlace{Last: 5}, 9, []Block{{5, 2}, {}}},
		"altered":          {Sequence{Increment: 1, Min: 1, Max: 5, Cache: 9}, SequencePlace{Last: 7, Called: true}, 9, []Block{{}}},
	} {
		place := c.from
		for i, want := range c.want {
			got, next, ok := c.s.Advance(place, c.count)
			if got != want || ok != (want != Block{}) {
				t.Errorf("%s: block %d is %+v (%v), want %+v", name, i, got, ok, want)
			}
			place = next
		}
	}
}

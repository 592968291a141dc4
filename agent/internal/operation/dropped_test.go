package operation

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestCoveredThrough: a pool has cleared a drop when all of its keys have, whatever
// replicas say so and however their spans overlap: after a split some tell of the whole,
// others of a half.
func TestCoveredThrough(t *testing.T) {
	span := func(from, to cluster.VShard, through uint64) clearedSpan {
		return clearedSpan{from.Key(), to.Key(), through}
	}
	for name, c := range map[string]struct {
		spans []clearedSpan
		want  uint64
	}{
		"nobody":                     {nil, 0},
		"one range":                  {[]clearedSpan{span(0, 1024, 7)}, 7},
		"the slower half counts":     {[]clearedSpan{span(0, 512, 9), span(512, 1024, 7)}, 7},
		"a half is missing":          {[]clearedSpan{span(0, 512, 9)}, 0},
		"a gap":                      {[]clearedSpan{span(0, 512, 9), span(513, 1024, 9)}, 0},
		"the end is missing":         {[]clearedSpan{span(0, 512, 9), span(512, 1023, 9)}, 0},
		"of before a split":          {[]clearedSpan{span(512, 1024, 9), span(0, 1024, 4), span(0, 512, 8)}, 8},
		"the other half is not told": {[]clearedSpan{span(0, 512, 9), span(0, 1024, 4)}, 4},
		"replicas that lag":          {[]clearedSpan{span(0, 512, 3), span(0, 512, 6), span(512, 1024, 5), span(512, 1024, 2)}, 5},
	} {
		if got := coveredThrough(c.spans); got != c.want {
			t.Errorf("%s: cleared through %d, want %d", name, got, c.want)
		}
	}
}

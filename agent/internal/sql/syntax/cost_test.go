package syntax

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// TestCost compares the estimate with what the trees of statements take.
func TestCost(t *testing.T) {
	const n = 5000
	for name, text := range map[string]string{
		"literal": "SELECT '" + strings.Repeat("x", 100*n) + "'",
		"in":      "SELECT 1 WHERE 1 IN (1" + strings.Repeat(",1", n) + ")",
		"values":  "INSERT INTO t VALUES (1)" + strings.Repeat(",(1)", n),
		"cast":    "SELECT 1" + strings.Repeat(",a::int", n),
		"from":    "SELECT 1 FROM a" + strings.Repeat(",a", n),
		"index":   "SELECT 1" + strings.Repeat(",a[1]", n),
	} {
		before := heap()
		s, err := Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		took, cost := int64(heap()-before), Cost(text)
		if took > cost*3/2 || cost > 4*took {
			t.Errorf("%s: the tree takes %d bytes, the estimate is %d", name, took, cost)
		}
		runtime.KeepAlive(s)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestCacheIsBoundedInBytes fills the cache with statements that are short as
// text and large as trees.
func TestCacheIsBoundedInBytes(t *testing.T) {
	c := NewCache(1024)
	for i := range 300 {
		if _, err := c.Parse("SELECT " + strconv.Itoa(i) + strings.Repeat(",1", 2000)); err != nil {
			t.Fatal(err)
		}
	}
	sum := int64(0)
	for text := range c.mu.young {
		sum += Cost(text)
	}
	for text := range c.mu.old {
		sum += Cost(text)
	}
	if sum > 2*maxCachedCost || len(c.mu.old) == 0 {
		t.Errorf("%d statements of about %d bytes are cached", len(c.mu.young)+len(c.mu.old), sum)
	}
}

package sql

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestCopyModel: a COPY adds all of its rows or none, alone and in a transaction, wherever in
// its data it fails.
func TestCopyModel(t *testing.T) {
	if err := copyModel(t, 8, Planted{}); err != nil {
		t.Error(err)
	}
}

func copyModel(t *testing.T, seeds uint64, faults Planted) error {
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 13))
		f := newFixture(t, nil)
		f.server.cfg.Planted = faults
		c := f.open()
		c.run("create table t (a int primary key, b int, check (a >= 0))")
		var rows []int // that are there
		next := 0
		for range 8 {
			block, was := rng.IntN(2) == 0, slices.Clone(rows)
			if block {
				c.run("begin")
			}
			for range 1 + rng.IntN(2) {
				c.run("savepoint s") // refused outside of a block
				data, added := drawCopy(rng, &next, rows)
				if got := c.copy("copy t from stdin", pieces(rng, data)...); added == nil {
					c.run("rollback to s")
				} else if rows = append(rows, added...); got != fmt.Sprintf("COPY %d", len(added)) {
					return fmt.Errorf("seed %d: %.60q: %s", seed, data, got)
				}
			}
			if block && rng.IntN(4) == 0 {
				c.run("rollback")
				rows = was
			} else if block {
				c.run("commit")
			}
			var want []string
			for _, a := range rows {
				want = append(want, fmt.Sprintf("%d|1", a))
			}
			slices.Sort(want)
			if got := c.sorted("select * from t"); got != strings.Join(append(want, fmt.Sprintf("SELECT %d", len(want))), "\n") {
				return fmt.Errorf("seed %d: there are %d rows, want %d", seed, strings.Count(got, "\n"), len(want))
			}
		}
	}
	return nil
}

// drawCopy draws the data of a COPY, and the rows that it adds; nil: it fails.
func drawCopy(rng *rand.Rand, next *int, rows []int) (data string, added []int) {
	n := 1 + rng.IntN(40)
	if rng.IntN(6) == 0 {
		n += 2000 // which are written a thousand at a time
	}
	for range n {
		data += fmt.Sprintf("%d\t1\n", *next)
		added = append(added, *next)
		*next++
	}
	bad := []string{"x\t1\n", "-1\t1\n", "1\t1\t1\n", fmt.Sprintf("%d\t1\n", added[0])}
	if len(rows) > 0 {
		bad = append(bad, fmt.Sprintf("%d\t1\n", rows[0]))
	}
	if k := rng.IntN(2 * len(bad)); k < len(bad) {
		lines := strings.SplitAfter(data, "\n")
		at := 1 + rng.IntN(len(added))
		return strings.Join(slices.Insert(lines, at, bad[k]), ""), nil
	}
	return data, added
}

// pieces cuts data anywhere.
func pieces(rng *rand.Rand, data string) (out []string) {
	for len(data) > 0 {
		n := 1 + rng.IntN(min(len(data), 600))
		out, data = append(out, data[:n]), data[n:]
	}
	return out
}

package sql

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// invertedRows changes documents that have inverted indexes at random, and tells of an
// answer by such an index that differs from that of who reads all rows, and of entries that
// do not agree with the rows.
func invertedRows(t *testing.T, seed uint64, faults Planted) error {
	f := newFixture(t, nil)
	f.server.cfg.Planted = faults
	c, rnd := f.open(), rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // a test's
	c.run("begin")
	for _, name := range []string{"indexed", "plain"} {
		c.run("create table " + name + " (id int primary key, doc jsonb)")
	}
	c.run("create index on indexed using gin (doc)")
	c.run("create index on indexed using gin (doc jsonb_path_ops) where id > 3")
	c.run("commit")
	scalar := func() string { return []string{"1", "2", `"x"`, `"y"`, "null", "true"}[rnd.IntN(6)] }
	doc := func() string {
		var fields []string
		for _, key := range []string{"a", "b", "c"} {
			switch rnd.IntN(4) {
			case 0:
				fields = append(fields, fmt.Sprintf(`"%s": %s`, key, scalar()))
			case 1:
				fields = append(fields, fmt.Sprintf(`"%s": [%s, %s]`, key, scalar(), scalar()))
			case 2:
				fields = append(fields, fmt.Sprintf(`"%s": {"d": %s}`, key, scalar()))
			}
		}
		return "{" + strings.Join(fields, ", ") + "}"
	}
	for range 60 {
		id, value := rnd.IntN(12), "'"+doc()+"'"
		change := []string{
			fmt.Sprintf("insert into %%s values (%d, %s)", id, value),
			fmt.Sprintf("insert into %%s values (%d, %s) on conflict (id) do update set doc = excluded.doc", id, value),
			fmt.Sprintf("update %%s set doc = %s where id = %d", value, id),
			fmt.Sprintf("update %%s set doc = null where id = %d", id),
			fmt.Sprintf("update %%s set id = id + 20 where id = %d", id),
			fmt.Sprintf("delete from %%s where id = %d", id),
		}[rnd.IntN(6)]
		if one, other := c.run(fmt.Sprintf(change, "indexed")), c.run(fmt.Sprintf(change, "plain")); strings.ReplaceAll(one, "indexed", "plain") != other {
			return fmt.Errorf("%s: %s with indexes, %s without", change, one, other)
		}
		query := "select id from %s where " + []string{"doc @> '" + doc() + "'", "doc @> '" + doc() + "' and id > 3", "doc ? 'b'", "doc -> 'a' = '" + scalar() + "'"}[rnd.IntN(4)] + " order by id"
		if one, other := c.run(fmt.Sprintf(query, "indexed")), c.run(fmt.Sprintf(query, "plain")); one != other {
			return fmt.Errorf("%s: %q by index, %q by reading all", query, one, other)
		}
	}
	return f.indexFaults("indexed")
}

func TestInvertedIndexesAgreeWithRows(t *testing.T) {
	for range 10 {
		seed := rand.Uint64()
		if err := invertedRows(t, seed, Planted{}); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

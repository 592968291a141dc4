package sql

import (
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/settings"
)

// TestLostLocks: what COMMIT says when the leaders that have given the locks of a
// transaction are gone, and others have written since: never 23505, which a client takes
// for its own fault, since the key was not there when its statement ended.
func TestLostLocks(t *testing.T) {
	const (
		lost   = "40001 could not serialize access due to concurrent update"
		exists = `23505 duplicate key value violates unique constraint "t_pkey"`
	)
	for _, x := range []struct {
		name     string
		does     []string // in the transaction, answered without an error
		other    []string // meanwhile, once the locks are gone
		commit   string
		seesRows string
	}{
		{"the key is there", []string{"insert into t values (5, 'a', 0)"}, []string{"insert into t values (5, 'b', 9)"}, lost, "1|1\n2|2\n5|9\nSELECT 3"},
		{"the row is gone", []string{"update t set n = 0 where id = 1"}, []string{"delete from t where id = 1"}, lost, "2|2\nSELECT 1"},
		{"the key is there and the row is gone", []string{"insert into t values (5, 'a', 0)", "update t set n = 0 where id = 1"},
			[]string{"insert into t values (5, 'b', 9)", "delete from t where id = 1"}, lost, "2|2\n5|9\nSELECT 2"},
		{"do nothing", []string{"insert into t values (5, 'a', 0) on conflict do nothing"}, []string{"insert into t values (5, 'b', 9)"}, lost, "1|1\n2|2\n5|9\nSELECT 3"},
		{"do update, not there", []string{"insert into t values (5, 'a', 0) on conflict (id) do update set n = 0"}, []string{"insert into t values (5, 'b', 9)"}, lost, "1|1\n2|2\n5|9\nSELECT 3"},
		{"do update, there", []string{"insert into t values (1, 'a', 0) on conflict (id) do update set n = 0"}, []string{"delete from t where id = 1"}, lost, "2|2\nSELECT 1"},
		{"a key that moves", []string{"update t set id = 5 where id = 1"}, []string{"insert into t values (5, 'b', 9)"}, lost, "1|1\n2|2\n5|9\nSELECT 3"},
		{"nobody came", []string{"insert into t values (5, 'a', 0)", "update t set n = 0 where id = 1"}, nil, "COMMIT", "1|0\n2|2\n5|0\nSELECT 3"},
	} {
		for _, level := range []string{settings.ReadCommitted, settings.RepeatableRead, "serializable"} {
			t.Run(x.name+" at "+level, func(t *testing.T) {
				f, a, b := oneRange(t)
				f.db.span = 1
				a.run("insert into t values (1, 'a', 1), (2, 'a', 2)")
				a.run("begin isolation level " + level)
				for _, text := range x.does {
					if got := a.run(text); !strings.HasSuffix(got, " 1") {
						t.Fatalf("%s: %s", text, got)
					}
				}
				f.db.loseLocks()
				for _, text := range x.other {
					b.run(text)
				}
				if got := a.run("commit"); !strings.HasPrefix(got, x.commit) {
					t.Errorf("commit: %s", got)
				}
				a.want(x.seesRows, "select id, n from t order by id")
			})
		}
	}
	// A row that another has committed before the statement is a violation at the
	// statement, at repeatable read of one that the snapshot does not show, too.
	for _, level := range []string{settings.ReadCommitted, settings.RepeatableRead} {
		for _, text := range []string{"insert into t values (5, 'a', 0)", "insert into t values (6, 'a', 0), (5, 'a', 0)", "update t set id = 5 where id = 1"} {
			_, a, b := oneRange(t)
			a.run("insert into t values (1, 'a', 1)")
			a.run("begin isolation level " + level)
			a.run("select * from t")
			b.run("insert into t values (5, 'b', 9)")
			if got := a.run(text); !strings.HasPrefix(got, exists) {
				t.Errorf("%s at %s: %s", text, level, got)
			}
		}
	}
}

// TestOnConflictNeverViolates: outside of transactions, when the row appears between the
// lock and the commit: the statement is made again.
func TestOnConflictNeverViolates(t *testing.T) {
	for _, text := range []string{
		"insert into t values (5, 'a', 1) on conflict do nothing",
		"insert into t values (5, 'a', 1) on conflict (id) do update set n = t.n + excluded.n",
		"insert into t values (5, 'a', 1), (6, 'a', 1) on conflict do nothing",
		"insert into t values (5, 'a', 1), (6, 'a', 1) on conflict (id) do update set n = t.n + excluded.n",
	} {
		for _, span := range []cluster.VShard{1, cluster.VShards} {
			for _, timeout := range []string{"0", "1min"} { // with one rows are locked first
				f, a, b := oneRange(t)
				f.db.span = span
				a.run("set lock_timeout = '" + timeout + "'")
				came := false
				f.db.before = func([]kv.Mutation) error {
					if !came {
						came = true
						f.db.loseLocks()
						b.want("INSERT 0 1", "insert into t values (5, 'b', 9)")
					}
					return nil
				}
				got, want := a.run(text), map[bool]string{true: "10", false: "9"}[strings.Contains(text, "update")]
				if !strings.HasPrefix(got, "INSERT 0 ") || !came {
					t.Errorf("%s, ranges of %d, lock_timeout %s: %s", text, span, timeout, got)
				}
				a.want(want+"\nSELECT 1", "select n from t where id = 5")
			}
		}
	}
}

package sql

import (
	"fmt"
	"testing"
)

// TestKeyShareSeesWhatWasCommitted: a row that was committed in the moment before may be an
// intent still, which is not in the way of FOR KEY SHARE. It is seen all the same, and by
// foreign keys, too.
func TestKeyShareSeesWhatWasCommitted(t *testing.T) {
	if wrong := sharedIntents(t, Planted{}); wrong != "" {
		t.Error(wrong)
	}
}

// sharedIntents tells of what was committed and not seen.
func sharedIntents(t *testing.T, faults Planted) string {
	f, a, b := oneRange(t)
	f.server.cfg.Planted = faults
	a.run("create table child (id int8 primary key, of int8 references t)")
	a.run("insert into t values (1, 'a', 1)")
	a.run("update t set n = 2 where id = 1")
	a.run("insert into t values (2, 'a', 5)")
	f.db.unresolved = true
	for _, s := range [][2]string{
		{"select n from t order by id for key share", "2\n5\nSELECT 2"},
		{"select n from t where n > 2 for key share", "5\nSELECT 1"},
		{"insert into child values (1, 1), (2, 2)", "INSERT 0 2"},
	} {
		if got := b.run(s[0]); got != s[1] {
			return fmt.Sprintf("%s: %s, want %s", s[0], got, s[1])
		}
	}
	return ""
}

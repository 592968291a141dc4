package sql

import "testing"

// TestKeyShareSeesWhatWasCommitted: a row that was committed in the moment before may be an
// intent still, which is not in the way of FOR KEY SHARE. It is seen all the same, and by
// foreign keys, too.
func TestKeyShareSeesWhatWasCommitted(t *testing.T) {
	f, a, b := oneRange(t)
	a.run("create table child (id int8 primary key, of int8 references t)")
	a.run("insert into t values (1, 'a', 1)")
	a.run("update t set n = 2 where id = 1")
	a.run("insert into t values (2, 'a', 5)")
	f.db.unresolved = true
	b.want("2\n5\nSELECT 2", "select n from t order by id for key share")
	b.want("5\nSELECT 1", "select n from t where n > 2 for key share")
	b.want("INSERT 0 2", "insert into child values (1, 1), (2, 2)")
}

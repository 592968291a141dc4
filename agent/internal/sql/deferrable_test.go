package sql

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestDeferrableUnderRaces: of transactions that take the values of others, in the end no two
// rows have the same ones, whoever commits.
func TestDeferrableUnderRaces(t *testing.T) {
	for seed := range uint64(8) {
		if err := deferrableRaces(t, seed, Planted{}); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

// deferrableRaces has two sessions take and give up values of a constraint that COMMIT looks
// at, in turns that a seed gives. Statements that would wait end.
func deferrableRaces(t *testing.T, seed uint64, planted Planted) error {
	t.Helper()
	f := newFixture(t, nil)
	f.server.cfg.Planted = planted
	r := rand.New(rand.NewPCG(seed, 1))
	c := f.open()
	c.run("create table t (id int primary key, v int unique deferrable initially deferred)")
	c.run("insert into t values (1, 1), (2, 2), (3, 3)")
	sessions := []*client{f.open(), f.open()}
	for _, s := range sessions {
		s.run("set lock_timeout = '20ms'")
	}
	for range 60 {
		s := sessions[r.IntN(2)]
		switch v := 1 + r.IntN(4); r.IntN(6) {
		case 0:
			s.run("begin")
		case 1:
			s.run("commit")
		case 2:
			s.run(fmt.Sprintf("insert into t values (%d, %d)", 10+r.IntN(1000), v))
		case 3:
			s.run(fmt.Sprintf("delete from t where v = %d", v))
		case 4:
			s.run("set constraints all immediate")
		default:
			s.run(fmt.Sprintf("update t set v = %d where id = (select min(id) from t)", v))
		}
	}
	for _, s := range sessions {
		s.run("commit")
	}
	rows := strings.Split(c.run("select v from t"), "\n")
	slices.Sort(rows)
	if len(slices.Compact(slices.Clone(rows))) != len(rows) {
		return fmt.Errorf("rows have equal values: %q", rows)
	}
	return nil
}

// TestDeferrableOfTwo: of two transactions that take a value one comes first.
func TestDeferrableOfTwo(t *testing.T) {
	if err := deferrableTwo(t, Planted{}); err != nil {
		t.Error(err)
	}
}

// deferrableTwo has two transactions that do not see each other's rows take one value.
func deferrableTwo(t *testing.T, planted Planted) error {
	t.Helper()
	f := newFixture(t, nil)
	f.server.cfg.Planted = planted
	a, b := f.open(), f.open()
	a.run("create table t (id int primary key, v int unique deferrable)")
	b.run("set lock_timeout = '20ms'")
	a.run("begin")
	b.run("begin")
	a.want("INSERT 0 1", "insert into t values (1, 7)")
	b.run("insert into t values (2, 7)")
	a.run("commit")
	b.run("commit")
	if got := a.run("select v from t"); got != "7\nSELECT 1" {
		return fmt.Errorf("two rows have the same value: %q", got)
	}
	return nil
}

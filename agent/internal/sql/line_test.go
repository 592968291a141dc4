package sql

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// TestManyClientsOfOneRow: statements outside of transactions that change one row do
// not lose against each other, nor against the transactions of others; every one is
// done once, and many go into one write.
func TestManyClientsOfOneRow(t *testing.T) {
	manyClientsOfOneRow(t, false)
	manyClientsOfOneRow(t, true)
}

func manyClientsOfOneRow(t *testing.T, mixed bool) {
	t.Helper()
	const clients, each = 32, 30
	f := newFixture(t, nil)
	c := f.open()
	c.want("CREATE TABLE", "create table t (id int8 primary key, n int8, text text)")
	c.want("INSERT 0 1", "insert into t values (1, 0, '')")
	f.db.before = func([]kv.Mutation) error {
		for range 20 { // others come meanwhile
			runtime.Gosched()
		}
		return nil
	}
	var wg sync.WaitGroup
	var seen sync.Map // what was returned
	var sum atomic.Int64
	for i := range clients {
		s := f.open()
		wg.Go(func() {
			for n := range each {
				var got string
				switch (i + n) % 4 {
				case 0:
					got = s.run("insert into t values (1, 0, '') on conflict (id) do update set n = t.n + 1 returning n")
				case 1:
					got = s.run("update t set n = n + 1 where id = 1 and n < 0") // finds nothing to do
					if got != "UPDATE 0" {
						t.Errorf("an update that does not apply: %s", got)
					}
					continue
				case 2:
					if got = s.run("update t set n = n / 0 where id = 1"); !strings.HasPrefix(got, "22012") {
						t.Errorf("an update that fails: %s", got)
					}
					continue
				default:
					got = s.run("update t set n = n + 1 where id = 1 returning n")
				}
				number, tag, _ := strings.Cut(got, "\n")
				if _, twice := seen.LoadOrStore(number, true); twice || tag != "UPDATE 1" && tag != "INSERT 0 1" {
					t.Errorf("got %q (returned twice: %v)", got, twice)
				}
				sum.Add(1)
			}
		})
	}
	if mixed {
		other := f.open()
		wg.Go(func() {
			for range each {
				other.run("begin")
				other.run("update t set n = n + 1 where id = 1")
				if got := other.run("commit"); got == "COMMIT" {
					sum.Add(1)
				} else if !strings.HasPrefix(got, "40001") {
					t.Errorf("commit: %s", got)
				}
			}
		})
	}
	wg.Wait()
	c.want(fmt.Sprintf("%d\nSELECT 1", sum.Load()), "select n from t where id = 1")
	if !mixed && f.db.wrote > int(sum.Load()) { // who meets a lock waits for it alone
		t.Errorf("%d writes for %d changes", f.db.wrote, sum.Load())
	}
}

// TestWhoLeavesALine: a statement that is cancelled before its change was tried has
// changed nothing; one whose write is under way does not know.
func TestWhoLeavesALine(t *testing.T) {
	f := newFixture(t, nil)
	c := f.open()
	c.want("CREATE TABLE", "create table t (id int8 primary key, n int8)")
	c.want("INSERT 0 1", "insert into t values (1, 0)")
	writing, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	f.db.before = func([]kv.Mutation) error {
		once.Do(func() {
			close(writing)
			<-goOn
		})
		return nil
	}
	update := func(ctx context.Context) <-chan string {
		s, ch := f.open(), make(chan string, 1)
		go func() { ch <- s.runContext(ctx, "update t set n = n + 1 where id = 1") }()
		return ch
	}
	first, cancelFirst := context.WithCancel(t.Context())
	second, cancelSecond := context.WithCancel(t.Context())
	a := update(first)
	<-writing
	b := update(second)
	third := update(t.Context())
	cancelSecond()
	if got := <-b; !strings.HasPrefix(got, "57014") {
		t.Errorf("cancelled in line: %s", got)
	}
	cancelFirst()
	if got := <-a; !strings.HasPrefix(got, "40003") {
		t.Errorf("cancelled while its write was under way: %s", got)
	}
	close(goOn)
	if got := <-third; got != "UPDATE 1" {
		t.Errorf("the third: %s", got)
	}
	c.want("2\nSELECT 1", "select n from t where id = 1")

	// What becomes of a write of unknown fate is told to all that it carried.
	f.db.before = func([]kv.Mutation) error { return &store.AmbiguousError{Cause: errors.New("lost")} }
	c.want("40003 it is not known whether the statement was applied", "update t set n = n + 1 where id = 1")

	// One that it had nothing of reads again, in place of what may never have been.
	writing, goOn = make(chan struct{}), make(chan struct{})
	var writes atomic.Int64
	f.db.before = func([]kv.Mutation) error {
		if writes.Add(1) > 1 {
			return nil
		}
		close(writing)
		<-goOn
		return &store.AmbiguousError{Cause: errors.New("lost")}
	}
	a = update(t.Context())
	<-writing
	close(goOn)
	if got := <-a; !strings.HasPrefix(got, "40003") {
		t.Errorf("whose change was in it: %s", got)
	}
	writes.Store(0)
	f.db.before = func(muts []kv.Mutation) error {
		if writes.Add(1) == 1 {
			return &store.AmbiguousError{Cause: errors.New("lost")}
		}
		return nil
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			f.open().run("update t set n = n + 1 where id = 1")
		})
		wg.Go(func() {
			if got := f.open().run("update t set n = 0 where id = 1 and n < 0"); got != "UPDATE 0" {
				t.Errorf("whose change was in no write: %s", got)
			}
		})
	}
	wg.Wait()
}

// TestWhoLosesGoesOnInItsPlace: a statement outside of transactions that loses against
// others, however often, goes on in the places that it kept, and leaves none behind.
func TestWhoLosesGoesOnInItsPlace(t *testing.T) {
	for _, x := range []struct {
		name, text, want string
		losses           int
		unused           bool // the last place is of no use
	}{
		{"one row", "update t set n = n + 1 where id = 1", "UPDATE 1", 300, false},
		{"some rows", "update t set n = n + 1 where id in (1, 2, 3)", "UPDATE 3", 60, false},
		{"upsert", "insert into t values (1, 0) on conflict (id) do update set n = t.n + 1", "INSERT 0 1", 300, false},
		{"upserts", "insert into t values (1, 0), (2, 0) on conflict (id) do update set n = t.n + 1", "INSERT 0 2", 60, false},
		{"delete", "delete from t where id in (1, 2)", "DELETE 2", 60, false},
		{"a row that matches no more", "update t set n = n + 1 where id = 1 and n = 0", "UPDATE 0", 1, true},
		{"rows that match no more", "update t set n = n + 1 where id in (1, 2, 3) and n = 0", "UPDATE 0", 1, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := newFixture(t, nil)
			f.db.span = cluster.VShards // one range
			c := f.open()
			c.want("CREATE TABLE", "create table t (id int8 primary key, n int8)")
			c.want("INSERT 0 3", "insert into t values (1, 0), (2, 0), (3, 0)")
			other, busy, left := f.open(), false, x.losses
			f.db.before = func([]kv.Mutation) error {
				if busy || left == 0 {
					return nil
				}
				left--
				busy = true
				defer func() { busy = false }()
				other.want("UPDATE 3", "update t set n = n - 1 where id in (1, 2, 3)")
				return nil
			}
			c.want(x.want, x.text)
			kept, inPlace, givenUp := f.db.waitForPlaces()
			if kept != x.losses || inPlace+givenUp != kept || (givenUp > 0) != x.unused {
				t.Errorf("%d places kept for %d losses, %d taken, %d given up", kept, x.losses, inPlace, givenUp)
			}
		})
	}
}

// TestWhoLeavesALineHearsOfItsWrite: a statement whose time is over while the leader has its
// write wait for a lock is told that nothing was written; one whose write was done, that.
func TestWhoLeavesALineHearsOfItsWrite(t *testing.T) {
	const over = "57014 canceling statement due to statement timeout"
	for _, x := range []struct {
		err  error
		want string
		n    string
	}{{&kv.BlockedError{}, over, "1"}, {&kv.ConditionError{}, over, "1"}, {nil, "UPDATE 1", "2"}} {
		f, a, _ := oneRange(t)
		a.run("insert into t values (1, 'a', 1)")
		a.run("set statement_timeout = '500ms'")
		f.db.before = func([]kv.Mutation) error {
			f.db.before = nil
			<-time.After(800 * time.Millisecond) // the leader's, which is longer than the statement's
			return x.err
		}
		if got := a.run("update t set n = n + 1 where id = 1"); got != x.want {
			t.Errorf("%v: %s, want %s", x.err, got, x.want)
		}
		a.run("reset statement_timeout")
		a.want(x.n+"\nSELECT 1", "select n from t")
	}
}

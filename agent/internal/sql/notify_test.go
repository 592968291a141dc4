package sql

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/kv"
)

// heard is what a session is told.
func heard(to *[]string) func(*SessionOptions) {
	return func(o *SessionOptions) {
		o.OnNotification = func(n Notification) { *to = append(*to, fmt.Sprintf("%s:%s", n.Channel, n.Payload)) }
	}
}

type sentTo struct{ list []Notification }

func (s *sentTo) Notify(list []Notification) { s.list = append(s.list, list...) }

func TestNotify(t *testing.T) {
	f := newFixture(t, nil)
	others := &sentTo{}
	f.server.cfg.Notifier = others
	var a, b []string
	x, y := f.open(heard(&a)), f.open(heard(&b))
	expect := func(what string, got *[]string, want string) {
		t.Helper()
		if text := strings.Join(*got, " "); text != want {
			t.Errorf("%s: heard %q, want %q", what, text, want)
		}
		*got = nil
	}
	x.want("LISTEN", "listen ch")
	y.want("NOTIFY", "notify ch, 'one'")
	y.want("NOTIFY", "notify other")
	expect("another session", &a, "ch:one")
	x.want("NOTIFY", "notify ch")
	expect("itself", &a, "ch:")
	expect("who does not listen", &b, "")

	y.want("BEGIN", "begin")
	y.want("NOTIFY", "notify ch, '1'")
	y.want("NOTIFY", "notify ch, '2'")
	y.want("NOTIFY", "notify ch, '1'")
	y.want("SAVEPOINT", "savepoint s")
	y.want("NOTIFY", "notify ch, '3'")
	y.want("ROLLBACK", "rollback to s")
	y.want("\nSELECT 1", "select pg_notify('ch', '4')")
	y.want("LISTEN", "listen ch")
	expect("before COMMIT", &a, "")
	y.want("COMMIT", "commit")
	expect("after COMMIT, folded", &a, "ch:1 ch:2 ch:4")
	expect("LISTEN counts from COMMIT on", &b, "ch:1 ch:2 ch:4")

	y.want("BEGIN", "begin")
	y.want("NOTIFY", "notify ch, '5'")
	y.want("UNLISTEN", "unlisten *")
	y.want("ROLLBACK", "rollback")
	y.want("BEGIN", "begin")
	y.want("NOTIFY", "notify ch, '6'")
	y.run("select 1/0")
	y.want("ROLLBACK", "commit")
	expect("rolled back", &a, "")
	x.want("NOTIFY", "notify ch, '7'")
	expect("still listens", &b, "ch:7")
	y.want("UNLISTEN", "unlisten ch")
	x.want("DISCARD ALL", "discard all")
	x.want("NOTIFY", "notify ch, '8'")
	expect("listens no more", &a, "ch:7")
	expect("listens no more", &b, "")

	x.want("22023 payload string too long", "notify ch, '"+strings.Repeat("x", 8000)+"'")
	x.want("22023 channel name cannot be empty", "select pg_notify('', 'x')")
	x.want("22023 channel name cannot be empty", "select pg_notify(null, 'x')")
	x.want("22023 channel name too long", "select pg_notify('"+strings.Repeat("x", 64)+"', 'x')")
	if n := len(others.list); n != 8 || others.list[0].Payload != "one" || others.list[0].PID != 7 {
		t.Errorf("other nodes are told of %v", others.list)
	}
	x.want("LISTEN", "listen ch")
	x.session.Close()
	f.server.Deliver([]Notification{{Database: x.session.database, Channel: "ch"}})
	expect("closed", &a, "")
	if n := len(f.server.listening.sessions); n != 0 {
		t.Errorf("%d channels have listeners, and no session", n)
	}
}

// TestNotifyByAttemptsThatLost: a statement that stands alone is run again when others came
// first, and what it notified before is not told.
func TestNotifyByAttemptsThatLost(t *testing.T) {
	for _, text := range []string{
		"update t set n = n + 1 where id = 1 returning pg_notify('ch', n::text)",
		"update t set n = n + 1 where id in (1, 2) returning pg_notify('ch', n::text)",
		"update t set n = n + 1 where id = 1 returning tell(n)",
		"insert into t values (1, 0) on conflict (id) do update set n = t.n + 1 returning pg_notify('ch', n::text)",
	} {
		const clients, each = 4, 15
		f := newFixture(t, nil)
		var told []string
		c := f.open(heard(&told))
		c.want("CREATE TABLE", "create table t (id int8 primary key, n int8)")
		c.want("CREATE FUNCTION", "create function tell(n int8) returns text language sql as $$ select pg_notify('ch', n::text) $$")
		c.want("INSERT 0 1", "insert into t values (1, 0)")
		c.want("LISTEN", "listen ch")
		f.db.before = func([]kv.Mutation) error {
			for range 20 { // others come meanwhile
				runtime.Gosched()
			}
			return nil
		}
		var wg sync.WaitGroup
		for range clients {
			s := f.open()
			wg.Go(func() {
				for range each {
					s.run(text)
				}
			})
		}
		wg.Wait()
		var want []string
		for n := range clients * each {
			want = append(want, fmt.Sprintf("ch:%d", n+1))
		}
		slices.Sort(told)
		slices.Sort(want)
		if !slices.Equal(told, want) {
			t.Errorf("%s: heard %d, want %d: %q", text, len(told), len(want), told)
		}
	}
}

// TestNotifyIsBounded: a session keeps so many bytes of what its transaction notifies.
func TestNotifyIsBounded(t *testing.T) {
	f := newFixture(t, nil)
	var told []string
	c := f.open(heard(&told))
	c.want("LISTEN", "listen ch")
	c.want("BEGIN", "begin")
	payload := strings.Repeat("x", 7900)
	some := func() (got string) {
		for i := range maxNotified/7900 - 100 {
			got = c.run(fmt.Sprintf("notify ch, '%s%d'", payload, i))
		}
		return got
	}
	c.want("SAVEPOINT", "savepoint s")
	for range 2 {
		if got := some(); got != "NOTIFY" {
			t.Fatal(got)
		}
		c.want("ROLLBACK", "rollback to s")
	}
	some()
	for i := range 200 {
		if got := c.run(fmt.Sprintf("notify ch, '%d%s'", i, payload)); got == "54000 a transaction may notify at most 16 MiB" {
			c.want("ROLLBACK", "rollback")
			c.want("NOTIFY", "notify ch, 'after'")
			if got := strings.Join(told, " "); got != "ch:after" {
				t.Errorf("heard %.100q", got)
			}
			return
		}
	}
	t.Error("more than 16 MiB were notified")
}

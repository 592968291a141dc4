package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestLockWatch: a transaction that others wait for is told once, however many wait and
// for however long; another one is, but not sooner than after the gap.
func TestLockWatch(t *testing.T) {
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	var w lockWatch
	waits := func(id string, secs int, holders ...string) cluster.Transaction {
		x := cluster.Transaction{ID: id, WaitsSince: at.Add(-time.Duration(secs) * time.Second)}
		for _, h := range holders {
			x.WaitsFor = append(x.WaitsFor, cluster.TransactionRef{ID: h, Node: 3})
		}
		return x
	}
	due := func(want string, all ...cluster.Transaction) {
		t.Helper()
		got := ""
		if x := w.due(all, at); x != nil {
			got = x.ID
		}
		if got != want {
			t.Errorf("at %s told of %q, want %q", at, got, want)
		}
	}
	due("", cluster.Transaction{ID: "a"}, waits("b", 29, "a"))
	due("c", waits("b", 31, "a"), waits("c", 45, "a"))
	due("", waits("b", 36, "a"), waits("c", 50, "a"), waits("d", 90, "x"))
	at = at.Add(lockEventGap)
	due("d", waits("b", 400, "a"), waits("e", 400, "b", "a"), waits("d", 390, "x"))
	at = at.Add(lockEventGap)
	due("", waits("b", 800, "a"), waits("d", 800, "x"))
	due("") // nobody waits any more
	due("b", waits("b", 31, "a"))
}

// TestLockWaitEvent says who waits for whom, as far as the other nodes answer.
func TestLockWaitEvent(t *testing.T) {
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	all := []cluster.Transaction{
		{ID: "a", Node: 3, PID: 30, User: "ann", State: cluster.TransactionIdle, Began: at.Add(-10 * time.Minute)},
		{ID: "b", Node: 1, PID: 10, User: "bob", WaitsFor: []cluster.TransactionRef{{ID: "a", Node: 3}}, WaitsSince: at.Add(-31 * time.Second)},
		{ID: "c", Node: 1, PID: 11, User: "bob", WaitsFor: []cluster.TransactionRef{{ID: "z", Node: 2}, {ID: "b", Node: 1}}, WaitsSince: at.Add(-31 * time.Second)},
	}
	for id, want := range map[string]string{
		"b": "session 10 of bob on n1 has waited since 2026-11-01T11:59:29Z for locks of session 30 of ann on n3, idle, begun 10m0s ago; waiting on n1: 2",
		"c": "session 11 of bob on n1 has waited since 2026-11-01T11:59:29Z for locks of a transaction on n2, and 1 more; waiting on n1: 2",
	} {
		if e := lockWaitEvent(1, all, id, at); e == nil || e.Text != want || e.Data["waits"] != id || !strings.HasPrefix(e.Data["since"], "2026") {
			t.Errorf("%s: got %+v, want %s", id, e, want)
		}
	}
	if e := lockWaitEvent(1, all, "a", at); e != nil {
		t.Errorf("who waits for nobody: %+v", e)
	}
}

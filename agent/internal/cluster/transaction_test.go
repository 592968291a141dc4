package cluster

import (
	"slices"
	"testing"
	"time"
)

// TestLinkTransactions: the oldest is first; who waits learns whom for, unless the
// other's node has told nothing, and who blocks learns whom.
func TestLinkTransactions(t *testing.T) {
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	all := []Transaction{
		{ID: "b", Node: 2, PID: 20, Began: at.Add(time.Second), WaitsFor: []TransactionRef{{ID: "a", Node: 1}, {ID: "z", Node: 3}}},
		{ID: "c", Node: 2, PID: 21, Began: at.Add(time.Second), WaitsFor: []TransactionRef{{ID: "a", Node: 1}}},
		{Node: 1, PID: 11, Began: at.Add(time.Hour)},
		{ID: "a", Node: 1, PID: 10, Began: at},
	}
	for range 2 { // again: the same
		LinkTransactions(all)
	}
	var order []uint32
	for i := range all {
		order = append(order, all[i].PID)
	}
	if !slices.Equal(order, []uint32{10, 20, 21, 11}) {
		t.Fatalf("order %v", order)
	}
	if want := []TransactionRef{{"b", 2, 20}, {"c", 2, 21}}; !slices.Equal(all[0].Blocks, want) {
		t.Errorf("the oldest blocks %v, want %v", all[0].Blocks, want)
	}
	if want := []TransactionRef{{"a", 1, 10}, {"z", 3, 0}}; !slices.Equal(all[1].WaitsFor, want) {
		t.Errorf("it waits for %v, want %v", all[1].WaitsFor, want)
	}
}

// TestSumTransactions: the longest wait is told, with whom it is for, and the oldest that
// is open.
func TestSumTransactions(t *testing.T) {
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	s := SumTransactions([]Transaction{
		{ID: "a", Node: 1, PID: 10, User: "ann", State: TransactionIdle, Began: at.Add(-time.Hour)},
		{ID: "b", Node: 1, PID: 11, User: "app", State: TransactionWaiting, Began: at.Add(-time.Minute), WaitsFor: []TransactionRef{{ID: "a", Node: 1}, {ID: "z", Node: 3}}, WaitsSince: at.Add(-35 * time.Second)},
		{ID: "c", Node: 1, PID: 12, State: TransactionWaiting, Began: at.Add(-3 * time.Second), WaitsFor: []TransactionRef{{ID: "b", Node: 1}}, WaitsSince: at.Add(-2 * time.Second)},
		{ID: "d", Node: 1, State: TransactionEnded, Began: at.Add(-2 * time.Hour)},
	}, at)
	if want := (TransactionsStatus{Open: 3, Waiting: 2, Longest: TransactionRef{"b", 1, 11}, LongestUser: "app", WaitsFor: TransactionRef{"a", 1, 10}, WaitSeconds: 35,
		Oldest: TransactionRef{"a", 1, 10}, OldestUser: "ann", OldestBegan: at.Add(-time.Hour)}); s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
}

package txn

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// TestBank moves money between ranges while coordinators fall silent, answers get lost and
// readers add everything up.
func TestBank(t *testing.T) {
	first := seed.Of(t)
	for seed := first; seed < first+6; seed++ {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { bank(t, seed) })
		})
	}
}

func bank(t *testing.T, seed uint64) {
	const accounts, each = 6, 100
	m := newModel(t, 3, 5)
	rng := rand.New(rand.NewPCG(seed, 1))
	var draw sync.Mutex
	intN := func(n int) int { draw.Lock(); defer draw.Unlock(); return rng.IntN(n) }
	var muts []kv.Mutation
	var rows [][]byte
	for i := range accounts {
		muts, rows = append(muts, put(i, strconv.Itoa(each))), append(rows, row(i))
	}
	m.commitOK(t, m.managers[1], muts...)
	m.hooked(func(c *kv.Call, after bool) error {
		switch intN(40) {
		case 0:
			return &store.AmbiguousError{Cause: errors.New("no answer")}
		case 1:
			pass(time.Duration(intN(3000)) * time.Millisecond)
		case 2:
			if !after { // it says that nothing was done
				return store.ErrOverloaded
			}
		}
		return nil
	})
	until := time.Now().Add(60 * time.Second)
	var wg sync.WaitGroup
	done := 0
	for c := range 5 {
		wg.Go(func() {
			for time.Now().Before(until) {
				mgr := m.managers[cluster.NodeID(c%3+1)]
				if transfer(m, mgr, intN(accounts), intN(accounts), intN(50), intN(2) == 0) {
					draw.Lock()
					done++
					draw.Unlock()
				}
			}
		})
	}
	wg.Go(func() {
		for time.Now().Before(until) {
			node := cluster.NodeID(intN(3) + 1)
			m.silence(node, true)
			pass(time.Duration(intN(8000)) * time.Millisecond)
			m.silence(node, false)
		}
	})
	sum := func() {
		ts := m.clock.Now()
		values, err := m.read(t.Context(), m.managers[cluster.NodeID(intN(3)+1)], ts, rows...)
		if err != nil {
			return // the faults
		}
		total := 0
		for _, v := range values {
			n, _ := strconv.Atoi(string(v))
			total += n
		}
		if total != accounts*each {
			t.Errorf("at %s there are %d: %q", ts, total, values)
		}
	}
	for time.Now().Before(until) && !t.Failed() {
		sum()
		pass(time.Duration(intN(50)) * time.Millisecond)
	}
	wg.Wait()
	m.hooked(nil)
	sum()
	if done < 50 {
		t.Errorf("only %d transfers", done)
	}
}

// transfer moves money, and reports whether it did.
func transfer(m *model, mgr *Manager, from, to, amount int, locks bool) bool {
	if from == to {
		return false
	}
	x := mgr.Begin(ReadCommitted, Info{})
	var found []kv.Row
	var err error
	if locks {
		if found, _, err = x.Lock(context.Background(), lockRequest(from, to)); err != nil {
			x.Rollback()
			return false
		}
	} else {
		ts, _ := x.Read(context.Background())
		values, err := m.read(context.Background(), mgr, ts, row(from), row(to))
		if err != nil {
			x.Rollback()
			return false
		}
		for _, v := range values {
			found = append(found, kv.Row{Value: v, Version: ts})
		}
	}
	var muts []kv.Mutation
	for j, i := range []int{from, to} {
		n, _ := strconv.Atoi(string(found[j].Value))
		mut := put(i, strconv.Itoa(n+amount*(2*j-1)))
		mut.Expect, mut.ExpectTS = datastate.NotNewerThan, found[j].Version
		muts = append(muts, mut)
	}
	_, err = x.Commit(context.Background(), muts, 0)
	return err == nil
}

// TestWriteSkew: two transactions read two rows, and each writes one of them.
func TestWriteSkew(t *testing.T) {
	for iso, both := range map[Isolation]bool{RepeatableRead: true, Serializable: false} {
		t.Run(iso.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newModel(t, 2, 4)
				is := m.apart(t, 2)
				m.commitOK(t, m.managers[1], put(is[0], "0"), put(is[1], "0"))
				pass(time.Second)
				errs := make([]error, 2)
				txns := make([]*Txn, 2)
				for i := range txns {
					txns[i] = m.managers[cluster.NodeID(i+1)].Begin(iso, Info{})
					ts, _ := txns[i].Read(t.Context())
					m.want(t, m.managers[1], ts, is, "0", "0")
					for _, k := range is {
						txns[i].NoteRead(kv.Point(0, testCollection, key(k)))
					}
				}
				var wg sync.WaitGroup
				for i := range txns {
					wg.Go(func() {
						mut := put(is[i], "1")
						mut.Expect, mut.ExpectTS = datastate.NotNewerThan, txns[i].snapshot
						_, errs[i] = txns[i].Commit(context.Background(), []kv.Mutation{mut}, 0)
					})
				}
				wg.Wait()
				if (errs[0] == nil && errs[1] == nil) != both {
					t.Errorf("they end with %v and %v", errs[0], errs[1])
				}
				if errs[0] != nil && errs[1] != nil {
					t.Error("none of them commits")
				}
			})
		})
	}
}

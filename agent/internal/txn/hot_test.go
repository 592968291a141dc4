package txn

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/kv"
)

// TestTheRecordIsWhereOthersWait: of the rows of a transaction that for which others wait
// is written with the record, whichever was locked first and wherever most is written.
func TestTheRecordIsWhereOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 2, 4)
		is := m.apart(t, 3)
		m.commitOK(t, m.managers[1], put(is[0], "0"), put(is[1], "0"), put(is[2], "0"))
		pass(time.Second)
		first := transferOf(t, m, m.managers[1], is...)
		second := m.managers[1].Begin(ReadCommitted, Info{})
		waits := make(chan error, 1)
		go func() {
			_, _, err := second.Lock(t.Context(), lockRequest(is[1]))
			waits <- err
		}()
		pass(20 * time.Millisecond)
		first.commit(t)
		if err := <-waits; err != nil {
			t.Fatal(err)
		}
		second.Rollback()
		pass(time.Second)
		third := transferOf(t, m, m.managers[1], is...)
		homes := m.homes()
		third.commit(t)
		if got := homes(); len(got) != 1 || !bytes.Equal(got[0], keys.TxnRecord(row(is[1]), third.x.ID())) {
			t.Errorf("the record is at %q, want it beside %q", got, key(is[1]))
		}
		pass(10 * time.Second)
		cooled := transferOf(t, m, m.managers[1], is...)
		homes = m.homes()
		cooled.commit(t)
		if got := homes(); len(got) != 1 || !bytes.Equal(got[0], keys.TxnRecord(row(is[0]), cooled.x.ID())) {
			t.Errorf("long after, the record is at %q, want it beside %q", got, key(is[0]))
		}
		pass(time.Second)
		if m.left() != "" {
			t.Error(m.left())
		}
	})
}

// homes notes where records are committed, from now until it is asked.
func (m *model) homes() func() [][]byte {
	var at [][]byte
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = func(c *kv.Call, after bool) error {
		if r, ok := c.Request.(*datastate.Commit); ok && !after {
			m.mu.Lock()
			defer m.mu.Unlock()
			at = append(at, r.Record)
		}
		return nil
	}
	return func() [][]byte {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.hook = nil
		return at
	}
}

// updating is a transaction that has locked rows and is to write them.
type updating struct {
	x    *Txn
	muts []kv.Mutation
}

func transferOf(t *testing.T, m *model, mgr *Manager, is ...int) *updating {
	t.Helper()
	u := &updating{x: mgr.Begin(ReadCommitted, Info{})}
	for _, i := range is {
		found, _, err := u.x.Lock(t.Context(), lockRequest(i))
		if err != nil {
			t.Fatal(err)
		}
		mut := put(i, fmt.Sprintf("%s+", found[0].Value))
		mut.Expect, mut.ExpectTS = datastate.VersionIs, found[0].Version
		u.muts = append(u.muts, mut)
	}
	return u
}

func (u *updating) commit(t *testing.T) {
	t.Helper()
	if _, err := u.x.Commit(t.Context(), u.muts, 0); err != nil {
		t.Fatal(err)
	}
}

// TestAnAbortAtARecordThatMoved: who waits for a transaction whose gateway is silent
// aborts it at the record that it was told; the transaction commits by another one. It
// has all of its rows, or is told that it lost, and none of its intents goes.
func TestAnAbortAtARecordThatMoved(t *testing.T) {
	for planted, want := range map[bool]bool{false: true, true: false} {
		t.Run(fmt.Sprint(planted), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got := abortAtARecordThatMoved(t, planted); got != want {
					t.Errorf("whole: %v, want %v", got, want)
				}
			})
		})
	}
}

func abortAtARecordThatMoved(t *testing.T, planted bool) (whole bool) {
	m := newModel(t, 2, 4)
	m.anyRecord = planted
	is := m.apart(t, 3)
	m.commitOK(t, m.managers[1], put(is[0], "0"), put(is[1], "0"), put(is[2], "0"))
	pass(time.Second)
	m.managers[1].contended(row(is[1]))
	u := transferOf(t, m, m.managers[1], is...)
	other := m.managers[2].Begin(ReadCommitted, Info{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _, _ = other.Lock(t.Context(), lockRequest(is[2]))
		other.Rollback()
	}()
	m.silence(1, true)
	m.managers[1].contended(row(is[1]))
	pushed := make(chan struct{})
	laid := make(chan struct{})
	m.mu.Lock()
	m.hook = func(c *kv.Call, after bool) error {
		switch r := c.Request.(type) {
		case *datastate.Push: // the other one has made up its mind
			if after && r.Txn == u.x.ID() {
				close(pushed)
				<-laid // and what it does then comes after the intents
			}
		case *datastate.Commit: // which comes once the other has done it
			if !after {
				close(laid)
				pass(500 * time.Millisecond)
			}
		}
		return nil
	}
	m.mu.Unlock()
	<-pushed
	m.managers[1].contended(row(is[1]))
	_, err := u.x.Commit(t.Context(), u.muts, 0)
	m.silence(1, false)
	<-done
	pass(2 * time.Minute)
	var conflict *ConflictError
	if err != nil && !errors.As(err, &conflict) {
		t.Fatal(err)
	}
	want := "0+"
	if err != nil {
		want = "0"
	}
	for _, i := range is {
		values, e := m.read(t.Context(), m.managers[2], m.clock.Now(), row(i))
		if e != nil {
			t.Fatal(e)
		}
		if string(values[0]) != want {
			t.Logf("row %d is %q after %v", i, values[0], err)
			return false
		}
	}
	return err == nil
}

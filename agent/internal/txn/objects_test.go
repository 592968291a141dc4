package txn

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/kv"
)

// modelMeta is the meta range of a model: what transactions have prepared there, and what
// came of it. model.mu guards it.
type modelMeta struct {
	pending map[cluster.TxnID]prepared
	done    map[cluster.TxnID]bool
	leads   cluster.NodeID
	hook    func(node cluster.NodeID, step string) error // model.mu is held
}

type prepared struct {
	record []byte
	at     time.Time
}

// metaOf is a node's way to the meta range.
type metaOf struct {
	m    *model
	node cluster.NodeID
}

func (o metaOf) asked(step string) error {
	if o.m.meta.hook == nil {
		return nil
	}
	return o.m.meta.hook(o.node, step)
}

// Prepare satisfies Participant.
func (o metaOf) Prepare(_ context.Context, id cluster.TxnID, record []byte) error {
	o.m.mu.Lock()
	defer o.m.mu.Unlock()
	if err := o.asked("Prepare"); err != nil {
		return err
	}
	if o.m.meta.pending == nil {
		o.m.meta.pending, o.m.meta.done = map[cluster.TxnID]prepared{}, map[cluster.TxnID]bool{}
	}
	o.m.meta.pending[id] = prepared{record, time.Now()}
	return o.asked("Prepared")
}

// Resolve satisfies Objects.
func (o metaOf) Resolve(_ context.Context, id cluster.TxnID, commit bool) error {
	o.m.mu.Lock()
	defer o.m.mu.Unlock()
	if err := o.asked("ResolveObjects"); err != nil {
		return err
	}
	if _, ok := o.m.meta.pending[id]; ok {
		delete(o.m.meta.pending, id)
		o.m.meta.done[id] = commit
	}
	return nil
}

// Pending satisfies Objects.
func (o metaOf) Pending() (out []PendingObjects) {
	o.m.mu.Lock()
	defer o.m.mu.Unlock()
	for id, p := range o.m.meta.pending {
		if o.node == o.m.meta.leads {
			out = append(out, PendingObjects{Txn: id, Record: p.record, Age: time.Since(p.at)})
		}
	}
	return out
}

// objectSteps are those before which a gateway dies in the middle of a commit of rows and
// objects; "": it does not.
var objectSteps = []string{"Prepare", "Prepared", "Prewrite", "Commit", "Committed", "ResolveObjects", "Resolve", "Forget", ""}

// dieAt has a gateway commit rows and objects, and die at a step. It returns what is wrong
// after all was tidied up: by late, the leader of the meta range only at the end.
func dieAt(t *testing.T, step string, late bool, p Planted) string {
	m := newModel(t, 3, 4)
	if !late {
		m.meta.leads = 3
	}
	is := m.apart(t, 3)
	m.lead(2, 3)
	for n := cluster.NodeID(2); n <= 3; n++ {
		m.managers[n].Close()
		m.start(n, 2, p)
	}
	dead, dies := false, errors.New("the gateway dies")
	m.hooked(func(c *kv.Call, after bool) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if dead = dead || !after && at(c) == step || after && step == "Committed" && at(c) == "Commit"; dead {
			return dies
		}
		return nil
	})
	m.meta.hook = func(node cluster.NodeID, at string) error {
		if dead = dead || at == step && node == 1; dead && node == 1 {
			return dies
		}
		return nil
	}
	x := m.managers[1].Begin(ReadCommitted, Info{})
	x.With(metaOf{m, 1})
	_, err := x.Commit(m.managers[1].ctx, []kv.Mutation{put(is[0], "1"), put(is[1], "1"), put(is[2], "1")}, 0)
	synctest.Wait()
	m.managers[1].Close()
	m.hooked(nil)
	m.start(1, 2, p)
	pass(tidied)
	m.mu.Lock()
	m.meta.leads = 3
	m.mu.Unlock()
	pass(tidied) // of the poison, too, that is found wanting at the end
	if left := m.left(); left != "" {
		return "left: " + left
	}
	m.mu.Lock()
	pending, done := len(m.meta.pending), m.meta.done[x.ID()]
	m.mu.Unlock()
	if pending > 0 {
		return "a change of objects stays prepared"
	}
	for _, i := range is {
		v, readErr := m.read(t.Context(), m.managers[2], m.clock.Now(), row(i))
		if readErr != nil {
			return readErr.Error()
		}
		if written := string(v[0]) == "1"; written != done || err == nil && !done {
			return "rows and objects differ, or what was committed is not there"
		}
	}
	return ""
}

// TestObjectsAndRows: whenever its gateway dies, a transaction changes objects and rows, or
// neither.
func TestObjectsAndRows(t *testing.T) {
	for _, step := range objectSteps {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s late=%v", step, late), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					if found := dieAt(t, step, late, Planted{}); found != "" {
						t.Error(found)
					}
				})
			})
		}
	}
}

// TestSettleObjects: who is in the way of a change that another has prepared waits for it,
// and for a gateway that is gone no longer than silence.
func TestSettleObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 3, 4)
		x := m.managers[1].Begin(ReadCommitted, Info{})
		record := x.recordAt(row(1))
		if err := (metaOf{m, 1}).Prepare(t.Context(), x.ID(), record); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.managers[2].SettleObjects(ctx, x.ID(), record); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while it is open: %v", err)
		}
		m.silence(1, true)
		began := time.Now()
		if err := m.managers[2].SettleObjects(t.Context(), x.ID(), record); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < silence || took > 2*silence || len(m.meta.pending) > 0 || m.meta.done[x.ID()] {
			t.Errorf("after %s: %+v", took, m.meta)
		}
	})
}

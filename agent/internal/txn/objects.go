package txn

import (
	"context"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
)

// A transaction that changes objects, too, has that prepared in the meta range before its
// record decides. The record is not deleted before the meta range has heard of it: whoever
// finds a prepared change and no record may take it for aborted.

// Participant is the part of a transaction that is in the meta range.
type Participant interface {
	// Prepare has the part be as good as done, unless it refuses.
	Prepare(ctx context.Context, id cluster.TxnID, record []byte) error
}

// Objects is what transactions need of the meta range.
type Objects interface {
	// Resolve has what a transaction has prepared be carried out, or go.
	Resolve(ctx context.Context, id cluster.TxnID, commit bool) error
	// Pending are the changes that are prepared, if this node is to look after them.
	Pending() []PendingObjects
}

// PendingObjects is a change of objects that a transaction has prepared.
type PendingObjects struct {
	Txn    cluster.TxnID
	Record []byte
	Age    time.Duration
}

// With has p take part in the commit.
func (t *Txn) With(p Participant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.with = p
}

// objectsPause is how long who waits for a transaction that changes objects waits before
// the next look: such a commit takes some rounds.
const objectsPause = 20 * time.Millisecond

// SettleObjects waits for the end of a transaction that has prepared a change of objects,
// and has it be carried out, or go. One whose gateway is gone is aborted.
func (m *Manager) SettleObjects(ctx context.Context, id cluster.TxnID, record []byte) error {
	for {
		ended, commit, err := m.objectsEnd(ctx, id, record, silence)
		if err != nil {
			return err
		}
		if ended {
			return m.cfg.Objects.Resolve(ctx, id, commit)
		}
		if err := m.cfg.Sleep(ctx, objectsPause); err != nil {
			return err
		}
	}
}

// objectsEnd finds out what became of a transaction that has prepared a change of objects.
// patience is for how long its gateway may not answer.
func (m *Manager) objectsEnd(ctx context.Context, id cluster.TxnID, record []byte, patience time.Duration) (ended, commit bool, err error) {
	switch a := m.ask(ctx, id); {
	case a.State == Committed || a.State == Aborted:
		return true, a.State == Committed, nil
	case a.State != Unknown || a.silent && a.silence < patience:
		return false, false, nil
	}
	r, err := m.push(ctx, id, record, true, 0)
	if err != nil {
		return false, false, err
	}
	return true, r.Status == datastate.TxnCommitted, nil
}

// sweepObjects is the janitor's look at changes of objects that nobody ends.
func (m *Manager) sweepObjects() {
	if m.cfg.Objects == nil {
		return
	}
	for _, p := range m.cfg.Objects.Pending() {
		if p.Age < leftAge {
			continue
		}
		ended, commit, err := m.objectsEnd(m.ctx, p.Txn, p.Record, abandoned)
		if err == nil && ended {
			_ = m.cfg.Objects.Resolve(m.ctx, p.Txn, commit) // else the next look
		}
	}
}

// resolveObjects tells the meta range how a transaction has ended that may have prepared a
// change there.
func (m *Manager) resolveObjects(ctx context.Context, id cluster.TxnID, commit bool) error {
	if m.cfg.Planted.forgetsObjects() {
		return nil
	}
	return m.cfg.Objects.Resolve(ctx, id, commit)
}

package txn

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// MethodAsk is the call that asks a gateway what became of one of its transactions.
const MethodAsk = "txn.ask"

// askFormat is the first byte of the messages of MethodAsk.
const askFormat byte = 1

// maxWaits bounds for how many others an answer says that a transaction waits.
const maxWaits = 64

// errMalformed marks bytes that no encoder of this package made.
var errMalformed = errors.New("malformed txn message")

// Answer is what a gateway says of a transaction.
type Answer struct {
	// State is Unknown if the gateway knows nothing of it: then it has ended, and nothing
	// is left of it that its record would not tell.
	State State
	TS    hlc.Timestamp // of its commit
	// Waiter is who waits: itself, or another of its session, which keeps it from going on
	// as well; Waits for whom, as the last request of that was answered; Told how many such
	// answers it had.
	Waiter cluster.TxnID
	Waits  []cluster.TxnID
	Told   uint64

	silent  bool          // nobody has answered
	silence time.Duration // for how long
}

// Methods returns the handlers of calls.
func (m *Manager) Methods() map[string]func(ctx context.Context, from cluster.NodeID, payload []byte) ([]byte, error) {
	return map[string]func(context.Context, cluster.NodeID, []byte) ([]byte, error){MethodAsk: m.handleAsk}
}

func (m *Manager) handleAsk(_ context.Context, _ cluster.NodeID, payload []byte) ([]byte, error) {
	id, err := decodeAsk(payload)
	if err != nil {
		return nil, err
	}
	a := m.answer(id)
	return encodeAnswer(&a), nil
}

// answer is what this gateway says of a transaction.
func (m *Manager) answer(id cluster.TxnID) Answer {
	t := m.find(id)
	if t == nil {
		return Answer{State: Unknown}
	}
	t.mu.Lock()
	a := Answer{State: t.state, TS: t.commitTS}
	t.mu.Unlock()
	w := t.waiter()
	w.mu.Lock()
	defer w.mu.Unlock()
	a.Waiter, a.Waits, a.Told = w.id, w.waits[:min(len(w.waits), maxWaits)], w.told
	return a
}

// ask asks the gateway of a transaction. Where nobody answers the answer says for how
// long that has been so.
func (m *Manager) ask(ctx context.Context, id cluster.TxnID) Answer {
	node := id.Node()
	if node == m.cfg.Self {
		return m.answer(id) // of an earlier start: it is not there
	}
	var a Answer
	b, err := m.cfg.Ask(ctx, node, encodeAsk(id))
	if err == nil {
		a, err = decodeAnswer(b)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		delete(m.silent, node)
		return a
	}
	now := m.cfg.Now()
	since, ok := m.silent[node]
	if !ok {
		since = now
		m.silent[node] = now
	}
	return Answer{State: Unknown, silent: true, silence: now - since}
}

func encodeAsk(id cluster.TxnID) []byte { return append([]byte{askFormat}, id[:]...) }

func decodeAsk(b []byte) (id cluster.TxnID, err error) {
	r := codec.Read(b, errMalformed)
	format(&r)
	copy(id[:], r.Raw(uint64(len(id))))
	return id, r.End()
}

func format(r *codec.Reader) {
	if f := r.Byte(); r.Err() == nil && f != askFormat {
		r.Fail("unknown format")
	}
}

func encodeAnswer(a *Answer) []byte {
	out := append(make([]byte, 0, 48+len(a.Waits)*16), askFormat, byte(a.State))
	out = binary.BigEndian.AppendUint64(out, uint64(a.TS))
	out = append(out, a.Waiter[:]...)
	out = binary.AppendUvarint(out, a.Told)
	out = binary.AppendUvarint(out, uint64(len(a.Waits)))
	for _, id := range a.Waits {
		out = append(out, id[:]...)
	}
	return out
}

func decodeAnswer(b []byte) (a Answer, err error) {
	r := codec.Read(b, errMalformed)
	format(&r)
	a.State, a.TS = State(r.Byte()), hlc.Timestamp(r.Uint64())
	copy(a.Waiter[:], r.Raw(uint64(len(a.Waiter))))
	a.Told = r.Uvarint()
	if r.Err() == nil && a.State > Unknown {
		r.Fail("unknown state")
	}
	n := r.Count(len(cluster.TxnID{}))
	for range n {
		var id cluster.TxnID
		copy(id[:], r.Raw(uint64(len(id))))
		a.Waits = append(a.Waits, id)
	}
	return a, r.End()
}

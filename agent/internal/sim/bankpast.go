package sim

import (
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// pastRead is what a follower has said of an account of the bank, as of a time that was
// closed there: transactions leave intents at or below such a time, which commit later.
type pastRead struct {
	at    int
	ts    hlc.Timestamp
	value string
	node  cluster.NodeID
}

// mostPast is how many reads by followers wait to be compared.
const mostPast = 64

// readPast has replicas that follow be asked for accounts.
func (b *bank) readPast() {
	w := b.w
	if b.over() {
		return
	}
	w.After(w.ms(10, 60), b.readPast)
	n, i := w.nodes[w.rng.IntN(len(w.nodes))], w.rng.IntN(b.counter()+2)
	if b.opened && n.Up() && n.awake() {
		n.do(func() { b.askFollower(n, i) })
	}
}

// askFollower reads at the latest time that is closed at a replica here.
func (b *bank) askFollower(n *Node, i int) {
	w, row := b.w, b.accounts[i].row
	id := n.gateway.RangeOf(row)
	st, ok := n.core.RangeStatus(id)
	if !ok || st.Leader == n.id {
		return
	}
	n.core.AskClosed(id)
	p, ok := n.core.Past(id)
	if !ok {
		return
	}
	ts, _ := p.Closed()
	q, lack := p.Begin(ts, false)
	if lack != cluster.PastServes || ts == 0 || !keys.Owns(q.Descriptor, row) {
		return
	}
	if store.Meets(id, q.Mirror(), evaluation.Query{Rows: [][]byte{row}, TS: ts}) != nil {
		w.Stats.PastIntents++
		return // the leader's to decide
	}
	value, _, _, err := datastate.Get(n.engine, row, ts)
	n.later(w.ms(0, 2), func() {
		if q.Check() && err == nil && q.Refuses() == nil && len(b.past) < mostPast {
			b.past = append(b.past, pastRead{i, ts, string(value), n.id})
		}
	})
}

// comparePast asks leaders for what followers have said.
func (b *bank) comparePast(g *gateway) {
	past := b.past
	b.past = nil
	for _, p := range past {
		values, err := g.read(p.ts, [][]byte{b.accounts[p.at].row})
		if err == nil && values[0] != p.value {
			b.w.fail("account %d at %s was %q, as a follower on %s said, and is now %q", p.at, p.ts, p.value, p.node, values[0])
		}
	}
}

package sim

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/routing"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// spanRead is what a scan found in a span of keys at a timestamp, for ever.
type spanRead struct {
	from, to cluster.Key
	ts       hlc.Timestamp
	values   []string // in no order
}

// scanner reads spans over several ranges, one after the other, as a gateway would:
// range by range at one time, each at its leader, while ranges are split.
type scanner struct {
	w     *World
	table *routing.Table
	now   *spanScan // under way, or the last
}

// spanScan is one scan on its way.
type spanScan struct {
	read  spanRead
	req   kv.ScanRequest
	rows  uint64      // of a chunk
	at    cluster.Key // what was read ends here
	node  *Node       // tried last
	tries int
	until time.Duration // given up
	kept  bool          // nothing that it needs was garbage when it began
}

// program takes the rows of some scans where they are, as those of statements that add rows
// up do; nil: the rows come themselves. Half of those that may have one have one.
func (x *spanScan) program() kv.Program {
	if x.req.Ordered || x.req.Reverse || x.rows%2 == 1 {
		return nil
	}
	return &collector{}
}

// collector is a program of which each row comes out that it has taken.
type collector struct{ rows []kv.Row }

func (c *collector) Add(key, value []byte) error {
	c.rows = append(c.rows, kv.Row{Key: bytes.Clone(key), Value: bytes.Clone(value)})
	return nil
}

func (c *collector) Full() bool { return false }

func (c *collector) Flush(emit func(key, value []byte)) {
	for _, r := range c.rows {
		emit(r.Key, r.Value)
	}
	c.rows = nil
}

// scanTime is how long a scan tries: ranges without a leader need elections.
const scanTime = 8 * time.Second

// beginScans has the scanner work from now on.
func (w *World) beginScans() {
	w.scanner = &scanner{w: w, table: w.newTable()}
	w.After(w.ms(500, 1500), w.scanner.next)
}

// forget is the scanner after all disks went back: what it has read is void.
func (s *scanner) forget() { s.now, s.table = nil, s.w.newTable() }

func (s *scanner) next() {
	w := s.w
	if w.now > w.cfg.Duration-w.quiet() {
		return
	}
	pause := w.ms(200, 800)
	if w.cfg.Leases {
		pause = w.ms(20, 120)
	}
	w.After(pause, s.next)
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	if s.now != nil && s.now.at < s.now.read.to && w.now < s.now.until || !n.Up() || !n.awake() {
		return
	}
	x := &spanScan{node: n, until: w.now + scanTime, rows: uint64(1 + w.rng.IntN(4))}
	x.read = s.span()
	x.read.ts, x.at = n.clock.Now(), x.read.from
	x.req = kv.ScanRequest{TS: x.read.ts, Collection: 1, Ordered: w.chance(60), Reverse: w.chance(30)}
	x.kept = x.read.ts >= w.kept
	s.now = x
	s.attempt(x)
}

// span draws what to read: all of the keys, or from one of them on.
func (s *scanner) span() spanRead {
	w := s.w
	first, last := cluster.VShard(2*homeWidth), cluster.VShard((2+w.cfg.Ranges)*homeWidth)
	x := spanRead{from: first.Key(), to: last.Key()}
	if w.chance(30) {
		ps := w.homes()
		x.from = ps[w.rng.IntN(len(ps))].bound()
	}
	return x
}

// attempt reads what is next at the node that leads it, or at any if nobody does.
func (s *scanner) attempt(x *spanScan) {
	w := s.w
	if s.now != x || x.at >= x.read.to || w.now > x.until {
		return
	}
	r, ok := s.table.Lookup(cluster.DefaultPool, x.at)
	if !ok {
		w.fail("the scanner knows no range for %s", x.at.Text())
		return
	}
	d := r.Descriptor
	to := x.read.to
	if d.Contains(cluster.DefaultPool, x.at) {
		to = min(to, d.End)
	}
	x.node = w.nodes[w.rng.IntN(len(w.nodes))]
	if n, _, ok := w.Leader(d.ID); ok {
		x.node = n
	}
	n := x.node
	x.tries++
	try := x.tries
	way := w.ms(0, 30)
	if w.cfg.Leases {
		way /= 15 // so that what was proposed before the scan's time is still under way
	}
	w.After(way, func() { n.do(func() { s.serve(x, n, d.ID, to, try) }) })
	w.After(attemptTime, func() {
		if x.tries == try {
			s.attempt(x)
		}
	})
}

// serve is the leader's part.
func (s *scanner) serve(x *spanScan, n *Node, id cluster.RangeID, to cluster.Key, try int) {
	if !n.awake() || s.now != x || x.tries != try {
		return
	}
	at := x.at
	done := func(h *store.ReadHandle, err error) {
		if err == nil {
			defer h.Close()
			var rows []kv.Row
			err = kv.ReadView(h, &x.req, at, to, x.rows, x.program(), s.w.cfg.PlantedScan, func(r kv.Row) {
				rows = append(rows, kv.Row{Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value), Version: r.Version})
			})
			if err == nil {
				n.later(s.w.ms(0, 3), func() { s.took(x, rows, to, try) })
				return
			}
		}
		s.refused(x, n, err, try)
	}
	round := func() { n.core.Read(id, x.read.ts, done) }
	if q, ok := n.core.BeginRead(id, x.read.ts, kv.ScanScope(&x.req, at, to, s.w.cfg.PlantedScan)); ok {
		s.w.leasedView(n, id, x.read.ts, q, done, round)
		return
	}
	round()
}

// took takes in the rows of one range.
func (s *scanner) took(x *spanScan, rows []kv.Row, to cluster.Key, try int) {
	w := s.w
	if s.now != x || x.tries != try {
		return
	}
	order := func(a, b kv.Row) int { return bytes.Compare(a.Key, b.Key) }
	if x.req.Reverse {
		order = func(a, b kv.Row) int { return bytes.Compare(b.Key, a.Key) }
	}
	if (x.req.Ordered || x.req.Reverse) && !slices.IsSortedFunc(rows, order) {
		w.fail("a scan of [%s,%s) gave rows out of order: %v", x.at.Text(), to.Text(), rows)
	}
	for _, r := range rows {
		x.read.values = append(x.read.values, string(r.Value))
	}
	if x.at = to; x.at < x.read.to {
		x.tries++
		s.attempt(x)
		return
	}
	w.Stats.Scans++
	w.trace(uint64(len(x.read.values)), uint64(x.read.ts))
	w.history.spans = append(w.history.spans, x.read)
}

// refused learns of ranges from who refused, and tries again.
func (s *scanner) refused(x *spanScan, n *Node, err error, try int) {
	if s.now != x || x.tries != try {
		return
	}
	var mismatch *store.RangeMismatchError
	switch {
	case errors.As(err, &mismatch):
		for _, st := range n.core.Status() {
			if st.Applied > 0 && !st.Descriptor.IsMeta() {
				s.table.Learn(st.Descriptor)
			}
		}
	case tooOld(err) && !x.kept:
		s.w.Stats.TooOld++
		x.until = 0
		return
	case !store.Retryable(err) && !isRouting(err):
		s.w.fail("scan of [%s,%s) on %s: %v", x.at.Text(), x.read.to.Text(), n.id, err)
		return
	}
	s.w.After(s.w.ms(10, 100), func() {
		if x.tries == try {
			s.attempt(x)
		}
	})
}

// isRouting reports whether another node, or the same later, will answer.
func isRouting(err error) bool {
	var notLeader *store.NotLeaderError
	var offset *hlc.OffsetError
	return errors.As(err, &notLeader) || errors.As(err, &offset)
}

// checkSpans wants each scan to have found, once each, what its keys held then:
// single reads say so, of which the history is checked.
func (w *World) checkSpans() {
spans:
	for _, s := range w.history.spans {
		var want []string
		for _, at := range w.homes() {
			if at.bound() < s.from || at.bound() >= s.to {
				continue
			}
			if w.forgotten(at, s.ts) {
				continue spans
			}
			v, err := w.valueAt(at, s.ts)
			if err != nil {
				w.fail("read %v at %s: %v", at, s.ts, err)
				return
			}
			if v != "" {
				want = append(want, v)
			}
		}
		slices.Sort(want)
		slices.Sort(s.values)
		if !slices.Equal(want, s.values) {
			w.fail("a scan of [%s,%s) at %s found %q; its keys held %q", s.from.Text(), s.to.Text(), s.ts, s.values, want)
			return
		}
	}
}

// valueAt returns what a key held, read from its leader.
func (w *World) valueAt(at place, ts hlc.Timestamp) (string, error) {
	n, st, ok := w.owner(at)
	if !ok {
		return "", fmt.Errorf("%v has no leader", at)
	}
	h, err := n.core.ReadLocal(st.Descriptor.ID)
	if err != nil {
		return "", err
	}
	defer h.Close()
	if !keys.Owns(&h.Descriptor, at.row()) {
		return "", fmt.Errorf("%s does not own %v", st.Descriptor.ID, at)
	}
	v, _, _, err := datastate.Get(h.Reader, at.row(), ts)
	return string(v), err
}

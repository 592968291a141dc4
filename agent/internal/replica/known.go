package replica

import (
	"maps"

	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

const (
	// maxKeptBytes bounds, with Config.KnownRows, what a leader remembers of rows that no
	// command is under way for: those that are locked and written again and again, and
	// those of the transactions that are open. A row more costs a look at the engine.
	maxKeptBytes = 64 << 10
	// maxKeeping is the longest request whose rows are remembered: what is remembered of
	// one may keep all of it in memory.
	maxKeeping = 4 << 10
)

// knownRows is what a leader knows of the newest state of rows without the engine: what
// commands leave that are decided and not applied, and, of some rows, what those have left
// that were applied last, or what an evaluation has found. All that changes rows of the
// range is decided by its leader, so that this holds until the leadership ends, or the
// bounds of the range change.
type knownRows struct {
	rows  map[string]*left
	kept  []*left // no command is under way for them; the oldest first
	head  int     // of kept
	n     int     // of kept that still count
	bytes int
	most  int // that are kept
	grown int // rows since the map was made anew
}

// crowd is so many rows that their map is worth giving back: it never gets smaller, and a
// row in a large one is seldom in the processor's cache.
const crowd = 1024

// left is what is known of a row, or of what else has a key.
type left struct {
	row     string
	by      *Proposal // who leaves it; nil: it was applied
	version any
	ts      hlc.Timestamp // once it was applied; 0: its own
	size    int           // that counts; 0: a command is under way, or it is forgotten
}

func newKnownRows(most int) knownRows { return knownRows{rows: map[string]*left{}, most: most} }

// of is what an evaluation is told of a row, and whose command it waits for; nil: nobody's.
func (k *knownRows) of(row []byte) (evaluation.Pending, *Proposal) {
	v := k.rows[string(row)]
	switch {
	case v == nil:
		return evaluation.Pending{}, nil
	case v.by == nil:
		return evaluation.Pending{Version: v.version, TS: v.ts, Settled: true}, nil
	default:
		return evaluation.Pending{Version: v.version, TS: v.by.ts}, v.by
	}
}

// all reports whether all of rows are known.
func (k *knownRows) all(rows [][]byte) bool {
	for _, row := range rows {
		if k.rows[string(row)] == nil {
			return false
		}
	}
	return true
}

// leave notes what a command leaves of a row once it is applied.
func (k *knownRows) leave(row []byte, by *Proposal, version any) {
	v := &left{by: by, version: version}
	if before := k.rows[string(row)]; before != nil {
		v.row = before.row
		k.uncount(before)
	} else {
		v.row = string(row)
	}
	k.rows[v.row] = v
	k.grown = max(k.grown, len(k.rows))
}

// end follows what became of a command: what it leaves of a row is kept, if it was applied
// and is worth it. What another command leaves, decided after it, stays.
func (k *knownRows) end(row []byte, by *Proposal, applied bool) {
	v := k.rows[string(row)]
	if v == nil || v.by != by {
		return
	}
	size := 0
	if applied && len(by.Payload) <= maxKeeping {
		size = weigh(v.version)
	}
	if size == 0 {
		delete(k.rows, v.row)
		if k.grown > crowd && len(k.rows) <= k.most {
			rows := make(map[string]*left, k.most)
			maps.Copy(rows, k.rows) // a clone would be as large
			k.rows, k.grown = rows, 0
		}
		return
	}
	v.by, v.ts = nil, by.ts
	k.keep(v, size)
}

// found notes what an evaluation has found of a row, which nobody has decided about since.
func (k *knownRows) found(row []byte, version any) {
	size := weigh(version)
	if size == 0 || k.rows[string(row)] != nil {
		return
	}
	v := &left{row: string(row), version: version}
	k.rows[v.row] = v
	k.keep(v, size)
}

func (k *knownRows) keep(v *left, size int) {
	v.size = size + len(v.row)
	k.kept = append(k.kept, v)
	k.n, k.bytes = k.n+1, k.bytes+v.size
	for k.n > k.most || k.bytes > maxKeptBytes || len(k.kept)-k.head > 2*k.most {
		k.forgetOldest()
	}
	if k.head > k.most { // most of it has ended
		n := copy(k.kept, k.kept[k.head:])
		clear(k.kept[n:])
		k.kept, k.head = k.kept[:n], 0
	}
}

func (k *knownRows) forgetOldest() {
	v := k.kept[k.head]
	k.kept[k.head] = nil
	k.head++
	if v.size > 0 {
		k.uncount(v)
		delete(k.rows, v.row)
	}
}

// uncount has something that was kept not count any more.
func (k *knownRows) uncount(v *left) {
	if v.size > 0 {
		k.n, k.bytes, v.size = k.n-1, k.bytes-v.size, 0
	}
}

// weigh is how many bytes a version takes that may be remembered; 0: it may not.
func weigh(version any) int {
	if w, ok := version.(interface{ Weight() int }); ok {
		return w.Weight()
	}
	return 0
}

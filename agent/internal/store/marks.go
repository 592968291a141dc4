package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

const marksFormat byte = 1

// Marks is what a store remembers of marks: its own, which counts its synced
// commits, and the newest that it heard of each peer. It may be used by any
// goroutine: the transport compares there who comes to its door.
type Marks struct {
	engine  *storage.Engine
	planted replica.Planted

	// commits is held by a synced commit from the choice of its number to its end,
	// so that numbers rise in the order of the engine's log.
	commits sync.Mutex

	mu struct {
		sync.Mutex
		synced cluster.Mark // of the last commit that counted
		told   cluster.Mark // to peers: synced, but for a planted fault
		found  cluster.Mark
		// raised says that this start has begun a boot of its own. Until then no
		// commit counts: who presents what it found may present it again.
		raised bool
		heard  map[cluster.NodeID]cluster.Mark
	}
}

// OpenMarks reads what the store remembers and changes nothing.
func OpenMarks(e *storage.Engine) (*Marks, error) {
	m := &Marks{engine: e}
	m.mu.heard = map[cluster.NodeID]cluster.Mark{}
	v, ok, err := e.Get(keys.StoreMarks())
	if err != nil {
		return nil, fmt.Errorf("read marks: %w", err)
	}
	if ok {
		if m.mu.found, m.mu.heard, err = decodeMarks(v); err != nil {
			return nil, fmt.Errorf("read marks: %w", err)
		}
	}
	m.mu.synced, m.mu.told = m.mu.found, m.mu.found
	return m, nil
}

// plant has m do what a test plants.
func (m *Marks) plant(p replica.Planted) {
	m.planted = p
	if p.PresentsRaised() && !m.mu.found.IsZero() {
		m.mu.found.Boot++
		m.mu.synced, m.mu.told = m.mu.found, m.mu.found
	}
}

// Standing is what the store says of itself.
func (m *Marks) Standing() cluster.Standing {
	m.mu.Lock()
	defer m.mu.Unlock()
	return cluster.Standing{Now: m.mu.told, Found: m.mu.found}
}

// Hear takes what a peer says of itself. It returns what was known of the peer
// before, and whether the peer is behind that: then nothing else that it sends
// may be taken.
func (m *Marks) Hear(from cluster.NodeID, s cluster.Standing) (known cluster.Mark, behind bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known = m.mu.heard[from]
	if s.Behind(known) {
		return known, true
	}
	if s.Now.After(known) {
		m.mu.heard[from] = s.Now
	}
	return known, false
}

// fresh reports whether the store has told no mark in its life: it is new, and
// knows nothing of others.
func (m *Marks) fresh() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.found.IsZero() && !m.mu.raised
}

func (m *Marks) settled() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.raised
}

// table returns what was heard, in the order of nodes.
func (m *Marks) table() []heardMark {
	m.mu.Lock()
	defer m.mu.Unlock()
	return sortedMarks(m.mu.heard)
}

// adopt takes over what a peer heard of the others.
func (m *Marks) adopt(self cluster.NodeID, table []heardMark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range table {
		if h.node != self && h.mark.After(m.mu.heard[h.node]) {
			m.mu.heard[h.node] = h.mark
		}
	}
}

// raise begins a boot of its own, durably, above floor and what was found.
func (m *Marks) raise(floor cluster.Mark) error {
	m.commits.Lock()
	defer m.commits.Unlock()
	m.mu.Lock()
	next := cluster.Mark{Boot: max(m.mu.synced.Boot, floor.Boot) + 1, Round: max(m.mu.synced.Round, floor.Round) + 1}
	m.mu.Unlock()
	b := m.engine.NewWriteBatch()
	if err := errors.Join(m.write(b, next), b.Close()); err != nil {
		return fmt.Errorf("begin a boot: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.raised = true
	return nil
}

// fallBack writes again the mark that this start found: who was refused for it is
// refused at the next start too, whatever it has done meanwhile.
func (m *Marks) fallBack() error {
	m.commits.Lock()
	defer m.commits.Unlock()
	m.mu.Lock()
	found, raised := m.mu.found, m.mu.raised
	m.mu.raised = false
	m.mu.Unlock()
	if !raised || found.IsZero() {
		return nil
	}
	b := m.engine.NewWriteBatch()
	if err := errors.Join(m.write(b, found), b.Close()); err != nil {
		return fmt.Errorf("write the mark that was refused: %w", err)
	}
	return nil
}

// commit makes b durable under the next number. The number is told once the sync
// has returned.
func (m *Marks) commit(b *storage.Batch) error {
	m.commits.Lock()
	defer m.commits.Unlock()
	m.mu.Lock()
	next, counts := m.mu.synced, m.mu.raised
	m.mu.Unlock()
	if !counts && b.Empty() {
		return nil
	}
	if !counts {
		return b.Commit(true)
	}
	next.Round++
	return m.write(b, next)
}

// write commits b with the record that next is reached; m.commits is held.
func (m *Marks) write(b *storage.Batch, next cluster.Mark) error {
	m.mu.Lock()
	heard := m.mu.heard
	if m.planted.Forgets() {
		heard = nil
	}
	record := encodeMarks(next, heard)
	m.mu.Unlock()
	if err := b.Set(keys.StoreMarks(), record); err != nil {
		return err
	}
	if err := b.Commit(true); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.synced, m.mu.told = next, next
	return nil
}

// taken is called when a batch is on its way to the disk.
func (m *Marks) taken() {
	if !m.planted.TellsEarly() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.raised {
		m.mu.told.Round = m.mu.synced.Round + 1
	}
}

// heardMark is one line of the table.
type heardMark struct {
	node cluster.NodeID
	mark cluster.Mark
}

func sortedMarks(heard map[cluster.NodeID]cluster.Mark) []heardMark {
	out := make([]heardMark, 0, len(heard))
	for _, n := range slices.Sorted(maps.Keys(heard)) {
		out = append(out, heardMark{n, heard[n]})
	}
	return out
}

func encodeMarks(own cluster.Mark, heard map[cluster.NodeID]cluster.Mark) []byte {
	b := make([]byte, 0, 1+cluster.MarkLen+2+8*len(heard))
	b = own.Append(append(b, marksFormat))
	return appendTable(b, sortedMarks(heard))
}

func appendTable(b []byte, table []heardMark) []byte {
	b = binary.AppendUvarint(b, uint64(len(table)))
	for _, h := range table {
		b = binary.AppendUvarint(b, uint64(h.node))
		b = binary.AppendUvarint(b, h.mark.Boot)
		b = binary.AppendUvarint(b, h.mark.Round)
	}
	return b
}

func decodeMarks(b []byte) (own cluster.Mark, heard map[cluster.NodeID]cluster.Mark, err error) {
	if len(b) == 0 || b[0] != marksFormat {
		return own, nil, storage.ErrCorruption
	}
	own, rest, ok := cluster.DecodeMark(b[1:])
	table, tableOK := decodeTable(rest)
	if !ok || !tableOK || own.IsZero() {
		return own, nil, storage.ErrCorruption
	}
	heard = make(map[cluster.NodeID]cluster.Mark, len(table))
	for _, h := range table {
		heard[h.node] = h.mark
	}
	return own, heard, nil
}

// decodeTable reads a table that is all of b.
func decodeTable(b []byte) (table []heardMark, ok bool) {
	count, n := binary.Uvarint(b)
	if n <= 0 || count > uint64(len(b)) {
		return nil, false
	}
	b = b[n:]
	for range count {
		var v [3]uint64
		for i := range v {
			x, n := binary.Uvarint(b)
			if n <= 0 {
				return nil, false
			}
			v[i], b = x, b[n:]
		}
		if v[0] == 0 || v[0] > 1<<32-1 {
			return nil, false
		}
		table = append(table, heardMark{cluster.NodeID(v[0]), cluster.Mark{Boot: v[1], Round: v[2]}})
	}
	return table, len(b) == 0
}

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
// commits, those that its starts found, and the newest that it heard of each
// peer. It may be used by any goroutine: the transport compares there who comes
// to its door.
type Marks struct {
	engine  *storage.Engine
	floor   uint32 // all boots before the store was emptied are below
	planted replica.Planted
	heard   bool // the start found that the store had heard of a peer

	// commits is held by a synced commit from the choice of its number to its end,
	// so that numbers rise in the order of the engine's log.
	commits sync.Mutex

	mu struct {
		sync.Mutex
		synced cluster.Mark // of the last commit
		told   cluster.Mark // to peers: synced, but for a planted fault
		past   []cluster.Mark
		// begun says that this start has begun its boot. Until then no commit counts
		// and nothing is told.
		begun    bool
		speaking bool // replicas of this start take part
		heard    map[cluster.NodeID]cluster.Mark
		changed  map[cluster.NodeID]bool // heard since it was last written
		// saved are the peers of whom something was heard durably.
		saved map[cluster.NodeID]bool
		// compared is what peers said of themselves and were not behind with.
		compared map[cluster.NodeID]cluster.Standing
	}
}

// OpenMarks reads what the store remembers and changes nothing.
func OpenMarks(e *storage.Engine) (*Marks, error) {
	m := &Marks{engine: e}
	m.mu.heard, m.mu.changed = map[cluster.NodeID]cluster.Mark{}, map[cluster.NodeID]bool{}
	m.mu.compared = map[cluster.NodeID]cluster.Standing{}
	m.mu.saved = map[cluster.NodeID]bool{}
	if err := m.read(); err != nil {
		return nil, fmt.Errorf("read marks: %w", err)
	}
	return m, nil
}

func (m *Marks) read() error {
	v, ok, err := m.engine.Get(keys.StoreGeneration())
	if err != nil {
		return err
	}
	if ok {
		if m.floor, err = decodeGeneration(v); err != nil {
			return err
		}
	}
	v, ok, err = m.engine.Get(keys.StoreMark())
	if err != nil || !ok {
		return err
	}
	if m.mu.synced, ok = decodeMark(v); !ok || m.mu.synced.IsZero() {
		return storage.ErrCorruption
	}
	if v, ok, err = m.engine.Get(keys.StoreStarts()); err != nil {
		return err
	}
	if ok {
		if m.mu.past, ok = decodeStarts(v); !ok {
			return storage.ErrCorruption
		}
	}
	span := keys.StoreHeardAll()
	it, err := m.engine.NewIter(span.Start, span.End)
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		node, err := keys.DecodeStoreHeard(it.Key())
		mark, ok := decodeMark(it.Value())
		if err != nil || !ok {
			return errors.Join(storage.ErrCorruption, it.Close())
		}
		m.mu.heard[node], m.mu.saved[node] = mark, true
	}
	m.heard = len(m.mu.heard) > 0
	return it.Close()
}

// heardAny reports whether the start found that the store had heard of a peer.
func (m *Marks) heardAny() bool { return m.heard }

// knows reports whether the store has durably heard of a peer: the next start finds
// that it has.
func (m *Marks) knows(n cluster.NodeID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.saved[n]
}

// Standing is what the store says of itself: nothing until this start has begun
// its boot.
func (m *Marks) Standing() cluster.Standing {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.mu.begun {
		return cluster.Standing{}
	}
	if m.planted.PresentsRaised() {
		return cluster.Standing{Now: m.mu.told}
	}
	return cluster.Standing{Now: m.mu.told, Past: m.mu.past}
}

// Now is the mark of a standing.
func (m *Marks) Now() cluster.Mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.mu.begun {
		return cluster.Mark{}
	}
	return m.mu.told
}

// Ping is the mark that goes with pings: none until replicas of this start take
// part. Who leads nothing speaks to few, and all are to know of it.
func (m *Marks) Ping() cluster.Mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.mu.speaking {
		return cluster.Mark{}
	}
	return m.mu.told
}

func (m *Marks) speak() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.speaking = true
}

// Compare compares what a peer says of itself with what is known of it, and
// reports whether the peer is behind that: then nothing else that it sends may be
// taken. It keeps nothing of the peer's start for good: a start that is refused
// elsewhere must leave no trace that its honest disk would stumble over.
func (m *Marks) Compare(from cluster.NodeID, s cluster.Standing) (known cluster.Mark, behind bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known = m.mu.heard[from]
	if behind = s.Behind(known); !behind && !s.Now.IsZero() {
		m.mu.compared[from] = s
	}
	return known, behind
}

// Hear takes the mark that messages of a peer's replicas come with, or a ping of a
// start whose replicas take part: from then on only that start of the peer is
// good, or a later one.
// It reports whether that start was compared. A store that is new says nothing,
// and has lost nothing.
func (m *Marks) Hear(from cluster.NodeID, now cluster.Mark) (compared bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.mu.heard[from]
	if s := m.mu.compared[from]; known.Boot != now.Boot && !now.IsZero() && (s.Now.Boot != now.Boot || s.Behind(known)) {
		return false
	}
	m.note(from, now)
	return true
}

func (m *Marks) note(from cluster.NodeID, now cluster.Mark) {
	if now.After(m.mu.heard[from]) {
		m.mu.heard[from], m.mu.changed[from] = now, true
	}
}

// fresh reports whether the store has told no mark in its life: it is new, and
// knows nothing of others.
func (m *Marks) fresh() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.synced.IsZero()
}

// table returns what was heard, in the order of nodes.
func (m *Marks) table() []heardMark {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]heardMark, 0, len(m.mu.heard))
	for _, n := range slices.Sorted(maps.Keys(m.mu.heard)) {
		out = append(out, heardMark{n, m.mu.heard[n]})
	}
	return out
}

// adopt takes over what a peer heard of the others.
func (m *Marks) adopt(self cluster.NodeID, table []heardMark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range table {
		if h.node != self {
			m.note(h.node, h.mark)
		}
	}
}

// Begin begins the boot of a start that found a mark, and does nothing in a store
// that is new, or twice. Nonce is a random number.
func (m *Marks) Begin(nonce uint32) error {
	m.mu.Lock()
	done := m.mu.begun || m.mu.synced.IsZero()
	m.mu.Unlock()
	if done {
		return nil
	}
	return m.begin(0, nonce)
}

// begin begins the boot of this start, durably, above floor, what was found, and
// all boots before the store was emptied: from here on each synced commit counts.
func (m *Marks) begin(floor, nonce uint32) error {
	m.commits.Lock()
	defer m.commits.Unlock()
	m.mu.Lock()
	found, past := m.mu.synced, m.mu.past
	m.mu.Unlock()
	if !found.IsZero() {
		past = append(slices.Clone(past), found)
		past = past[max(0, len(past)-cluster.MaxPast):]
	}
	next := cluster.Mark{Boot: cluster.NewBoot(max(found.Boot.Number(), floor, m.floor)+1, nonce), Round: found.Round + 1}
	b := m.engine.NewWriteBatch()
	err := b.Set(keys.StoreStarts(), cluster.AppendPast([]byte{marksFormat}, past))
	if err == nil {
		err = m.write(b, next)
	}
	if err = errors.Join(err, b.Close()); err != nil {
		return fmt.Errorf("begin a boot: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.past, m.mu.begun = past, true
	return nil
}

// commit makes b durable under the next number. The number is told once the sync
// has returned.
func (m *Marks) commit(b *storage.Batch) error {
	m.commits.Lock()
	defer m.commits.Unlock()
	m.mu.Lock()
	next, begun := m.mu.synced, m.mu.begun
	m.mu.Unlock()
	if !begun && b.Empty() {
		return nil
	}
	if !begun {
		return b.Commit(true)
	}
	next.Round++
	return m.write(b, next)
}

// write commits b with the record that next is reached, and what was heard since
// the last one; m.commits is held.
func (m *Marks) write(b *storage.Batch, next cluster.Mark) error {
	m.mu.Lock()
	err := b.Set(keys.StoreMark(), next.Append([]byte{marksFormat}))
	for _, n := range slices.Sorted(maps.Keys(m.mu.changed)) {
		if err == nil && !m.planted.Forgets() {
			err = b.Set(keys.StoreHeard(n), m.mu.heard[n].Append([]byte{marksFormat}))
		}
	}
	told := slices.Collect(maps.Keys(m.mu.changed))
	clear(m.mu.changed)
	m.mu.Unlock()
	if err != nil {
		return err
	}
	if err := b.Commit(true); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range told {
		m.mu.saved[n] = true
	}
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
	if m.mu.begun {
		m.mu.told.Round = m.mu.synced.Round + 1
	}
}

func decodeMark(b []byte) (cluster.Mark, bool) {
	if len(b) == 0 || b[0] != marksFormat {
		return cluster.Mark{}, false
	}
	m, rest, ok := cluster.DecodeMark(b[1:])
	return m, ok && len(rest) == 0
}

func decodeStarts(b []byte) ([]cluster.Mark, bool) {
	if len(b) == 0 || b[0] != marksFormat {
		return nil, false
	}
	past, rest, ok := cluster.DecodePast(b[1:])
	return past, ok && len(rest) == 0
}

// bootsPerGeneration is how far apart the boots of a node begin before and after
// its store was emptied: more starts than a disk sees in its life.
const bootsPerGeneration = 1 << 16

func writeGeneration(w storage.Writer, generation uint64) error {
	if generation == 0 || generation >= 1<<32/bootsPerGeneration {
		return fmt.Errorf("a store cannot have been emptied %d times", generation)
	}
	return w.Set(keys.StoreGeneration(), binary.BigEndian.AppendUint32([]byte{marksFormat}, uint32(generation)))
}

// decodeGeneration returns the number that boots of the generation are above.
func decodeGeneration(b []byte) (floor uint32, err error) {
	if len(b) != 5 || b[0] != marksFormat {
		return 0, storage.ErrCorruption
	}
	return binary.BigEndian.Uint32(b[1:]) * bootsPerGeneration, nil
}

// heardMark is one line of the table that a store that is new takes over.
type heardMark struct {
	node cluster.NodeID
	mark cluster.Mark
}

func appendTable(b []byte, table []heardMark) []byte {
	b = binary.AppendUvarint(b, uint64(len(table)))
	for _, h := range table {
		b = h.mark.Append(binary.AppendUvarint(b, uint64(h.node)))
	}
	return b
}

// decodeTable reads a table that is all of b.
func decodeTable(b []byte) (table []heardMark, ok bool) {
	count, n := binary.Uvarint(b)
	if n <= 0 || count > uint64(len(b)) {
		return nil, false
	}
	b = b[n:]
	for range count {
		node, n := binary.Uvarint(b)
		if n <= 0 || node == 0 || node > 1<<32-1 {
			return nil, false
		}
		h := heardMark{node: cluster.NodeID(node)}
		if h.mark, b, ok = cluster.DecodeMark(b[n:]); !ok {
			return nil, false
		}
		table = append(table, h)
	}
	return table, len(b) == 0
}

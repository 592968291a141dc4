package kv

import (
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// messageFormat is the first byte of every message of this package.
const messageFormat byte = 1

// The methods that other nodes call.
const (
	MethodPropose = "kv.propose"
	MethodRead    = "kv.read"
	MethodScan    = "kv.scan" // the first chunk of a scan
	MethodClock   = "kv.clock"
)

// Every message begins with its format and the sender's clock, so that clocks
// follow each other wherever nodes talk.

func beginMessage(size int, now hlc.Timestamp) *writer {
	w := newWriter(size + 9)
	w.byte(messageFormat)
	w.ts(now)
	return w
}

func openMessage(b []byte) (r *reader, clock hlc.Timestamp) {
	r = &reader{codec.Read(b, errMalformed)}
	if f := r.Byte(); r.Err() == nil && f != messageFormat {
		r.Fail("unknown format")
	}
	return r, r.ts()
}

// proposeRequest asks the leader of a range to apply a command.
type proposeRequest struct {
	Range   cluster.RangeID
	Command store.Command
}

// The flags of a proposeRequest.
const (
	proposeRetry byte = 1 << iota
	proposeKeep
	proposeInPlace // of a request, whose id follows
)

func (m *proposeRequest) encode(now hlc.Timestamp) []byte {
	w := beginMessage(48+len(m.Command.Payload), now)
	w.uvarint(uint64(m.Range))
	w.raw(m.Command.ID[:])
	var flags byte
	if m.Command.Retry {
		flags |= proposeRetry
	}
	if m.Command.Keep {
		flags |= proposeKeep
	}
	if m.Command.InPlaceOf != [16]byte{} {
		flags |= proposeInPlace
	}
	w.byte(flags)
	if flags&proposeInPlace != 0 {
		w.raw(m.Command.InPlaceOf[:])
	}
	w.raw(m.Command.Payload)
	return w.b
}

func decodeProposeRequest(b []byte) (m proposeRequest, clock hlc.Timestamp, err error) {
	r, clock := openMessage(b)
	m.Range = cluster.RangeID(r.Uvarint())
	copy(m.Command.ID[:], r.Raw(16))
	flags := r.Byte()
	if flags > proposeRetry|proposeKeep|proposeInPlace {
		r.Fail("unknown flags")
	}
	m.Command.Retry, m.Command.Keep = flags&proposeRetry != 0, flags&proposeKeep != 0
	if flags&proposeInPlace != 0 {
		copy(m.Command.InPlaceOf[:], r.Raw(16))
	}
	m.Command.Payload = r.Raw(uint64(r.Len()))
	return m, clock, r.End()
}

// proposeReply is the answer; Err excludes the rest.
type proposeReply struct {
	TS     hlc.Timestamp
	Result []byte
	Err    error
}

func (m *proposeReply) encode(now hlc.Timestamp) []byte {
	w := beginMessage(16+len(m.Result), now)
	writeError(w, m.Err)
	if m.Err == nil {
		w.ts(m.TS)
		w.raw(m.Result)
	}
	return w.b
}

func decodeProposeReply(b []byte) (m proposeReply, clock hlc.Timestamp, err error) {
	r, clock := openMessage(b)
	if m.Err = readError(r); m.Err == nil {
		m.TS = r.ts()
		m.Result = r.Raw(uint64(r.Len()))
	}
	return m, clock, r.End()
}

// readRequest asks the leader of a range for rows.
type readRequest struct {
	Range cluster.RangeID
	TS    hlc.Timestamp // 0: the leader's now
	Rows  [][]byte      // keys.Row
	// Passed are transactions that commit after TS: their intents do not matter.
	Passed []cluster.TxnID
	// Schema is the version of the descriptor that the read rests on; 0: on none.
	Schema uint64
}

func (m *readRequest) encode(now hlc.Timestamp) []byte {
	size := 36 + len(cluster.TxnID{})*len(m.Passed)
	for _, row := range m.Rows {
		size += len(row) + 2
	}
	w := beginMessage(size, now)
	w.uvarint(uint64(m.Range))
	w.ts(m.TS)
	w.count(w.reserveCount(), len(m.Rows))
	for _, row := range m.Rows {
		w.bytes(row)
	}
	w.txns(m.Passed)
	w.uvarint(m.Schema)
	return w.b
}

func decodeReadRequest(b []byte) (m readRequest, clock hlc.Timestamp, err error) {
	r, clock := openMessage(b)
	m.Range, m.TS = cluster.RangeID(r.Uvarint()), r.ts()
	m.Rows = make([][]byte, r.Count32(1))
	for i := range m.Rows {
		m.Rows[i] = r.Bytes()
	}
	m.Passed, m.Schema = r.txns(), r.Uvarint()
	return m, clock, r.End()
}

// readReply is the answer, in the order of the request; Err excludes the rest.
type readReply struct {
	Rows []readRow
	Err  error
}

// readRow is one row; Value is nil if there is none.
type readRow struct {
	Value   []byte
	Version hlc.Timestamp
}

func (m *readReply) encode(now hlc.Timestamp) []byte {
	size := 16
	for i := range m.Rows {
		size += len(m.Rows[i].Value) + 12
	}
	w := beginMessage(size, now)
	writeError(w, m.Err)
	if m.Err != nil {
		return w.b
	}
	w.count(w.reserveCount(), len(m.Rows))
	for i := range m.Rows {
		w.ts(m.Rows[i].Version)
		w.optional(m.Rows[i].Value)
	}
	return w.b
}

func decodeReadReply(b []byte) (m readReply, clock hlc.Timestamp, err error) {
	r, clock := openMessage(b)
	if m.Err = readError(r); m.Err == nil {
		m.Rows = make([]readRow, r.Count32(9))
		for i := range m.Rows {
			m.Rows[i].Version = r.ts()
			m.Rows[i].Value = r.optional()
		}
	}
	return m, clock, r.End()
}

// scanRequest asks the leader of a range for the rows of a collection.
type scanRequest struct {
	Range      cluster.RangeID
	TS         hlc.Timestamp
	Pool       cluster.PoolID
	Collection cluster.CollectionID
	// From and To bound the keys [From, To) of the pool, which the range must own.
	From, To cluster.Key
	// Start and End bound the encoded primary keys [Start, End); empty: no bound.
	Start, End []byte
	Ordered    bool // by primary key over all vshards; else by vshard first
	Reverse    bool // descending; needs Ordered
	After      *position
	MaxRows    uint64 // of one chunk
	MaxBytes   uint64 // of one chunk, about
	MaxChunks  uint64 // of a stream
	Limit      uint64 // of rows in all; 0: none
	// Passed are transactions that commit after TS: their intents do not matter.
	Passed []cluster.TxnID
	Schema uint64 // as of a readRequest
	// Program is what the node is to compute of the rows; empty: nothing, they are the
	// answer.
	Program []byte
}

// position is the last row that a reader got: a scan goes on after it.
type position struct {
	VShard cluster.VShard
	Key    []byte
}

func (m *scanRequest) encode(now hlc.Timestamp) []byte {
	w := beginMessage(96+len(m.From)+len(m.To)+len(m.Start)+len(m.End)+len(m.Program), now)
	w.uvarint(uint64(m.Range))
	w.ts(m.TS)
	w.uvarint(uint64(m.Collection))
	w.byte(byte(m.Pool))
	w.bytes([]byte(m.From))
	w.bytes([]byte(m.To))
	w.bytes(m.Start)
	w.bytes(m.End)
	w.bool(m.Ordered)
	w.bool(m.Reverse)
	w.bool(m.After != nil)
	if m.After != nil {
		w.uvarint(uint64(m.After.VShard))
		w.bytes(m.After.Key)
	}
	w.uvarint(m.MaxRows)
	w.uvarint(m.MaxBytes)
	w.uvarint(m.MaxChunks)
	w.uvarint(m.Limit)
	w.txns(m.Passed)
	w.uvarint(m.Schema)
	w.bytes(m.Program)
	return w.b
}

// within reports whether d owns all that m asks for.
func (m *scanRequest) within(d *cluster.RangeDescriptor) bool {
	return m.Pool == d.Pool && d.Start <= m.From && m.To <= d.End && m.From < m.To
}

func decodeScanRequest(b []byte) (m scanRequest, clock hlc.Timestamp, err error) {
	r, clock := openMessage(b)
	m.Range, m.TS = cluster.RangeID(r.Uvarint()), r.ts()
	m.Collection = cluster.CollectionID(r.Uvarint())
	m.Pool = cluster.PoolID(r.Byte())
	m.From, m.To = r.bound(), r.bound()
	m.Start, m.End = r.Bytes(), r.Bytes()
	m.Ordered, m.Reverse = r.bool(), r.bool()
	if r.bool() {
		m.After = &position{VShard: r.vshard()}
		m.After.Key = r.Bytes()
	}
	m.MaxRows, m.MaxBytes, m.MaxChunks, m.Limit = r.Uvarint(), r.Uvarint(), r.Uvarint(), r.Uvarint()
	m.Passed, m.Schema = r.txns(), r.Uvarint()
	m.Program = r.Bytes()
	return m, clock, r.End()
}

func (r *reader) bound() cluster.Key {
	k := cluster.Key(r.Bytes())
	if r.Err() == nil && k.Validate() != nil {
		r.Fail("no bound")
		return ""
	}
	return k
}

func (r *reader) vshard() cluster.VShard {
	v := r.Uvarint()
	if v > cluster.VShards {
		r.Fail("vshard past the end")
		return 0
	}
	return cluster.VShard(v)
}

// scanChunk is a part of a scan's answer; Err excludes the rest.
type scanChunk struct {
	Rows []Row
	// Last is the position of the last row, of this or an earlier chunk.
	Last *position
	// More says that rows may follow Last.
	More bool
	// Read is what was read for the chunk: of a program, more than it holds.
	Read readCount
	Err  error
}

// readCount counts rows that were read, and their bytes.
type readCount struct{ rows, bytes int }

func (c *readCount) note(key, value []byte) {
	c.rows++
	c.bytes += len(key) + len(value)
}

// chunkWriter encodes the rows of a chunk as they are found.
type chunkWriter struct {
	w     *writer
	at    int // of the count
	start int
	rows  int
	read  readCount
	last  *position
}

func newChunkWriter(now hlc.Timestamp, size int) *chunkWriter {
	c := &chunkWriter{w: beginMessage(size, now)}
	writeError(c.w, nil)
	c.at = c.w.reserveCount()
	c.start = len(c.w.b)
	return c
}

func (c *chunkWriter) add(key, value []byte, version hlc.Timestamp) {
	c.w.ts(version)
	c.w.bytes(key)
	c.w.bytes(value)
	c.rows++
}

func (c *chunkWriter) size() int { return len(c.w.b) - c.start }

// finish returns the encoded chunk.
func (c *chunkWriter) finish(more bool) []byte {
	c.w.count(c.at, c.rows)
	c.w.bool(more)
	c.w.bool(c.last != nil)
	if c.last != nil {
		c.w.uvarint(uint64(c.last.VShard))
		c.w.bytes(c.last.Key)
	}
	c.w.uvarint(uint64(c.read.rows))
	c.w.uvarint(uint64(c.read.bytes))
	return c.w.b
}

func encodeScanError(now hlc.Timestamp, err error) []byte {
	w := beginMessage(64, now)
	writeError(w, err)
	return w.b
}

func decodeScanChunk(b []byte) (m scanChunk, clock hlc.Timestamp, err error) {
	r, clock := openMessage(b)
	if m.Err = readError(r); m.Err == nil {
		m.Rows = make([]Row, r.Count32(10))
		for i := range m.Rows {
			m.Rows[i].Version = r.ts()
			m.Rows[i].Key = r.Bytes()
			m.Rows[i].Value = r.Bytes()
		}
		m.More = r.bool()
		if r.bool() {
			m.Last = &position{VShard: r.vshard()}
			m.Last.Key = r.Bytes()
		}
		m.Read = readCount{rows: int(r.Uvarint()), bytes: int(r.Uvarint())}
	}
	return m, clock, r.End()
}

package datastate

import (
	"encoding/binary"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

const commandFormat byte = 1

// The kinds of commands.
const (
	kindWrites  byte = 1
	kindRefusal byte = 2
	kindEffects byte = 3
	kindGarbage byte = 4
	kindFence   byte = 5
	kindClear   byte = 6
	kindRaised  byte = 7
)

// write is a version that a command adds: of a row, as it is stored.
type write struct{ row, stored []byte }

// writeAt is a version that a command adds below its own time, where an intent was.
type writeAt struct {
	row    []byte
	ts     hlc.Timestamp
	stored []byte
}

// left is what a command makes of a row's lock record, or of a transaction's record:
// empty, if it is deleted.
type left struct{ key, value []byte }

// command is what the leader has replicated: outcomes, and nothing that would have to
// be looked up to apply them.
type command struct {
	adds   cluster.Counts
	writes []write
	result []byte // of a refusal, which writes nothing; nil: of writes
	// garbage is what is taken away, by a command that writes nothing else.
	garbage *garbage
	// fencing and clearing are about collections that were dropped; they come alone, too.
	fencing  *fencing
	clearing *clearing
	// raised is about versions of descriptors, and comes alone.
	raised *raised

	// What requests of transactions have besides.
	effects bool
	at      []writeAt
	locks   []left // by row
	records []left // by key
	answer  []byte

	commandNext //nolint:unused // has fields in builds with the tag nextversion
}

func (c *command) encode() []byte {
	if c.result != nil {
		return append(c.appendHead(make([]byte, 0, 2+len(c.result))), append([]byte{kindRefusal}, c.result...)...)
	}
	kind := kindWrites
	switch {
	case c.garbage != nil:
		kind = kindGarbage
	case c.fencing != nil:
		kind = kindFence
	case c.clearing != nil:
		kind = kindClear
	case c.raised != nil:
		kind = kindRaised
	case c.effects:
		kind = kindEffects
	}
	out := append(c.appendHead(make([]byte, 0, c.size())), kind)
	for _, v := range [...]int64{c.adds.Rows, c.adds.Live, c.adds.Dead} {
		out = binary.AppendVarint(out, v)
	}
	switch {
	case c.garbage != nil:
		return c.garbage.append(out)
	case c.fencing != nil:
		return c.fencing.append(out)
	case c.clearing != nil:
		return c.clearing.append(out)
	case c.raised != nil:
		return c.raised.append(out)
	}
	out = binary.AppendUvarint(out, uint64(len(c.writes)))
	for _, w := range c.writes {
		out = codec.AppendBytes(codec.AppendBytes(out, w.row), w.stored)
	}
	if c.effects {
		return c.appendEffects(out)
	}
	return out
}

func (c *command) size() int {
	n := 2 + 7*binary.MaxVarintLen64 + len(c.answer)
	for _, w := range c.writes {
		n += 2*binary.MaxVarintLen32 + len(w.row) + len(w.stored)
	}
	for _, w := range c.at {
		n += 2*binary.MaxVarintLen32 + 8 + len(w.row) + len(w.stored)
	}
	for _, ls := range [...][]left{c.locks, c.records} {
		for _, l := range ls {
			n += 2*binary.MaxVarintLen32 + len(l.key) + len(l.value)
		}
	}
	return n
}

func (c *command) appendEffects(out []byte) []byte {
	out = binary.AppendUvarint(out, uint64(len(c.at)))
	for _, w := range c.at {
		out = binary.BigEndian.AppendUint64(codec.AppendBytes(out, w.row), uint64(w.ts))
		out = codec.AppendBytes(out, w.stored)
	}
	for _, ls := range [...][]left{c.locks, c.records} {
		out = binary.AppendUvarint(out, uint64(len(ls)))
		for _, l := range ls {
			out = codec.AppendBytes(codec.AppendBytes(out, l.key), l.value)
		}
	}
	return append(out, c.answer...)
}

// The shortest encodings of a write, of one at a given time, and of what is left; they
// bound what a count may claim.
const (
	minWrite   = 2
	minWriteAt = 2 + 8
	minLeft    = 2
)

// decodeCommand decodes a command, as a binary does that supports s. It aliases data.
func decodeCommand(data []byte, s gate.Support) (*command, error) {
	d := decode(data)
	c := &command{}
	if err := d.commandHead(c, s); err != nil {
		return nil, err
	}
	switch kind := d.Byte(); {
	case d.Err() != nil:
		return nil, d.Err()
	case kind == kindRefusal:
		c.result = d.Raw(uint64(d.Len()))
		return c, d.End()
	case kind >= kindGarbage && kind <= kindRaised:
		c.adds = cluster.Counts{Rows: d.Varint(), Live: d.Varint(), Dead: d.Varint()}
		d.takingAway(c, kind)
		return c, d.End()
	case kind != kindWrites && kind != kindEffects:
		return nil, gate.Newer("command of kind %d", kind)
	default:
		c.effects = kind == kindEffects
	}
	c.adds = cluster.Counts{Rows: d.Varint(), Live: d.Varint(), Dead: d.Varint()}
	c.writes = make([]write, d.Count(minWrite))
	for i := range c.writes {
		c.writes[i] = write{d.Bytes(), d.Bytes()}
	}
	if c.effects {
		d.effects(c)
	}
	return c, d.End()
}

// takesAway reports whether it is a command that writes no rows: one that the leader
// makes by itself, or that refuses what was not refused before.
func (c *command) takesAway() bool {
	return c.garbage != nil || c.fencing != nil || c.clearing != nil || c.raised != nil
}

func (d *decoder) takingAway(c *command, kind byte) {
	switch kind {
	case kindGarbage:
		c.garbage = d.garbage()
	case kindFence:
		c.fencing = d.fencing()
	case kindClear:
		c.clearing = d.clearing()
	default:
		c.raised = d.raised()
	}
}

func (d *decoder) effects(c *command) {
	c.at = make([]writeAt, d.Count(minWriteAt))
	for i := range c.at {
		c.at[i] = writeAt{d.Bytes(), d.ts(), d.Bytes()}
	}
	for _, ls := range [...]*[]left{&c.locks, &c.records} {
		*ls = make([]left, d.Count(minLeft))
		for i := range *ls {
			(*ls)[i] = left{d.Bytes(), d.Bytes()}
		}
	}
	c.answer = d.Raw(uint64(d.Len()))
}

package datastate

import (
	"encoding/binary"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
	"github.com/nodedb/nodedb/agent/internal/gate"
)

const commandFormat byte = 1

// The kinds of commands.
const (
	kindWrites  byte = 1
	kindRefusal byte = 2
	kindGarbage byte = 4
)

// write is a version that a command adds: of a row, as it is stored.
type write struct{ row, stored []byte }

// command is what the leader has replicated: outcomes, and nothing that would have to
// be looked up to apply them.
type command struct {
	adds   cluster.Counts
	writes []write
	result []byte // of a refusal, which writes nothing; nil: of writes
	// garbage is what is taken away, by a command that writes nothing else.
	garbage *garbage

	commandNext //nolint:unused // has fields in builds with the tag nextversion
}

func (c *command) encode() []byte {
	if c.result != nil {
		return append(c.appendHead(make([]byte, 0, 2+len(c.result))), append([]byte{kindRefusal}, c.result...)...)
	}
	n := 2 + 4*binary.MaxVarintLen64
	for _, w := range c.writes {
		n += 2*binary.MaxVarintLen32 + len(w.row) + len(w.stored)
	}
	kind := kindWrites
	if c.garbage != nil {
		kind = kindGarbage
	}
	out := append(c.appendHead(make([]byte, 0, n)), kind)
	for _, v := range [...]int64{c.adds.Rows, c.adds.Live, c.adds.Dead} {
		out = binary.AppendVarint(out, v)
	}
	if c.garbage != nil {
		return c.garbage.append(out)
	}
	out = binary.AppendUvarint(out, uint64(len(c.writes)))
	for _, w := range c.writes {
		out = codec.AppendBytes(codec.AppendBytes(out, w.row), w.stored)
	}
	return out
}

// minWrite is the shortest encoding of a write; it bounds what a count may claim.
const minWrite = 2

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
	case kind != kindWrites && kind != kindGarbage:
		return nil, gate.Newer("command of kind %d", kind)
	case kind == kindGarbage:
		c.adds = cluster.Counts{Rows: d.Varint(), Live: d.Varint(), Dead: d.Varint()}
		c.garbage = d.garbage()
		return c, d.End()
	}
	c.adds = cluster.Counts{Rows: d.Varint(), Live: d.Varint(), Dead: d.Varint()}
	c.writes = make([]write, d.Count(minWrite))
	for i := range c.writes {
		c.writes[i] = write{d.Bytes(), d.Bytes()}
	}
	return c, d.End()
}

//go:build nextversion

package datastate

import (
	"encoding/binary"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
)

const (
	batchWithOrigin byte = 2 // format: its gateway (u32) before the ops
	// commandWithOrigins is the format of a command whose versions have the field.
	commandWithOrigins byte = 2
	fieldOrigin             = 2 // of a row version: the gateway (u32)
	originLen               = 4
)

type (
	// batchNext is what the next version adds to a batch.
	batchNext struct{ origin cluster.NodeID }
	// opNext is what an op's row version keeps of it.
	opNext struct{ origin cluster.NodeID }
	// commandNext is what it adds to a command: versions that say their origin.
	commandNext struct{ origins bool }
)

// For has b say what the active version allows it to say.
func (b *Batch) For(active gate.Version, gateway cluster.NodeID) {
	if active >= gate.BatchOrigin {
		b.origin = gateway
	}
}

// appendHead begins the encoding of b.
func (b *Batch) appendHead(out []byte) []byte {
	if b.origin == 0 {
		return append(out, batchFormat)
	}
	return binary.BigEndian.AppendUint32(append(out, batchWithOrigin), uint32(b.origin))
}

// head reads what begins a batch.
func (d *decoder) head(b *Batch, s gate.Support) error {
	f := d.Byte()
	switch {
	case d.Err() != nil:
		return d.Err()
	case f == batchWithOrigin && s.Max >= gate.BatchOrigin:
		b.origin = cluster.NodeID(d.Uint32())
		return d.Err()
	case f != batchFormat:
		return gate.Newer("batch of format %d", f)
	}
	return nil
}

// keep gives an op of b what its row's version keeps of the batch.
func (b *Batch) keep(op *Op) { op.origin = b.origin }

// appendFields adds the fields of later versions to a row version's header. Readers
// that do not know them skip them.
func (op *Op) appendFields(v []byte) []byte {
	if op.origin == 0 {
		return v
	}
	return binary.BigEndian.AppendUint32(append(v, fieldOrigin, originLen), uint32(op.origin))
}

// of has c say what the batch that it is made of needs.
func (c *command) of(b *Batch) { c.origins = b.origin != 0 }

// appendHead begins the encoding of c.
func (c *command) appendHead(out []byte) []byte {
	if c.origins {
		return append(out, commandWithOrigins)
	}
	return append(out, commandFormat)
}

// commandHead reads what begins a command.
func (d *decoder) commandHead(c *command, s gate.Support) error {
	f := d.Byte()
	switch {
	case d.Err() != nil:
		return d.Err()
	case f == commandWithOrigins && s.Max >= gate.BatchOrigin:
		c.origins = true
	case f != commandFormat:
		return gate.Newer("command of format %d", f)
	}
	return nil
}

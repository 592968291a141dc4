//go:build !nextversion

package datastate

import (
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
)

// What versions after the first add to batches, commands and the headers of row versions:
// nothing yet. docs/CONTRIBUTING.md says how to add something.
type (
	batchNext struct{} //nolint:unused // has fields in builds with the tag nextversion
	opNext    struct{} //nolint:unused // has fields in builds with the tag nextversion

	commandNext struct{} //nolint:unused // has fields in builds with the tag nextversion
)

// For has b say what the active version allows it to say.
func (b *Batch) For(gate.Version, cluster.NodeID) {}

// appendHead begins the encoding of b.
func (b *Batch) appendHead(out []byte) []byte { return append(out, batchFormat) }

// head reads what begins a batch.
func (d *decoder) head(_ *Batch, _ gate.Support) error {
	if f := d.Byte(); d.Err() == nil && f != batchFormat {
		return gate.Newer("batch of format %d", f)
	}
	return d.Err()
}

// keep gives an op of b what its row's version keeps of the batch.
func (b *Batch) keep(*Op) {}

// appendFields adds the fields of later versions to a row version's header.
func (op *Op) appendFields(v []byte) []byte { return v }

// of has c say what the batch that it is made of needs.
func (c *command) of(*Batch) {}

// appendHead begins the encoding of c.
func (c *command) appendHead(out []byte) []byte { return append(out, commandFormat) }

// commandHead reads what begins a command.
func (d *decoder) commandHead(_ *command, _ gate.Support) error {
	if f := d.Byte(); d.Err() == nil && f != commandFormat {
		return gate.Newer("command of format %d", f)
	}
	return d.Err()
}

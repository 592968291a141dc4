//go:build !nextversion

package metastate

import (
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
)

// What versions after the first add to commands, to the view and to the kinds of
// records: nothing yet. docs/CONTRIBUTING.md says how to add something.
type (
	commandNext struct{} //nolint:unused // has fields in builds with the tag nextversion
	viewNext    struct{} //nolint:unused // has fields in builds with the tag nextversion
)

// For has cmd say what the active version allows it to say.
func (cmd *Command) For(gate.Version, cluster.NodeID) {}

// needs returns the version that cmd may be proposed at, and for what it has.
func (cmd *Command) needs() (gate.Version, string) { return gate.First, "" }

// recordNeeds returns the version that a kind of record came with.
func recordNeeds(string) gate.Version { return gate.First }

func (v *View) loadNext(string, []byte) error {
	return gate.Newer("a kind of record that is not known")
}

func (c *change) applyNext(*Command) {}

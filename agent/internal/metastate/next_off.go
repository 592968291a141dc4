//go:build !nextversion

package metastate

import "github.com/nodedb/nodedb/agent/internal/gate"

// commandNext is what later versions add to a command: nothing yet.
type commandNext struct{}

// needs returns the version that cmd may be proposed at, and for what it has.
func (cmd *Command) needs() (gate.Version, string) { return gate.First, "" }

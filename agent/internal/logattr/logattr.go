// Package logattr makes log attributes, one per noun.
//
// One noun has one key everywhere, so that one search finds a node's, a range's
// or an operation's whole story.
package logattr

import (
	"log/slog"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Node names the node that a line is about.
func Node(id cluster.NodeID) slog.Attr { return slog.String("node", id.String()) }

// Peer names the other node of a line that is about two.
func Peer(id cluster.NodeID) slog.Attr { return slog.String("peer", id.String()) }

// Range names a range.
func Range(id cluster.RangeID) slog.Attr { return slog.String("range", id.String()) }

// Replica names a replica by its raft id.
func Replica(id cluster.ReplicaID) slog.Attr { return slog.Uint64("replica", uint64(id)) }

// Operation names an operation.
func Operation(id string) slog.Attr { return slog.String("operation", id) }

// Component names a part of the node.
func Component(name string) slog.Attr { return slog.String("component", name) }

// Address is host:port.
func Address(addr string) slog.Attr { return slog.String("address", addr) }

// From is the state that is left.
func From(state string) slog.Attr { return slog.String("from", state) }

// To is the state that is entered.
func To(state string) slog.Attr { return slog.String("to", state) }

// Reason says why.
func Reason(why string) slog.Attr { return slog.String("reason", why) }

// Duration is how long something took.
func Duration(d time.Duration) slog.Attr { return slog.Duration("duration", d) }

// Err is the error that is being handled. Error text never holds SQL, keys or values.
func Err(err error) slog.Attr { return slog.Any("err", err) }

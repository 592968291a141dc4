package kv

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
)

// StaleSchemaError refuses a request that rests on a version of a table's descriptor that
// the ranges take no more, from a gateway, or a statement, that knew no later one. Nothing
// of its range was written.
type StaleSchemaError struct {
	Wanted cluster.SchemaVersion // the least version that is taken
}

func (e *StaleSchemaError) Error() string {
	return fmt.Sprintf("collection %d is written by version %d of its descriptor or a later one", e.Wanted.Collection, e.Wanted.Version)
}

// SchemasOf are the versions that the mutations at items rest on: of each collection the
// oldest.
func SchemasOf(muts []Mutation, items []int) (out []cluster.SchemaVersion) {
next:
	for _, i := range items {
		m := &muts[i]
		for j := range out {
			if out[j].Collection == m.Collection {
				out[j].Version = min(out[j].Version, m.Schema)
				continue next
			}
		}
		out = append(out, cluster.SchemaVersion{Collection: m.Collection, Version: m.Schema})
	}
	return out
}

// Stale is the error that a refusal means.
func Stale(r *datastate.Result) error { return &StaleSchemaError{Wanted: r.Schema} }

package kv

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
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

// allowed refuses a read that rests on too old a version of a descriptor, as the range was
// when the view was taken. Only reads of what not everybody maintains say a version.
func allowed(r storage.Reader, d *cluster.RangeDescriptor, by cluster.SchemaVersion) error {
	if by.Version == 0 {
		return nil
	}
	want, err := datastate.ReadsNeed(r, d.ID, by.Collection)
	if err != nil {
		return fmt.Errorf("read the fence: %w", err)
	}
	if by.Version >= want {
		return nil
	}
	return &StaleSchemaError{Wanted: cluster.SchemaVersion{Collection: by.Collection, Version: want}}
}

// allowed is allowed of the request, whose rows are of one collection.
func (m *readRequest) allowed(ts hlc.Timestamp, r storage.Reader, d *cluster.RangeDescriptor, mirror evaluation.Mirror) error {
	if len(m.Rows) == 0 {
		return nil
	}
	parts, err := keys.DecodeRow(m.Rows[0])
	if err != nil {
		return err
	}
	if err := unclosed(mirror, parts.Collection, ts); err != nil || m.Schema == 0 {
		return err
	}
	return allowed(r, d, cluster.SchemaVersion{Collection: parts.Collection, Version: m.Schema})
}

// unclosed refuses a read of a place that is closed for good, unless it is as of before.
func unclosed(m evaluation.Mirror, c cluster.CollectionID, ts hlc.Timestamp) error {
	if m == nil {
		return nil
	}
	if at, closed := m.Closed(c); closed && ts >= at {
		return &StaleSchemaError{Wanted: cluster.Closing(c).SchemaVersion}
	}
	return nil
}

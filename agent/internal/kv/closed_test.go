package kv

import (
	"errors"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
)

// shutMirror is that of a range in which one place is closed.
type shutMirror struct {
	evaluation.Mirror
	place cluster.CollectionID
	at    hlc.Timestamp
}

func (m shutMirror) Closed(c cluster.CollectionID) (hlc.Timestamp, bool) { return m.at, c == m.place }

// TestAClosedPlaceIsReadAsOfBefore: reads at the time at which it was closed, or later, are
// refused, also those that rest on no version; others are not.
func TestAClosedPlaceIsReadAsOfBefore(t *testing.T) {
	const place, beside = cluster.FirstObject + 1, cluster.FirstObject + 2
	m := shutMirror{place: place, at: 100}
	for _, x := range []struct {
		of      cluster.CollectionID
		ts      hlc.Timestamp
		refused bool
	}{{place, 99, false}, {place, 100, true}, {place, 101, true}, {place, hlc.Max, true}, {beside, 99, false}, {beside, 101, false}} {
		req := &readRequest{Rows: [][]byte{keys.Row(0, 7, x.of, []byte("k"))}}
		for what, err := range map[string]error{"by key": req.allowed(x.ts, nil, nil, m), "scan": unclosed(m, x.of, x.ts)} {
			var stale *StaleSchemaError
			if got := errors.As(err, &stale); got != x.refused || (err != nil) != x.refused {
				t.Errorf("%s, collection %d at %d: %v", what, x.of, x.ts, err)
			} else if got && stale.Wanted != cluster.Closing(place).SchemaVersion {
				t.Errorf("%s: wanted is %+v", what, stale.Wanted)
			}
		}
	}
}

package evaluation

import "github.com/nodedb/nodedb/agent/internal/hlc"

// Search says what garbage is looked for: what a version at or below Threshold hides,
// and tombstones at or below it.
type Search struct {
	// From leaves out the rows in which nothing was written from there to Threshold:
	// what is garbage in them was garbage before. 0: all rows are looked at.
	From, Threshold hlc.Timestamp
	// After is the row to begin with; nil: the first.
	After []byte
	// Limit is the most versions to find.
	Limit int
}

// Found is what a Collect has found.
type Found struct {
	Command  []byte // takes it away; nil: there is nothing to say
	Versions int
	Bytes    int64
	Next     []byte // the row to go on with; nil: all have been looked at
}

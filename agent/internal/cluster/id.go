package cluster

import (
	"fmt"
	"strconv"
	"strings"
)

// NodeID is the small number of a node, "n4"; never reused in a cluster.
type NodeID uint32

// String returns the form that operators read and type: n4.
func (id NodeID) String() string { return "n" + strconv.FormatUint(uint64(id), 10) }

// RangeID identifies a range for ever. The meta range is MetaRangeID.
type RangeID uint64

// MetaRangeID is the id of the meta range, shown as r1.
const MetaRangeID RangeID = 1

// String returns the form that operators read and type: r27.
func (id RangeID) String() string { return "r" + strconv.FormatUint(uint64(id), 10) }

// ReplicaID is the raft id of one replica. It is unique within its range for
// ever, so a node that holds a range again later does so under a new one.
type ReplicaID uint64

// CollectionID is the id of an object that has rows.
type CollectionID = ObjectID

// AdvisoryCollection has no rows: where they would be is what is locked for advisory
// locks. Ids of objects count up, and never come so far.
const AdvisoryCollection CollectionID = 1 << 63

// WriterID is the small number of who committed a version of a row: a SQL user, or
// a part of the system. Numbers of users are never given again. 0: nobody says.
type WriterID uint32

// Writers of the system.
const (
	// SystemWriter writes rows on nobody's behalf.
	SystemWriter WriterID = 1
	// FirstUser is the number of the first user; those between are kept for the system.
	FirstUser WriterID = 16
)

// ColumnID identifies a column within its collection for ever.
type ColumnID uint32

// VShard is one of the VShards hash slots.
type VShard uint16

// VShards is the number of hash slots of the key space.
const VShards = 1024

// ParseRangeID reads "r27" or "27".
func ParseRangeID(s string) (RangeID, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "r"), 10, 64)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no range id: write r27 or 27", s)
	}
	return RangeID(n), nil
}

package cluster

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// PoolID names a pool in keys.
type PoolID uint8

// String returns the name of the default pool, and the number of another.
func (p PoolID) String() string {
	if p == DefaultPool {
		return DefaultPoolName
	}
	return "pool " + strconv.Itoa(int(p))
}

// DefaultPool is everybody's: it is there from the beginning and is never dropped.
const DefaultPool PoolID = 0

// DefaultPoolName is what DefaultPool is called at first, and for good.
const DefaultPoolName = "default"

// PoolState is how far a pool has come.
type PoolState string

// The states.
const (
	PoolCreating PoolState = "creating" // its ranges are being made
	PoolReady    PoolState = "ready"
)

// Bounds of a pool.
const (
	DefaultReplicas   = 3
	DefaultPoolRanges = 8   // ranges of a new pool
	MaxPoolRanges     = 256 // ranges that a pool may begin with: it splits as it grows
	maxPoolName       = 63
)

// ReplicaCounts are how many replicas a pool may want: odd numbers, for an even
// one outlives no more losses than the number below it.
var ReplicaCounts = []int{1, 3, 5, 7}

// PoolSpec is what people say of a pool.
type PoolSpec struct {
	Replicas     int         `json:"replicas"`
	Constraints  Constraints `json:"constraints,omitempty"`
	PreferLeader Preference  `json:"preferLeader,omitempty"`
}

// Pool is the meta range's record of a placement group: ranges of its own, and
// where their replicas and leaders are to be.
type Pool struct {
	ID   PoolID `json:"id"`
	Name string `json:"name"`
	PoolSpec
	// Ranges is how many it began with.
	Ranges  int       `json:"ranges"`
	Version uint64    `json:"version"` // rises with each change of the record
	State   PoolState `json:"state"`
	// Seeds are its ranges that are still to be made.
	Seeds []PoolSeed `json:"seeds,omitempty"`
}

// PoolSeed says of a range of a new pool on which node it is made, once and for
// all: as replica 1. Anywhere else the range with this id is never made.
type PoolSeed struct {
	Range RangeID `json:"range"`
	Node  NodeID  `json:"node"`
	// Start and End bound its vshards, [Start, End).
	Start VShard `json:"start"`
	End   VShard `json:"end"`
}

// Text is what the spec says, as people write it.
func (s *PoolSpec) Text() string {
	text := fmt.Sprintf("replicas %d", s.Replicas)
	if len(s.Constraints) > 0 {
		text += ", constraints " + s.Constraints.String()
	}
	if len(s.PreferLeader) > 0 {
		text += ", leaders preferred at " + s.PreferLeader.String()
	}
	return text
}

var poolNameForm = regexp.MustCompile(`^[a-z_][a-z0-9_-]*$`)

// CheckPoolName says what is wrong with a name.
func CheckPoolName(name string) error {
	if len(name) > maxPoolName || !poolNameForm.MatchString(name) {
		return fmt.Errorf("a pool's name is 1 to %d lower-case letters, digits, _ and -, and begins with a letter, not %q", maxPoolName, name)
	}
	return nil
}

// Validate reports everything that is wrong with s.
func (s *PoolSpec) Validate() error {
	var errs []error
	if !slices.Contains(ReplicaCounts, s.Replicas) {
		errs = append(errs, fmt.Errorf("replicas must be 1, 3, 5 or 7, not %d", s.Replicas))
	}
	for _, t := range s.PreferLeader {
		for _, c := range s.Constraints {
			if c.Forbidden && c.Tier == t {
				errs = append(errs, fmt.Errorf("leaders cannot be preferred at %s: constraint %s forbids it", t, c))
			}
			if !c.Forbidden && c.Key == t.Key && c.Value != t.Value {
				errs = append(errs, fmt.Errorf("leaders cannot be preferred at %s: constraint %s excludes it", t, c))
			}
		}
	}
	return errors.Join(errs...)
}

// CheckPoolRanges says what is wrong with how many ranges a pool is to begin with.
func CheckPoolRanges(n int) error {
	if n < 1 || n > MaxPoolRanges {
		return fmt.Errorf("ranges must be from 1 to %d, not %s", MaxPoolRanges, strconv.Itoa(n))
	}
	return nil
}

// Same reports whether two specs say the same.
func (s *PoolSpec) Same(o *PoolSpec) bool {
	return s.Replicas == o.Replicas && slices.Equal(s.Constraints, o.Constraints) && slices.Equal(s.PreferLeader, o.PreferLeader)
}

// Package gate names the versions of a cluster and what each allows.
//
// A cluster has one active version, an integer in the cluster record of the meta
// range. A binary supports the versions from Min to Max: it reads what any of them
// wrote, and writes what the active one allows. So nodes of two binaries live
// together while a cluster is upgraded, and go back, until an operator raises the
// active version ('nodedbctl upgrade finalize').
//
// # How a version is raised
//
// Every node that belongs to the cluster promises the next version: it stores that
// no binary without it may run here any more, and says so. The meta range raises
// the active version once it has all promises. A node stores the active version
// before it writes anything that the version allows. In between, a range's log may
// hold more than this node's active version allows; its promise is why it can read
// that all the same.
//
// # Concurrency
//
// A Keeper may be used by any number of goroutines. The rest are values.
//
// # Invariants
//
//  1. Decode by binary, write by gate: what a version added is written only where
//     that version is active, and is read wherever the binary supports it.
//  2. A node acts on a version only after it has stored it.
//  3. Where a version was promised, no binary runs that lacks it, until the raising
//     that it was promised to is over without it.
//  4. What a state machine writes depends on the entry and on what was applied
//     before it, never on what the node has stored of versions.
//
// # How to add a gate
//
// docs/CONTRIBUTING.md has the list.
package gate

import (
	"errors"
	"fmt"
)

// Version is a version of a cluster. 0 is none.
type Version uint32

// First is the version of the first release.
const First Version = 1

// Support says which versions of a cluster a binary can run at.
type Support struct {
	Min Version `json:"min"`
	Max Version `json:"max"`
}

// Binary returns what this binary supports.
func Binary() Support { return Support{Min: First, Max: newest} }

// Or returns s, or what a binary supports that does not say: the first version.
func (s Support) Or() Support {
	if s.Max == 0 {
		return Support{Min: First, Max: First}
	}
	return s
}

// Has reports whether a binary can run at v.
func (s Support) Has(v Version) bool { return s.Min <= v && v <= s.Max }

// Shares reports whether there is a version at which both can run.
func (s Support) Shares(o Support) bool { return s.Min <= o.Max && o.Min <= s.Max }

func (s Support) String() string {
	if s.Min == s.Max {
		return fmt.Sprintf("cluster version %d", s.Max)
	}
	return fmt.Sprintf("cluster versions %d to %d", s.Min, s.Max)
}

// Allowed is one thing that a version allows.
type Allowed struct {
	From Version
	What string
}

// Allows returns what becomes possible when the active version is raised.
func Allows(from, to Version) []string {
	var out []string
	for _, a := range gates() {
		if a.From > from && a.From <= to {
			out = append(out, a.What)
		}
	}
	return out
}

// ErrNewer marks bytes that this binary does not know: a newer one wrote them.
var ErrNewer = errors.New("written by a newer version of NodeDB than this binary knows")

// Newer says what could not be read.
func Newer(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNewer, fmt.Sprintf(format, args...))
}

// ClosedError refuses to write what the active version does not allow.
type ClosedError struct {
	What          string
	Needs, Active Version
}

func (e *ClosedError) Error() string {
	return fmt.Sprintf("%s needs cluster version %d, and the cluster is at %d: run nodedbctl upgrade finalize", e.What, e.Needs, e.Active)
}

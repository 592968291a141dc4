package cluster

import (
	"cmp"
	"math"
	"slices"
)

// Fence says which collections are no more in a range of a pool: nothing is written to
// them any more, and their rows go. Ids of collections are never given again, so that
// what is alive and the newest id of what is not say all, however many were dropped.
type Fence struct {
	// Through is the newest drop that the fence knows, as its index in the log of the
	// meta range; 0: none. All before it are known, too.
	Through uint64
	// UpTo is the newest id that the fence is about.
	UpTo CollectionID
	// Alive are the ids up to there of collections that were not dropped, or are to be
	// read for a while yet, or are to be made; ascending.
	Alive []CollectionID
	// Doomed are those whose rows are still to be deleted, ascending. Without any, all of
	// them up to the drop Cleared, which is then Through, are gone.
	Doomed  []CollectionID
	Cleared uint64
	// Schemas say which versions of a table's descriptor requests have to rest on,
	// ascending by collection. Those that Bars is true of are left out.
	Schemas []SchemaFence
}

// SchemaVersion is the version of the descriptor that a request about a collection rests
// on: that of the table whose rows, or index entries, are stored there. Versions of one
// collection rise.
type SchemaVersion struct {
	Collection CollectionID
	Version    uint64
}

// SchemaFence refuses requests that rest on an older version.
type SchemaFence struct {
	SchemaVersion
	// Reads says that reads are refused, too, and not only writes.
	Reads bool
	// At is the time of the entry that set it, as a timestamp: all that was laid by who
	// knew an older version was laid before.
	At uint64
}

// closedVersion is a version that no descriptor has.
const closedVersion = math.MaxUint64

// Closing is a fence that closes a place for good, whatever versions there will be: nothing
// is written, locked or read there any more but as of before.
func Closing(c CollectionID) SchemaFence {
	return SchemaFence{SchemaVersion: SchemaVersion{Collection: c, Version: closedVersion}, Reads: true}
}

// Abandoned is a fence that has nothing be written any more that would be lost.
func Abandoned(c CollectionID) SchemaFence {
	return SchemaFence{SchemaVersion: SchemaVersion{Collection: c, Version: closedVersion}}
}

// Closes reports whether it closes a place for good.
func (s SchemaFence) Closes() bool { return s.Reads && s.Version == closedVersion }

// Closed are the places that are closed for good.
func (f *Fence) Closed() (out []SchemaFence) {
	for _, s := range f.Schemas {
		if s.Closes() {
			out = append(out, s)
		}
	}
	return out
}

// Schema is what requests about a collection have to rest on; the zero SchemaFence: on
// nothing.
func (f *Fence) Schema(c CollectionID) (s SchemaFence) {
	if f == nil || len(f.Schemas) == 0 {
		return s
	}
	if i, ok := slices.BinarySearchFunc(f.Schemas, c, func(s SchemaFence, c CollectionID) int { return cmp.Compare(s.Collection, c) }); ok {
		s = f.Schemas[i]
	}
	return s
}

// covers reports whether nothing that want refuses passes s.
func (s SchemaFence) covers(want SchemaFence) bool {
	return s.Version >= want.Version && (s.Reads || !want.Reads)
}

// Covers reports whether the fence refuses all that wanted are to refuse, or knows that
// their collections are no more.
func (f *Fence) Covers(wanted []SchemaFence) bool {
	return !slices.ContainsFunc(wanted, func(w SchemaFence) bool { return !f.Bars(w.Collection) && !f.Schema(w.Collection).covers(w) })
}

// Raised is the fence with what wanted refuse beside what it does, set at a time. Nothing
// is taken back.
func (f *Fence) Raised(wanted []SchemaFence, at uint64) *Fence {
	next := *f
	next.Schemas = slices.Clone(f.Schemas)
	for _, w := range wanted {
		was := f.Schema(w.Collection)
		if f.Bars(w.Collection) || was.covers(w) {
			continue
		}
		w.Version, w.Reads, w.At = max(w.Version, was.Version), w.Reads || was.Reads, at
		next.Schemas = slices.DeleteFunc(next.Schemas, func(s SchemaFence) bool { return s.Collection == w.Collection })
		next.Schemas = append(next.Schemas, w)
	}
	slices.SortFunc(next.Schemas, func(a, b SchemaFence) int { return cmp.Compare(a.Collection, b.Collection) })
	return &next
}

// Inherited are the schemas of old that are of collections which f does not bar.
func (f *Fence) Inherited(old *Fence) []SchemaFence {
	return slices.DeleteFunc(slices.Clone(old.Schemas), func(s SchemaFence) bool { return f.Bars(s.Collection) })
}

// Bars reports whether a collection is no more.
func (f *Fence) Bars(c CollectionID) bool {
	if f == nil || c > f.UpTo || c < FirstObject {
		return false
	}
	_, alive := slices.BinarySearch(f.Alive, c)
	return !alive
}

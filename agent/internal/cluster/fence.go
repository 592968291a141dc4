package cluster

import "slices"

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
}

// Bars reports whether a collection is no more.
func (f *Fence) Bars(c CollectionID) bool {
	if f == nil || c > f.UpTo || c < FirstObject {
		return false
	}
	_, alive := slices.BinarySearch(f.Alive, c)
	return !alive
}

package cluster

// ElementState says how far a part of a table is on its way to or from being one that
// everybody knows. Empty: everybody does.
type ElementState string

// The states of elements on their way.
const (
	// ElementDeleteOnly is maintained where rows go, and not where they come.
	ElementDeleteOnly ElementState = "delete-only"
	// ElementWriteOnly is maintained, or enforced, by who writes; nobody relies on it yet.
	ElementWriteOnly ElementState = "write-only"
)

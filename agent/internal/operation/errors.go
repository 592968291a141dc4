package operation

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/placement"
)

// RefusedKind says what kind of refusal it is; the admin API maps it to a code.
type RefusedKind string

// The kinds.
const (
	Unsafe    RefusedKind = "unsafe"     // a safety check refuses
	Conflict  RefusedKind = "conflict"   // another operation, or the same with other options
	StalePlan RefusedKind = "stale-plan" // the plan that was confirmed is not the one that would run
	NotFound  RefusedKind = "not-found"
	Exists    RefusedKind = "exists" // the name is taken
	InUse     RefusedKind = "in-use" // collections are in the pool
	Invalid   RefusedKind = "invalid"
	NoLeader  RefusedKind = "no-leader" // of the range; it may have one soon
	Denied    RefusedKind = "denied"    // whoever asks may not, or no longer
)

// RefusedError says why a request was refused. Nothing was changed.
type RefusedError struct {
	Kind    RefusedKind
	Message string
	// Operation is the operation in the way, if one is.
	Operation string
	// Verdict has the arithmetic and the fixes of an Unsafe refusal.
	Verdict placement.Verdict
	// Plan is what would run now, of a StalePlan refusal.
	Plan placement.Plan
}

func (e *RefusedError) Error() string { return e.Message }

func refused(kind RefusedKind, format string, args ...any) *RefusedError {
	return &RefusedError{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

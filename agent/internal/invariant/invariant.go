// Package invariant checks what must be true, in test builds.
//
// Check panics always: a broken invariant is a programmer's error, and to go on
// would spread it. Who runs a replica recovers the panic and stops that replica
// only. Enabled guards checks that cost too much for production: it is true in
// builds with the tag "invariants", and in every test.
package invariant

import (
	"fmt"
	"testing"
)

// Violation is what Check panics with.
type Violation struct{ Message string }

func (v *Violation) Error() string { return "broken invariant: " + v.Message }

// Check panics with a *Violation unless ok.
func Check(ok bool, format string, args ...any) {
	if !ok {
		panic(&Violation{Message: fmt.Sprintf(format, args...)})
	}
}

// Enabled reports whether costly checks run.
func Enabled() bool { return tagged || testing.Testing() }

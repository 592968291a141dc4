//go:build !invariants

package agent

import "time"

// wallOffset is 0: only builds for tests have clocks that can be moved.
func wallOffset() time.Duration { return 0 }

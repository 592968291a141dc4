package storage

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/gate"
)

// CheckFormat refuses a stored value, what, of a format that this binary does not
// know, and one that is shorter than the least of its own. The format is its first
// byte.
func CheckFormat(b []byte, format byte, least int, what string) error {
	if len(b) > 0 && b[0] != format {
		return gate.Newer("%s of format %d", what, b[0])
	}
	if len(b) < least {
		return fmt.Errorf("%w: %s", ErrCorruption, what)
	}
	return nil
}

// CheckFixed refuses what CheckFormat does, and any other length than size.
func CheckFixed(b []byte, format byte, size int, what string) error {
	if err := CheckFormat(b, format, size, what); err != nil || len(b) == size {
		return err
	}
	return fmt.Errorf("%w: %s", ErrCorruption, what)
}

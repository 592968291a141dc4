//go:build !nextversion

package gate

// newest is the newest version that this binary supports.
const newest = First

// gates are what versions after the first allow, oldest first.
func gates() []Allowed { return nil }

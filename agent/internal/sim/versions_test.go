//go:build nextversion

package sim

import (
	"testing"
)

// TestUpgrades rolls nodes between two binaries, back and forth, under the same
// faults as ever, and raises the cluster's version in the middle.
func TestUpgrades(t *testing.T) { runSeeds(t, 8, upgraded) }

func upgraded(c *Config) {
	operated(c)
	c.Upgrade = true
}

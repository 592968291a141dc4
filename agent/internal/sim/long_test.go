//go:build long

package sim

import (
	"testing"
	"time"
)

// TestManySeeds is the suite of make test-long.
func TestManySeeds(t *testing.T) {
	runSeeds(t, 200, func(c *Config) { c.Duration, c.Clients = 60*time.Second, 8 })
}

// TestManyNodes has more of everything.
func TestManyNodes(t *testing.T) {
	runSeeds(t, 20, func(c *Config) { c.Duration, c.Nodes, c.Ranges, c.Clients = 60*time.Second, 7, 8, 12 })
}

// TestManyTransactions is TestTransactions with many seeds.
func TestManyTransactions(t *testing.T) { runSeeds(t, 200, banked) }

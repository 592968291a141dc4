// Package seed says from which number a test draws what it makes up.
//
// A run of `make test` must not fail for a reason that its commit did not bring, so
// tests draw from a fixed seed. NODEDB_TEST_SEED=random has them draw from a new one
// (`make test-long`), NODEDB_TEST_SEED=N from the one that has failed.
//
// # Concurrency
//
// Of may be called from everywhere.
package seed

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

const variable = "NODEDB_TEST_SEED"

// fixed is the seed of `make test`; no other is better or worse.
const fixed = 1

// Of returns the seed that a test draws from, and has the test print it.
func Of(t testing.TB) uint64 {
	t.Helper()
	seed := uint64(fixed)
	switch text := os.Getenv(variable); text {
	case "":
	case "random":
		seed = rand.Uint64() >> 16 // short to type, and far from overflowing where a test counts on from it
	default:
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s=%s: it is a number, or random", variable, text)
		}
	}
	t.Logf("seed %d: %s=%d draws it again", seed, variable, seed)
	return seed
}

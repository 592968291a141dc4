//go:build bench

package bench_test

import (
	"os"
	"testing"

	"github.com/nodedb/nodedb/agent/agenttest/bench"
)

// TestBench is make bench.
func TestBench(t *testing.T) {
	o, err := bench.OptionsFrom(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	bench.Run(t, o)
}

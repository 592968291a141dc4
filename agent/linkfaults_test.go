//go:build invariants

package agent

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/transport"
)

func TestLinkFaults(t *testing.T) {
	dir := t.TempDir()
	to := linkFaults(dir)
	if got := to(2); got != (transport.Fault{}) {
		t.Errorf("without a file: %+v", got)
	}
	want := map[cluster.NodeID]transport.Fault{2: {Cut: true}, 13: {Delay: 50 * time.Millisecond}}
	const text = "2 cut\n13 50ms\n"
	if got := parseLinkFaults(text); !maps.Equal(got, want) {
		t.Errorf("%q: %+v", text, got)
	}
	if err := os.WriteFile(filepath.Join(dir, linkFaultsName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := linkFaults(dir); got(2) != want[2] || got(13) != want[13] || got(3) != (transport.Fault{}) {
		t.Errorf("from a file: %+v %+v %+v", got(2), got(13), got(3))
	}
}

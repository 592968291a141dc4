//go:build invariants

package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/transport"
)

// linkFaultsName is the file in the data directory that says what happens to what this
// node sends to others: on each line the id of a node and "cut", or how long it takes
// (50ms). A link is cut both ways by the files of both its ends. Gossip passes all the
// same. The file may change at any time; it has its place in one rename.
const linkFaultsName = "link-faults"

// linkFaults returns what a transport asks before it sends.
func linkFaults(dir string) func(cluster.NodeID) transport.Fault {
	f := &linkFile{path: filepath.Join(dir, linkFaultsName)}
	return f.to
}

type linkFile struct {
	path string
	mu   sync.Mutex
	read time.Time
	text string
	of   map[cluster.NodeID]transport.Fault
}

func (f *linkFile) to(id cluster.NodeID) transport.Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.read) >= rereadAfter {
		f.read = now
		b, _ := os.ReadFile(f.path) // no file: no faults
		if string(b) != f.text {
			f.text, f.of = string(b), parseLinkFaults(string(b))
		}
	}
	return f.of[id]
}

func parseLinkFaults(text string) map[cluster.NodeID]transport.Fault {
	of := map[cluster.NodeID]transport.Fault{}
	for line := range strings.Lines(text) {
		to, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		id, err := strconv.ParseUint(to, 10, 32)
		var fault transport.Fault
		if fault.Cut = what == "cut"; err == nil && !fault.Cut {
			fault.Delay, err = time.ParseDuration(what)
		}
		if err != nil {
			panic(fmt.Sprintf("%s: %q is no fault of a link", linkFaultsName, line))
		}
		of[cluster.NodeID(id)] = fault
	}
	return of
}

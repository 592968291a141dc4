package agenttest

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ForTests reports whether the agent is a build with the tag invariants: its disk can be
// made sick, its clock moved and its links cut.
func (b Binaries) ForTests() bool {
	info, err := buildinfo.ReadFile(b.Agent)
	if err != nil {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-tags" && strings.Contains(s.Value, "invariants") {
			return true
		}
	}
	return false
}

// Sicken makes the node's disk as text says, in binaries that are made for tests
// (package storage, disk-faults); empty: it is well.
func (n *Node) Sicken(text string) { n.put("disk-faults", text) }

// Link says what happens to what the node sends to others, in binaries that are made for
// tests (package agent, link-faults): by their numbers, "cut" or a delay such as 50ms.
// nil: all is well.
func (n *Node) Link(faults map[int]string) {
	var b strings.Builder
	for to, fault := range faults {
		fmt.Fprintf(&b, "%d %s\n", to, fault)
	}
	n.put("link-faults", b.String())
}

// put replaces a file of the node's data directory by one rename: half a file would
// be another fault.
func (n *Node) put(name, text string) {
	n.c.t.Helper()
	path := filepath.Join(n.Dir, name)
	if err := errors.Join(os.WriteFile(path+".new", []byte(text), 0o600), os.Rename(path+".new", path)); err != nil {
		n.c.t.Fatal(err)
	}
}

// Ended waits, at most for within, until the process has ended by itself, and returns its
// exit code; !ok: it lives.
func (n *Node) Ended(within time.Duration) (code int, ok bool) {
	select {
	case <-n.done:
		return n.code, true
	case <-time.After(within):
		return 0, false
	}
}

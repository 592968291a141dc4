package agenttest

import (
	"net"
	"testing"
)

// TestPortsAreNobodyElses: a port is given once, keeps off the ports of outgoing
// connections, and another process gets another block.
func TestPortsAreNobodyElses(t *testing.T) {
	seen := map[string]bool{}
	for range 20 {
		for _, addr := range freePorts(t) {
			tcp, err := net.ResolveTCPAddr("tcp", addr)
			if err != nil || seen[addr] || tcp.Port <= firstPort || tcp.Port >= endOfPorts {
				t.Fatalf("%s: %v, given before: %v", addr, err, seen[addr])
			}
			seen[addr] = true
		}
	}
	mine, err := ports()
	if err != nil {
		t.Fatal(err)
	}
	other, err := claimPorts()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.guard.Close() }()
	if other.first == mine.first {
		t.Errorf("two blocks begin at %d", mine.first)
	}
}

package agenttest

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Nodes listen below the ports that Linux gives to outgoing connections (32768 and up):
// nobody takes those of a node that is down, or was not started yet.
const (
	firstPort  = 10_000
	endOfPorts = 32_000
	// blockPorts are for one process of tests: more than all of this package ask for.
	blockPorts = 2_000
)

// portBlock are the ports of this process. Others keep off them while it listens on the
// first, so that tests in processes beside each other do not take each other's.
type portBlock struct {
	guard net.Listener
	first uint32
	given atomic.Uint32
}

var ports = sync.OnceValues(claimPorts)

func claimPorts() (*portBlock, error) {
	for first := uint32(firstPort); first < endOfPorts; first += blockPorts {
		if guard, err := net.Listen("tcp", loopback(first)); err == nil { //nolint:noctx // it ends with the process
			return &portBlock{guard: guard, first: first}, nil
		}
	}
	return nil, errors.New("every block of ports has its process of tests, or somebody else listens there")
}

func loopback(port uint32) string { return fmt.Sprint("127.0.0.1:", port) }

// freePorts returns the four loopback addresses of a node. Nobody listens on them, and no
// other test gets them before all other ports were given away.
func freePorts(t testing.TB) (addrs []string) {
	t.Helper()
	b, err := ports()
	if err != nil {
		t.Fatal(err)
	}
	for range blockPorts {
		addr := loopback(b.first + 1 + b.given.Add(1)%(blockPorts-1))
		l, err := net.Listen("tcp", addr) //nolint:noctx // closed at once
		if err != nil {
			continue // somebody else's
		}
		_ = l.Close()
		if addrs = append(addrs, addr); len(addrs) == 4 {
			return addrs
		}
	}
	t.Fatalf("not even four of %d ports are free", blockPorts)
	return nil
}

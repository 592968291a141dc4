package agent

import (
	"fmt"
	"syscall"

	"github.com/nodedb/nodedb/agent/internal/connlimit"
	"github.com/nodedb/nodedb/agent/internal/pgwire"
)

// What a node wants of its file descriptors, and the least that it can do with.
// The sum of all stays below the process's limit, so that no port can take what
// another, or the store, needs.
const (
	storeFiles, storeFilesLeast = 1000, 128
	otherFiles                  = 96 // logs, the unix socket, the SQL worker's pipes, dialled peers
	adminConns, rpcConns        = 512, 512
	gossipConns                 = 128
	portConnsLeast              = 48
	perAddress                  = 32
	loopbackSpare               = 16
)

// descriptors says how many each part of the node may hold.
type descriptors struct {
	Limit, SQL, Admin, RPC, Gossip, Store int
}

// shareDescriptors divides limit. SQL is maxConnections if it can be: ports and
// store do with less first.
func shareDescriptors(limit uint64, maxConnections, logins int) descriptors {
	d := descriptors{Limit: int(min(limit, 1<<30)), SQL: maxConnections, Admin: adminConns, RPC: rpcConns, Gossip: gossipConns, Store: storeFiles}
	left := d.Limit - otherFiles - 3*loopbackSpare - logins - d.SQL
	shrink := []struct {
		part        *int
		want, least int
	}{{&d.Admin, adminConns, portConnsLeast}, {&d.RPC, rpcConns, portConnsLeast}, {&d.Gossip, gossipConns, portConnsLeast}, {&d.Store, storeFiles, storeFilesLeast}}
	want, least := 0, 0
	for _, s := range shrink {
		want, least = want+s.want, least+s.least
	}
	if left >= want {
		return d
	}
	if left < least {
		d.SQL = max(1, d.SQL-(least-left))
		left = least
	}
	for _, s := range shrink {
		*s.part = s.least + (left-least)*(s.want-s.least)/(want-least)
	}
	return d
}

// takeDescriptors finds out the process's limit, which the Go runtime has raised
// to the hard one, and warns if it is low for what the node is to serve.
func (n *Node) takeDescriptors() {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		l.Cur = 1024 // the least that any system gives
	}
	logins := 2 * pgwire.DefaultConfig().MaxLogins // and those that are held back
	n.files = shareDescriptors(l.Cur, n.cfg.MaxConnections, logins)
	if most := n.cfg.MaxConnections; n.files.SQL < most || n.files.Limit < most+512 {
		n.logger.Warn(fmt.Sprintf("the limit of open files, %d, is low for maxConnections %d: %d SQL sessions are served; raise it (ulimit -n, LimitNOFILE) to %d",
			n.files.Limit, most, n.files.SQL, most+logins+adminConns+rpcConns+gossipConns+storeFiles+otherFiles+3*loopbackSpare))
	}
}

func gateOf(total int) *connlimit.Gate {
	return connlimit.New(connlimit.Config{Total: total, PerNetwork: perAddress, Spare: loopbackSpare})
}

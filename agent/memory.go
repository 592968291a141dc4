package agent

import (
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// memory is how a node divides what it may use.
type memory struct {
	total    int64
	source   string // where total comes from
	heap     int64  // soft limit of the Go heap
	heapFrom string // where heap comes from: source, or GOMEMLIMIT
	counted  int64  // of the heap, what others can make the node hold
	sessions int64  // of that, what SQL sessions can
}

// budgets are the parts of what others can make a node hold. They may be promised
// more together than there is: the whole is the bound. Clients have a bound below
// the whole, so that they cannot keep raft and snapshots from their work.
type budgets struct {
	node       *budget.Budget
	sessions   *budget.Budget // what SQL sessions keep, and their messages
	statements *budget.Budget // what statements hold while they run here
	requests   *budget.Budget // of other gateways, for ranges here
	reads      *budget.Budget // what was read here and is not sent yet
	cleanups   *budget.Budget // rows that transactions have written, until their intents are resolved
	raft       *budget.Budget // messages that wait for the store, or for a peer to take them
	snapshots  *budget.Budget // being received
}

// minHeap is the least soft limit: below it the collector would do nothing else.
const minHeap = 128 << 20

// memory divides memory from node.yaml, else the cgroup's limit, else the
// machine's: the SQL worker, the block cache and memtables, which are no Go memory,
// come first.
func (c *Config) memory(root fs.FS) memory {
	m := memory{total: c.Memory, source: "node.yaml"}
	if m.total == 0 {
		m.total, m.source = cgroupLimit(root), "cgroup"
	}
	if physical := physicalMemory(); m.total <= 0 || c.Memory == 0 && m.total > physical {
		m.total, m.source = physical, "machine"
	}
	rest := m.total - c.SQLMemory - c.SQLMemory/2 - c.CacheBytes - storage.MemTableRoom
	m.heap, m.heapFrom = max(rest/10*9, m.total/2, minHeap), m.source
	if os.Getenv("GOMEMLIMIT") != "" {
		if own := debug.SetMemoryLimit(-1); own < m.total { // else it bounds nothing
			m.heap = own
		}
		m.heapFrom = "GOMEMLIMIT"
	}
	// The rest is what is not counted, and garbage that was not collected yet.
	m.counted = m.heap / 10 * 6
	m.sessions = min(m.total/4, m.heap/2, m.counted/4*3)
	return m
}

// statements is what statements may hold while they run.
func (m memory) statements() int64 { return m.counted / 2 }

// budgets divides what is counted.
func (m memory) budgets() budgets {
	node := budget.New("node", m.counted)
	clients := node.Child("clients", m.counted/4*3)
	return budgets{
		node:     node,
		sessions: clients.Child("sessions", m.sessions), statements: clients.Child("statements", m.statements()),
		requests: clients.Child("requests", m.counted/4), reads: clients.Child("reads", m.counted/4),
		cleanups: clients.Child("cleanups", m.counted/16),
		raft:     node.Child("raft", m.counted/4), snapshots: node.Child("snapshots", m.counted/4),
	}
}

// apply sets the heap's soft limit, unless the environment has one.
func (m memory) apply(log *slog.Logger) {
	if m.heapFrom != "GOMEMLIMIT" {
		debug.SetMemoryLimit(m.heap)
	}
	log.Info("memory is limited", slog.String("source", m.heapFrom), slog.Int64("memoryBytes", m.total),
		slog.Int64("heapLimitBytes", m.heap), slog.Int64("countedBytes", m.counted), slog.Int64("sessionsBytes", m.sessions))
}

func physicalMemory() int64 {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return math.MaxInt64
	}
	return int64(info.Totalram) * int64(info.Unit)
}

// cgroupLimit is the lowest limit of this process's cgroup and those above it, in
// version 2 or 1; 0: none. Inside a container the path of /proc may not exist:
// then its cgroup is the root.
func cgroupLimit(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	lowest := int64(0)
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		base, file := "sys/fs/cgroup", "memory.max"
		if parts[1] != "" {
			if !strings.Contains(","+parts[1]+",", ",memory,") {
				continue
			}
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		for dir := path.Clean("/" + parts[2]); ; dir = path.Dir(dir) {
			if n := readLimit(root, path.Join(base, dir, file)); n > 0 && (lowest == 0 || n < lowest) {
				lowest = n
			}
			if dir == "/" {
				break
			}
		}
	}
	return lowest
}

// readLimit returns 0 for no limit: "max", or version 1's number near 2^63.
func readLimit(root fs.FS, name string) int64 {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n >= 1<<62 {
		return 0
	}
	return n
}

// describe is a comment of `config print`.
func (m memory) describe() string {
	return fmt.Sprintf("# memory in force: %d bytes (%s); heap limit %d (%s), counted %d, SQL sessions %d\n", m.total, m.source, m.heap, m.heapFrom, m.counted, m.sessions)
}

// MemoryNote says, as a comment for node.yaml, how the memory is divided here.
func (c *Config) MemoryNote() string {
	m := c.memory(os.DirFS("/"))
	return m.describe() + c.statementQueues(m).describe()
}

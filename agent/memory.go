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
)

// memory is how a node divides what it may use.
type memory struct {
	total    int64
	source   string // where total comes from
	heap     int64  // soft limit of the Go heap
	sessions int64  // of it, what SQL sessions can make the node hold
}

// minHeap is the least soft limit: below it the collector would do nothing else.
const minHeap = 128 << 20

// memory divides memory from node.yaml, else the cgroup's limit, else the
// machine's: the SQL worker and the block cache, which are no Go memory, come
// first.
func (c *Config) memory(root fs.FS) memory {
	m := memory{total: c.Memory, source: "node.yaml"}
	if m.total == 0 {
		m.total, m.source = cgroupLimit(root), "cgroup"
	}
	if physical := physicalMemory(); m.total <= 0 || c.Memory == 0 && m.total > physical {
		m.total, m.source = physical, "machine"
	}
	rest := m.total - c.SQLMemory - c.SQLMemory/2 - c.CacheBytes
	m.heap = max(rest/10*9, m.total/2, minHeap)
	m.sessions = min(m.total/4, m.heap/2)
	return m
}

// apply sets the heap's soft limit, unless the environment has one.
func (m memory) apply(log *slog.Logger) {
	limit, from := m.heap, m.source
	if os.Getenv("GOMEMLIMIT") != "" {
		limit, from = debug.SetMemoryLimit(-1), "GOMEMLIMIT"
	} else {
		debug.SetMemoryLimit(limit)
	}
	log.Info("memory is limited", slog.String("source", from), slog.Int64("memoryBytes", m.total),
		slog.Int64("heapLimitBytes", limit), slog.Int64("sessionsBytes", m.sessions))
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
	return fmt.Sprintf("# memory in force: %d bytes (%s); heap limit %d, SQL sessions %d\n", m.total, m.source, m.heap, m.sessions)
}

// MemoryNote says, as a comment for node.yaml, how the memory is divided here.
func (c *Config) MemoryNote() string { return c.memory(os.DirFS("/")).describe() }

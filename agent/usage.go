package agent

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/storage"
)

// usage measures what this process takes of the machine.
type usage struct {
	dir string
	mu  struct {
		sync.Mutex
		at    time.Time
		ticks uint64
		cpu   float64
	}
}

// clockTicks is the kernel's USER_HZ, which is 100 on every Linux we run on.
const clockTicks = 100

// cpu returns the share of one core that the process has used since the last
// measurement, at most one a second.
func (u *usage) cpu(now time.Time, cores int) float64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Sub(u.mu.at) < time.Second {
		return u.mu.cpu
	}
	ticks, ok := processTicks()
	if !ok {
		return 0
	}
	if !u.mu.at.IsZero() {
		used := float64(ticks-u.mu.ticks) / clockTicks
		u.mu.cpu = used / now.Sub(u.mu.at).Seconds() / float64(cores)
	}
	u.mu.at, u.mu.ticks = now, ticks
	return u.mu.cpu
}

// processTicks reads user and system time of this process: fields 14 and 15 of
// /proc/self/stat, counted after the command name, which may hold spaces.
func processTicks() (uint64, bool) {
	b, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0, false
	}
	_, rest, ok := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if !ok || len(f) < 13 {
		return 0, false
	}
	user, err1 := strconv.ParseUint(f[11], 10, 64)
	system, err2 := strconv.ParseUint(f[12], 10, 64)
	return user + system, err1 == nil && err2 == nil
}

// disk returns used and total bytes of the file system that holds the store.
func (u *usage) disk() (used, total uint64) { return storage.Space(u.dir) }

package systems

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// clockTick is the unit of /proc's CPU times: USER_HZ, 100 on every Linux.
const clockTick = 10 * time.Millisecond

// Usage is what a process, or several, use.
type Usage struct {
	CPU time.Duration // since their start
	RSS int64         // bytes
}

// Tree is what a process uses, and what its descendants do: a node and its
// worker, a postmaster and its backends (which leave its process group).
func Tree(root int) (own, descendants Usage) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return own, descendants
	}
	parent, used := map[int]int{}, map[int]Usage{}
	for _, path := range stats {
		text, err := os.ReadFile(path) //nolint:gosec // names come from /proc
		if err != nil {
			continue // ended meanwhile
		}
		if pid, ppid, u, err := parseStat(text); err == nil {
			parent[pid], used[pid] = ppid, u
		}
	}
	for pid, u := range used {
		switch {
		case pid == root:
			own = u
		case descends(parent, pid, root):
			descendants.CPU += u.CPU
			descendants.RSS += u.RSS
		}
	}
	return own, descendants
}

func descends(parent map[int]int, pid, root int) bool {
	for range len(parent) { // processes change while they are listed: no endless ring
		pid = parent[pid]
		if pid == root {
			return true
		}
		if pid <= 1 {
			break
		}
	}
	return false
}

// parseStat reads /proc/PID/stat. The command's name is in parentheses and may
// hold anything, so fields count from the last one.
func parseStat(text []byte) (pid, parent int, u Usage, err error) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return 0, 0, u, fmt.Errorf("no command in %q", text)
	}
	fields := bytes.Fields(text[end+1:])
	if len(fields) < 22 {
		return 0, 0, u, fmt.Errorf("only %d fields in %q", len(fields), text)
	}
	numbers := make([]int64, 0, 5)
	for _, f := range [][]byte{bytes.TrimSpace(text[:open]), fields[1], fields[11], fields[12], fields[21]} {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, 0, u, fmt.Errorf("read process status: %w", err)
		}
		numbers = append(numbers, n)
	}
	u.CPU = time.Duration(numbers[2]+numbers[3]) * clockTick
	u.RSS = numbers[4] * int64(os.Getpagesize())
	return int(numbers[0]), int(numbers[1]), u, nil
}

// OwnCPU is what this process has used.
func OwnCPU() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// CPUOf returns a function that sums the CPU of process trees so far.
func CPUOf(roots ...int) func() time.Duration {
	return func() time.Duration {
		var sum time.Duration
		for _, root := range roots {
			own, descendants := Tree(root)
			sum += own.CPU + descendants.CPU
		}
		return sum
	}
}

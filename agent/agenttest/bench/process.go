package bench

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

// usage is what a process, or several, use.
type usage struct {
	CPU time.Duration // since their start
	RSS int64         // bytes
}

// groupUsage sums up the processes of a process group: a node and its worker.
func groupUsage(pgid int) (leader, others usage) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return leader, others
	}
	for _, path := range stats {
		text, err := os.ReadFile(path) //nolint:gosec // names come from /proc
		if err != nil {
			continue // ended meanwhile
		}
		pid, group, u, err := parseStat(text)
		switch {
		case err != nil || group != pgid:
		case pid == pgid:
			leader = u
		default:
			others.CPU += u.CPU
			others.RSS += u.RSS
		}
	}
	return leader, others
}

// parseStat reads /proc/PID/stat. The command's name is in parentheses and may
// hold anything, so fields count from the last one.
func parseStat(text []byte) (pid, group int, u usage, err error) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return 0, 0, u, fmt.Errorf("no command in %q", text)
	}
	fields := bytes.Fields(text[end+1:])
	if len(fields) < 22 {
		return 0, 0, u, fmt.Errorf("only %d fields in %q", len(fields), text)
	}
	numbers := make([]int64, 0, 5)
	for _, f := range [][]byte{bytes.TrimSpace(text[:open]), fields[2], fields[11], fields[12], fields[21]} {
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

// ownCPU is what this process has used.
func ownCPU() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// cpuOf returns a function that sums the CPU of process groups and this process.
func cpuOf(pgids ...int) func() time.Duration {
	return func() time.Duration {
		sum := ownCPU()
		for _, pgid := range pgids {
			leader, others := groupUsage(pgid)
			sum += leader.CPU + others.CPU
		}
		return sum
	}
}

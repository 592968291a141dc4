package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest/bench/figures"
)

// hang is how long one fsync takes on the disk that hangs.
const hang = 8 * time.Second

// disk makes the fsyncs of node 3 hang, with strace, which can delay system calls
// of a process without root. It also slows the process down; a node with a sick
// disk may be slow.
func (b *bench) disk(t *testing.T) {
	const what = "a disk that hangs"
	strace, err := exec.LookPath("strace")
	if err != nil {
		b.skip(t, what, "it can be made to hang without root by strace alone, which is not here: apt-get install strace")
		return
	}
	// Some machines let nobody trace (kernel.yama.ptrace_scope, containers): ask first.
	letGo, err := attach(t.Context(), strace, b.c.Node(3).PID(), "trace=none")
	if err != nil {
		b.skip(t, what, fmt.Sprintf("strace may not trace a node here: %v", err))
		return
	}
	letGo()
	b.balance(t, 3)
	b.suffer(t, fault{
		name: "fsync hangs", rounds: 1, urls: b.ours.URLs[:2], lasts: hang + 2*time.Second,
		targets: map[string]*figures.Target{"longest gap": {Reach: 3000}},
		event: func() {
			letGo, err := hangDisk(t.Context(), strace, b.c.Node(3).PID())
			if err != nil {
				t.Errorf("the disk of n3 did not hang, so the figures are of nothing: %v", err)
				return
			}
			waitUntil(t.Context(), time.Now().Add(hang+2*time.Second))
			letGo()
		},
		restore: func() {
			if !b.c.Node(3).Running() { // it may give up by itself: that is sick, not dead
				b.c.Node(3).Start()
			}
			b.c.WaitReplicated()
		},
	})
}

// hangDisk delays every fsync of a process until it is let go.
func hangDisk(ctx context.Context, strace string, pid int) (letGo func(), err error) {
	const calls = "fsync,fdatasync,sync_file_range"
	return attach(ctx, strace, pid, "trace="+calls, fmt.Sprintf("inject=%s:delay_enter=%d", calls, hang.Microseconds()))
}

// attach runs strace on all threads of a process, and returns when it has hold of
// it.
func attach(ctx context.Context, strace string, pid int, expressions ...string) (letGo func(), err error) {
	args := []string{"-f", "-qq", "-o", "/dev/null", "-p", strconv.Itoa(pid)}
	for _, e := range expressions {
		args = append(args, "-e", e)
	}
	cmd := exec.CommandContext(ctx, strace, args...) //nolint:gosec // a program of this machine
	var errs bytes.Buffer
	cmd.Stderr = &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start strace: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it says that it was interrupted
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return nil, errors.New(strings.TrimSpace(errs.String()))
		case <-tick.C:
		}
		if traced(pid) {
			return func() {
				_ = cmd.Process.Signal(syscall.SIGINT) // unless it has ended, with the process
				<-ended
			}, nil
		}
	}
}

// traced reports whether somebody traces a process.
func traced(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, tracer, ok := strings.Cut(string(status), "TracerPid:\t")
	return err == nil && ok && !strings.HasPrefix(tracer, "0\n")
}

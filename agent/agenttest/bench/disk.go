package bench

import (
	"bytes"
	"context"
	"fmt"
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
	path, err := exec.LookPath("strace")
	if err != nil {
		b.skip(t, "a disk that hangs", "it can be made to hang without root by strace alone, which is not here: apt-get install strace")
		return
	}
	b.balance(t, 3)
	var refused error
	b.suffer(t, fault{
		name: "fsync hangs", rounds: 1, urls: b.ours.URLs[:2], lasts: hang + 2*time.Second,
		targets: map[string]*figures.Target{"longest gap": {Reach: 3000}},
		event: func() {
			refused = hangDisk(t.Context(), path, b.c.Node(3).PID(), func() {
				waitUntil(t.Context(), time.Now().Add(hang+2*time.Second))
			})
		},
		restore: func() {
			if !b.c.Node(3).Running() { // it may give up by itself: that is sick, not dead
				b.c.Node(3).Start()
			}
			b.c.WaitReplicated()
		},
	})
	if refused != nil {
		t.Fatalf("the disk of n3 did not hang, so the figures are of nothing: %v", refused)
	}
}

// hangDisk delays every fsync of a process while during runs.
func hangDisk(ctx context.Context, strace string, pid int, during func()) error {
	const calls = "fsync,fdatasync,sync_file_range"
	cmd := exec.CommandContext(ctx, strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace="+calls, //nolint:gosec // a program of this machine
		"-e", fmt.Sprintf("inject=%s:delay_enter=%d", calls, hang.Microseconds()), "-p", strconv.Itoa(pid))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start strace: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	during()
	select {
	case err := <-ended:
		return fmt.Errorf("strace ended early: %w: %s", err, strings.TrimSpace(errs.String()))
	default:
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil { // lets go of the process
		return fmt.Errorf("end strace: %w", err)
	}
	_ = <-ended // it says that it was interrupted
	return nil
}

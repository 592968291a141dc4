package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest"
)

// TestHangDisk: a program that syncs gets no further while its disk hangs, and
// goes on afterwards.
func TestHangDisk(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not here")
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `read go; dd if=/dev/zero of=file bs=1 count=1 conv=fsync 2>/dev/null; echo > synced`)
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exists := func(name string) bool {
		info, err := os.Stat(filepath.Join(dir, name))
		return err == nil && info.Size() == 1
	}
	early := false
	err = hangDisk(t.Context(), strace, cmd.Process.Pid, func() {
		agenttest.Eventually(t, 20*time.Second, "strace has hold of the process", func() error {
			status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "status"))
			if err == nil && strings.Contains(string(status), "TracerPid:\t0") {
				err = fmt.Errorf("it has no tracer")
			}
			return err
		})
		_, _ = in.Write([]byte("go\n"))
		agenttest.Eventually(t, 20*time.Second, "it has written, and is about to sync", func() error {
			if !exists("file") {
				return fmt.Errorf("no file yet")
			}
			return nil
		})
		early = exists("synced")
	})
	if err != nil || early {
		t.Errorf("hangDisk: %v; it synced meanwhile: %v", err, early)
	}
	if err := cmd.Wait(); err != nil || !exists("synced") {
		t.Errorf("afterwards: %v; it has synced: %v", err, exists("synced"))
	}
}

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	letGo, err := hangDisk(t.Context(), strace, cmd.Process.Pid)
	if err != nil {
		_ = in.Close()
		_ = cmd.Wait()
		t.Skip("this machine lets nobody trace: ", err)
	}
	_, _ = in.Write([]byte("go\n"))
	agenttest.Eventually(t, 20*time.Second, "it has written, and is about to sync", func() error {
		if !exists("file") {
			return fmt.Errorf("no file yet")
		}
		return nil
	})
	if exists("synced") {
		t.Error("it synced while its disk hung")
	}
	letGo()
	if err := cmd.Wait(); err != nil || !exists("synced") {
		t.Errorf("afterwards: %v; it has synced: %v", err, exists("synced"))
	}
}

func TestAttachToNobody(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not here")
	}
	cmd := exec.CommandContext(t.Context(), "true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := attach(t.Context(), strace, cmd.Process.Pid, "trace=none"); err == nil {
		t.Error("strace traces a process that has ended")
	}
}

package demo

import (
	"os"
	"path/filepath"
	"testing"
)

// TestSweepRemovesDeadDemos: a demo that was killed leaves keys; one that lives,
// and what is no demo, stays.
func TestSweepRemovesDeadDemos(t *testing.T) {
	temp := t.TempDir()
	alive, lock, err := newDir(temp)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	dead, gone, err := newDir(temp)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dead, "n1", "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	_ = gone.Close() // as the kernel does for a process that was killed
	other := filepath.Join(temp, dirPrefix+"mine")
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	if n := sweep(temp); n != 1 {
		t.Errorf("removed %d directories, want 1", n)
	}
	for dir, stays := range map[string]bool{alive: true, other: true, dead: false} {
		if _, err := os.Stat(dir); (err == nil) != stays {
			t.Errorf("%s: %v, want it there: %v", dir, err, stays)
		}
	}
}

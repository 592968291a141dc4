package demo

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// dirPrefix begins the name of each demo's directory.
const dirPrefix = "nodedb-demo-"

// lockName is the file in it that the demo holds a lock on for as long as it lives.
const lockName = "demo.lock"

// newDir makes a demo's directory, mode 0700, and the lock that says it is in use.
// The lock is there before its name, so that nobody takes the demo for a dead one.
func newDir(temp string) (dir string, lock *os.File, err error) {
	if dir, err = os.MkdirTemp(temp, dirPrefix); err != nil {
		return "", nil, fmt.Errorf("make the demo's directory: %w", err)
	}
	path := filepath.Join(dir, lockName)
	if lock, err = os.OpenFile(path+".new", os.O_CREATE|os.O_RDWR|os.O_EXCL, 0o600); err != nil {
		return "", nil, fmt.Errorf("make the demo's lock: %w", err)
	}
	if err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return "", nil, fmt.Errorf("make the demo's lock: %w", err)
	}
	return dir, lock, nil
}

// sweep removes what demos left that were killed: the keys of their clusters are
// in there. It returns how many it removed; what it cannot remove stays.
func sweep(temp string) int {
	dirs, err := filepath.Glob(filepath.Join(temp, dirPrefix+"*"))
	if err != nil {
		return 0 // the pattern is good
	}
	removed := 0
	for _, dir := range dirs {
		lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|unix.O_NOFOLLOW, 0)
		if err != nil {
			continue // another user's, or just being made
		}
		if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil && os.RemoveAll(dir) == nil {
			removed++
		}
		_ = lock.Close() // nothing was written
	}
	return removed
}

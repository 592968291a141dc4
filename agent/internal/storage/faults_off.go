//go:build !invariants

package storage

// injectFaults is for the binaries that tests run: here the disk is as it is.
func injectFaults(fs FS, _ string) FS { return fs }

// injectedFree tells how much room a test wants there to be.
func injectedFree(string) (free uint64, ok bool) { return 0, false }

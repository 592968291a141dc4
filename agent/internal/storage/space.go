package storage

import "syscall"

// Space returns the used and all bytes of the file system that holds dir. Blocks that
// the file system reserves count as neither: as df computes it, the share that is
// used is of what this process may ever use. 0, 0: it cannot be told.
func Space(dir string) (used, total uint64) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, 0
	}
	size := uint64(st.Bsize) //nolint:gosec // a block size is positive
	used, total = (st.Blocks-st.Bfree)*size, (st.Blocks-st.Bfree+st.Bavail)*size
	if free, ok := injectedFree(dir); ok {
		used = total - min(total, free)
	}
	return used, total
}

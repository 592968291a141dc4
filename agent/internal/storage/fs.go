package storage

import (
	"errors"
	"math/rand/v2"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// FS is the file system that an engine lives on.
type FS = vfs.FS

// MemFS is a file system in memory that knows which bytes were synced.
type MemFS = vfs.MemFS

// NewCrashableFS returns an empty MemFS, for tests and simulations.
func NewCrashableFS() *MemFS { return vfs.NewCrashableMem() }

// CrashClone returns what a power cut now leaves of fs: everything synced, and
// each unsynced block with the given probability.
func CrashClone(fs *MemFS, unsyncedPercent int, rng *rand.Rand) *MemFS {
	return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsyncedPercent, RNG: rng})
}

// DamageLog flips bytes of what was synced to the newest log of the store in dir,
// as a disk does that rots; fs nil is the disk. It reports whether there were any.
func DamageLog(fs FS, dir string, rng *rand.Rand) (bool, error) {
	if fs == nil {
		fs = vfs.Default
	}
	end, ok, err := readSynced(fs, dir)
	if err != nil || !ok {
		return false, err
	}
	newest, name, err := newestLog(fs, dir)
	if err != nil || newest != end.log {
		return false, err // nothing of it was synced yet
	}
	path := fs.PathJoin(dir, name)
	b, err := readAll(fs, path)
	if err != nil {
		return false, err
	}
	at := rng.Int64N(end.length)
	for i := at; i < min(at+8, end.length); i++ {
		b[i] ^= 0xa5
	}
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return false, err
	}
	_, err = f.Write(b)
	return true, errors.Join(err, f.Sync(), f.Close())
}

// FaultFS calls before ahead of each write operation on fs, which fails with the
// error that before returns.
func FaultFS(fs FS, before func() error) FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		return before()
	}))
}

// SyncHookFS calls before ahead of each sync on fs.
func SyncHookFS(fs FS, before func()) FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			before()
		}
		return nil
	}))
}

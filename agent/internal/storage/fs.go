package storage

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"path/filepath"

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
// each unsynced block and name with the given probability. What becomes of them is
// decided by rng's next number, their path and their place alone: Pebble's own
// clone draws in the order of a map, so that no seed would say what is left.
func CrashClone(fs *MemFS, unsyncedPercent int, rng *rand.Rand) *MemFS {
	clone := fs.CrashClone(vfs.CrashCloneCfg{})
	if unsyncedPercent == 0 {
		return clone
	}
	c := crash{clone: clone, percent: unsyncedPercent, seed: rng.Uint64()}
	c.now = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))})
	if err := c.dir("/"); err != nil {
		panic(fmt.Sprintf("clone a file system in memory: %v", err)) // it has no disk that fails
	}
	return clone
}

// crash adds to clone, which has what was synced, some of what else there is now.
type crash struct {
	now, clone *MemFS
	percent    int
	seed       uint64
}

func (c *crash) dir(path string) error {
	names, err := c.now.List(path)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.child(c.now.PathJoin(path, name)); err != nil {
			return err
		}
	}
	d, err := c.clone.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// child adds a directory or a file. A file whose name was not synced is there as a
// whole or not at all, since what of its bytes was synced is not known here.
func (c *crash) child(path string) error {
	of := fnv.New64a()
	_, _ = of.Write([]byte(path))
	rng := rand.New(rand.NewPCG(c.seed, of.Sum64()))
	stays := func() bool { return rng.IntN(100) < c.percent }
	_, err := c.clone.Stat(path)
	named := err == nil
	if !named && !stays() {
		return nil
	}
	info, err := c.now.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		if err := c.clone.MkdirAll(path, 0o700); err != nil {
			return err
		}
		return c.dir(path)
	}
	b, err := readAll(c.now, path)
	if err != nil {
		return err
	}
	f, err := c.clone.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	const block = 4096
	for at := 0; at < len(b) && err == nil; at += block {
		if !named || stays() {
			_, err = f.WriteAt(b[at:min(at+block, len(b))], int64(at))
		}
	}
	return errors.Join(err, f.Sync(), f.Close())
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

// wrapFaults calls before ahead of each operation on fs, which fails with the error that
// before returns.
func wrapFaults(fs FS, before func(errorfs.Op) error) FS {
	return &faultyFS{errorfs.Wrap(fs, errorfs.InjectorFunc(before)), before}
}

// faultyFS is errorfs, which leaves alone what is written to a log that takes the place
// of an older one.
type faultyFS struct {
	vfs.FS
	before errorfs.InjectorFunc
}

func (fs *faultyFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(oldname, newname, category)
	if err != nil {
		return nil, err
	}
	return errorfs.WrapFile(f, errorfs.InjectorFunc(func(op errorfs.Op) error {
		op.Path = newname // WrapFile gives none
		return fs.before(op)
	})), nil
}

// FaultFS calls before ahead of each write operation on fs, which fails with the
// error that before returns.
func FaultFS(fs FS, before func() error) FS {
	return wrapFaults(fs, func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		return before()
	})
}

// LogFaultFS calls before ahead of each write to a log on fs, which fails with the
// error that before returns.
func LogFaultFS(fs FS, before func() error) FS {
	return wrapFaults(fs, func(op errorfs.Op) error {
		if op.Kind != errorfs.OpFileWrite || filepath.Ext(op.Path) != ".log" {
			return nil
		}
		return before()
	})
}

// SyncHookFS calls before ahead of each sync on fs, but for those of a log that takes
// the place of an older one.
func SyncHookFS(fs FS, before func()) FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			before()
		}
		return nil
	}))
}

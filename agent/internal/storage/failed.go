package storage

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// Pebble (2.1.7) cannot take every error of its log. Where it goes on to another one
// (DB.rotateWAL) it has given up its lock and panics; what unwinds the stack unlocks
// that lock again, and the runtime ends the process with a stack, whoever recovers.
// An error of its MANIFEST stops the goroutine that flushes, and leaves its locks.
//
// So it is told of none. When a log or a MANIFEST cannot be begun, written, synced or
// closed, or the directory cannot be synced that holds its name, syncedFS notes it,
// tells the node, and calls it done. From then on the disk stays as a crash would leave
// it: these files swallow what is written to them, every other write is refused. Who
// commits, flushes or ingests asks, once Pebble is done, whether the store has failed
// (failed): the failure is noted before Pebble hears that the sync is over, so that
// nothing is acknowledged that rests on it. Nothing panics, and the engine can be closed.

// fail ends the store because of what the disk said.
func (s *syncedFS) fail(what string, err error) {
	failure := fmt.Errorf("%w: %s: %w", ErrFatal, what, mark(err))
	if s.failure.CompareAndSwap(nil, &failure) && s.tell != nil {
		s.tell(failure)
	}
}

// failed returns why the store has ended; nil as long as it has not.
func (s *syncedFS) failed() error {
	if s == nil {
		return nil // read-only: it has no log
	}
	if err := s.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// Create implements vfs.FS.
func (s *syncedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return s.begin(name, func() (vfs.File, error) { return s.FS.Create(name, category) })
}

// ReuseForWrite implements vfs.FS: a log may take the place of an older one.
func (s *syncedFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return s.begin(newname, func() (vfs.File, error) { return s.FS.ReuseForWrite(oldname, newname, category) })
}

// begin makes a file; a log and a MANIFEST are made whatever the disk says.
func (s *syncedFS) begin(name string, create func() (vfs.File, error)) (vfs.File, error) {
	base := s.PathBase(name)
	num, _, isLog := wal.ParseLogFilename(base)
	if !isLog && !strings.HasPrefix(base, "MANIFEST-") && !strings.HasPrefix(base, "marker.manifest.") {
		return s.guard(create)
	}
	f := &logFile{File: nothing(), fs: s, name: base, promises: isLog, end: logEnd{log: num}}
	f.done("begin", func() error {
		made, err := create()
		if err == nil {
			f.File = made
		}
		return err
	})
	return f, nil
}

// nothing is a file that is not on the disk.
func nothing() vfs.File {
	f, err := vfs.NewMem().Create("nothing", vfs.WriteCategoryUnspecified)
	if err != nil {
		panic(fmt.Sprintf("make a file in memory: %v", err)) // it has no disk that fails
	}
	return f
}

// guard opens a file other than a log for writing.
func (s *syncedFS) guard(open func() (vfs.File, error)) (vfs.File, error) {
	if err := s.failed(); err != nil {
		return nil, err
	}
	f, err := open()
	if err != nil {
		return nil, err
	}
	return &guardedFile{File: f, fs: s}, nil
}

// OpenReadWrite implements vfs.FS.
func (s *syncedFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return s.guard(func() (vfs.File, error) { return s.FS.OpenReadWrite(name, category, opts...) })
}

// OpenDir implements vfs.FS.
func (s *syncedFS) OpenDir(name string) (vfs.File, error) {
	f, err := s.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &syncedDir{File: f, fs: s}, nil
}

// do carries out a change of names, unless the store has failed.
func (s *syncedFS) do(change func() error) error {
	if err := s.failed(); err != nil {
		return err
	}
	return change()
}

// Link implements vfs.FS.
func (s *syncedFS) Link(oldname, newname string) error {
	return s.do(func() error { return s.FS.Link(oldname, newname) })
}

// Remove implements vfs.FS.
func (s *syncedFS) Remove(name string) error {
	return s.do(func() error { return s.FS.Remove(name) })
}

// RemoveAll implements vfs.FS.
func (s *syncedFS) RemoveAll(name string) error {
	return s.do(func() error { return s.FS.RemoveAll(name) })
}

// Rename implements vfs.FS.
func (s *syncedFS) Rename(oldname, newname string) error {
	return s.do(func() error { return s.FS.Rename(oldname, newname) })
}

// MkdirAll implements vfs.FS.
func (s *syncedFS) MkdirAll(dir string, perm os.FileMode) error {
	return s.do(func() error { return s.FS.MkdirAll(dir, perm) })
}

// Unwrap implements vfs.FS.
func (s *syncedFS) Unwrap() vfs.FS { return s.FS }

// guardedFile is a file other than a log.
type guardedFile struct {
	vfs.File
	fs *syncedFS
}

func (f *guardedFile) Write(p []byte) (int, error) {
	if err := f.fs.failed(); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f *guardedFile) WriteAt(p []byte, at int64) (int, error) {
	if err := f.fs.failed(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, at)
}

func (f *guardedFile) Sync() error { return f.fs.do(f.File.Sync) }

func (f *guardedFile) SyncData() error { return f.fs.do(f.File.SyncData) }

func (f *guardedFile) SyncTo(length int64) (full bool, err error) {
	err = f.fs.do(func() error {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}

// syncedDir is a directory. It is synced after each log that is begun, by a handle
// that looks like any other: a directory that cannot be synced ends the store.
type syncedDir struct {
	vfs.File
	fs *syncedFS
}

func (d *syncedDir) Sync() error {
	if d.fs.failed() == nil {
		if err := d.File.Sync(); err != nil {
			d.fs.fail("sync the directory of the log", err)
		}
	}
	return nil
}

// logFile is a log that is being written, or a MANIFEST or what names it. Its writes
// and syncs come one after another (vfs.File).
type logFile struct {
	vfs.File
	fs       *syncedFS
	name     string
	promises bool // it is a log
	end      logEnd
}

// done calls an operation on the file done, whatever comes of it.
func (f *logFile) done(what string, do func() error) {
	if f.fs.failed() != nil {
		return
	}
	if err := do(); err != nil {
		f.fs.fail(what+" "+f.name, err)
	}
}

// promise says how far the log is synced.
func (f *logFile) promise() error {
	if !f.promises || f.end.length == 0 {
		return nil
	}
	return f.fs.promise(f.end)
}

func (f *logFile) Write(p []byte) (int, error) {
	f.done("write", func() error {
		n, err := f.File.Write(p)
		if err == nil && n < len(p) {
			err = io.ErrShortWrite
		}
		if err == nil {
			f.end.length += int64(n)
		}
		return err
	})
	return len(p), nil
}

func (f *logFile) Close() error {
	if err := f.File.Close(); err != nil {
		f.fs.fail("close "+f.name, err)
	}
	return nil
}

func (f *logFile) Sync() error { return f.sync(f.File.Sync) }

func (f *logFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *logFile) sync(do func() error) error {
	f.done("sync", func() error {
		if err := do(); err != nil {
			return err
		}
		return f.promise()
	})
	return nil
}

func (f *logFile) SyncTo(length int64) (full bool, err error) {
	f.done("sync", func() error {
		if full, err = f.File.SyncTo(length); err != nil || !full {
			return err
		}
		return f.promise()
	})
	return full, nil
}

func (f *logFile) Preallocate(offset, length int64) error {
	return f.fs.do(func() error { return f.File.Preallocate(offset, length) }) // Pebble does without
}

// Stat implements vfs.File: Pebble asks how large a log is that it uses again.
func (f *logFile) Stat() (vfs.FileInfo, error) {
	info, err := f.File.Stat()
	if err != nil {
		f.fs.fail("look at "+f.name, err)
		return nothing().Stat()
	}
	return info, nil
}

package storage

import (
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// DiskOp is one operation on the disk that has begun and not ended.
type DiskOp struct {
	Kind string // sync, write, read, or what else is done to a file
	Path string
	Age  time.Duration
}

// syncsKept is how many of the log's last syncs the latency is taken of: a busy
// node has as many in a moment, an idle one in a quarter of a minute.
const syncsKept = 16

// Syncs is how long the last syncs of the log took.
type Syncs struct {
	Median, Longest time.Duration
	// Count is of all since the store was opened.
	Count uint64
}

// Watch is a file system that knows what is under way on it, and for how long. It
// may be asked at any time, whoever waits for the disk.
type Watch struct {
	vfs.FS

	mu struct {
		sync.Mutex
		next   uint64
		open   map[uint64]begun
		syncs  [syncsKept]time.Duration
		count  uint64
		what   string // is read of the log: see Reading
		total  int64
		opened int64 // see Opened
	}
	read atomic.Int64 // of the log
}

// Reading is what Open reads of the log, and how far it is.
type Reading struct {
	What        string // "": nothing
	Done, Total int64  // bytes
}

// Reading tells how far Open is.
func (w *Watch) Reading() Reading {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Reading{w.mu.what, min(w.read.Load(), w.mu.total), w.mu.total}
}

// Opened is how much Open has read of the log to replay it: what was not in tables yet.
func (w *Watch) Opened() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.opened
}

// replayed notes that Open has done so.
func (w *Watch) replayed() {
	w.mu.Lock()
	w.mu.opened = w.read.Load()
	w.mu.Unlock()
	w.reads("", nil)
}

// reads notes that logs of those sizes are read from here on.
func (w *Watch) reads(what string, sizes []int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.what, w.mu.total = what, 0
	for _, n := range sizes {
		w.mu.total += n
	}
	w.read.Store(0)
}

type begun struct {
	kind, path string
	at         time.Time
}

func newWatch(fs FS) *Watch {
	w := &Watch{FS: fs}
	w.mu.open = map[uint64]begun{}
	return w
}

// begin notes an operation; the returned function notes its end.
func (w *Watch) begin(kind, path string) (end func() time.Duration) {
	b := begun{kind, path, time.Now()}
	w.mu.Lock()
	w.mu.next++
	id := w.mu.next
	w.mu.open[id] = b
	w.mu.Unlock()
	return func() time.Duration {
		w.mu.Lock()
		delete(w.mu.open, id)
		w.mu.Unlock()
		return time.Since(b.at)
	}
}

// Oldest returns the operation that is under way for longest; ok is false if there
// is none.
func (w *Watch) Oldest() (op DiskOp, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var oldest begun
	for _, b := range w.mu.open {
		if !ok || b.at.Before(oldest.at) {
			oldest, ok = b, true
		}
	}
	if !ok {
		return DiskOp{}, false
	}
	return DiskOp{Kind: oldest.kind, Path: oldest.path, Age: time.Since(oldest.at)}, true
}

// Syncs returns how long the last syncs of the log took.
func (w *Watch) Syncs() Syncs {
	w.mu.Lock()
	last := slices.Clone(w.mu.syncs[:min(w.mu.count, syncsKept)])
	s := Syncs{Count: w.mu.count}
	w.mu.Unlock()
	if len(last) > 0 {
		slices.Sort(last)
		s.Median, s.Longest = last[len(last)/2], last[len(last)-1]
	}
	return s
}

func (w *Watch) synced(took time.Duration) {
	w.mu.Lock()
	w.mu.syncs[w.mu.count%syncsKept] = took
	w.mu.count++
	w.mu.Unlock()
}

// Unwrap implements vfs.FS.
func (w *Watch) Unwrap() vfs.FS { return w.FS }

func (w *Watch) file(f vfs.File, path string, err error) (vfs.File, error) {
	if err != nil {
		return f, err
	}
	_, _, isLog := wal.ParseLogFilename(w.PathBase(path))
	return &watchedFile{File: f, w: w, path: path, log: isLog}, nil
}

// Create implements vfs.FS.
func (w *Watch) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	defer w.begin("create", name)()
	f, err := w.FS.Create(name, category)
	return w.file(f, name, err)
}

// Open implements vfs.FS.
func (w *Watch) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	defer w.begin("open", name)()
	f, err := w.FS.Open(name, opts...)
	return w.file(f, name, err)
}

// OpenReadWrite implements vfs.FS.
func (w *Watch) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	defer w.begin("open", name)()
	f, err := w.FS.OpenReadWrite(name, category, opts...)
	return w.file(f, name, err)
}

// OpenDir implements vfs.FS.
func (w *Watch) OpenDir(name string) (vfs.File, error) {
	defer w.begin("open", name)()
	f, err := w.FS.OpenDir(name)
	return w.file(f, name, err)
}

// ReuseForWrite implements vfs.FS.
func (w *Watch) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	defer w.begin("create", newname)()
	f, err := w.FS.ReuseForWrite(oldname, newname, category)
	return w.file(f, newname, err)
}

// Link implements vfs.FS.
func (w *Watch) Link(oldname, newname string) error {
	defer w.begin("link", newname)()
	return w.FS.Link(oldname, newname)
}

// Remove implements vfs.FS.
func (w *Watch) Remove(name string) error {
	defer w.begin("remove", name)()
	return w.FS.Remove(name)
}

// RemoveAll implements vfs.FS.
func (w *Watch) RemoveAll(name string) error {
	defer w.begin("remove", name)()
	return w.FS.RemoveAll(name)
}

// Rename implements vfs.FS.
func (w *Watch) Rename(oldname, newname string) error {
	defer w.begin("rename", newname)()
	return w.FS.Rename(oldname, newname)
}

// MkdirAll implements vfs.FS.
func (w *Watch) MkdirAll(dir string, perm os.FileMode) error {
	defer w.begin("create", dir)()
	return w.FS.MkdirAll(dir, perm)
}

// List implements vfs.FS.
func (w *Watch) List(dir string) ([]string, error) {
	defer w.begin("list", dir)()
	return w.FS.List(dir)
}

// Stat implements vfs.FS.
func (w *Watch) Stat(name string) (vfs.FileInfo, error) {
	defer w.begin("stat", name)()
	return w.FS.Stat(name)
}

// Lock implements vfs.FS.
func (w *Watch) Lock(name string) (io.Closer, error) {
	defer w.begin("lock", name)()
	return w.FS.Lock(name)
}

// watchedFile is one file of a Watch.
type watchedFile struct {
	vfs.File
	w    *Watch
	path string
	log  bool
}

func (f *watchedFile) Close() error {
	defer f.w.begin("close", f.path)()
	return f.File.Close()
}

func (f *watchedFile) Read(p []byte) (int, error) {
	defer f.w.begin("read", f.path)()
	n, err := f.File.Read(p)
	if f.log {
		f.w.read.Add(int64(n))
	}
	return n, err
}

func (f *watchedFile) ReadAt(p []byte, at int64) (int, error) {
	defer f.w.begin("read", f.path)()
	n, err := f.File.ReadAt(p, at)
	return n, unreadable(f.path, err)
}

func (f *watchedFile) Write(p []byte) (int, error) {
	defer f.w.begin("write", f.path)()
	return f.File.Write(p)
}

func (f *watchedFile) WriteAt(p []byte, at int64) (int, error) {
	defer f.w.begin("write", f.path)()
	return f.File.WriteAt(p, at)
}

func (f *watchedFile) Preallocate(offset, length int64) error {
	defer f.w.begin("write", f.path)()
	return f.File.Preallocate(offset, length)
}

func (f *watchedFile) Sync() error { return f.sync(f.File.Sync) }

func (f *watchedFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *watchedFile) SyncTo(length int64) (full bool, err error) {
	err = f.sync(func() error {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}

func (f *watchedFile) sync(do func() error) error {
	end := f.w.begin("sync", f.path)
	err := do()
	if took := end(); f.log {
		f.w.synced(took)
	}
	return err
}

package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb/nodedb/agent/internal/gate"
)

// Engine is one store on disk.
type Engine struct {
	db       *pebble.DB
	tables   sstable.WriterOptions // of tables made outside
	fs       vfs.FS
	disk     *Watch
	synced   *syncedFS // nil: read-only
	incoming string
	seq      sequence
}

var (
	// ErrCorruption marks data that is not what was written.
	ErrCorruption = errors.New("stored data is corrupt")
	// ErrDiskFull marks a write that found no space.
	ErrDiskFull = errors.New("disk is full")
	// ErrFatal marks a write whose fate on disk is unknown: the process must stop.
	ErrFatal = errors.New("storage engine failed")
)

// Options says how to open an Engine.
type Options struct {
	// Dir holds the engine's files.
	Dir string
	// Version is the cluster's: it decides what the files may look like. 0 is the
	// first. Files that were written at a later one stay as they are.
	Version gate.Version
	// FS is where Dir is; nil is the disk.
	FS FS
	// CacheBytes is the size of the block cache, without memtables; 0 is 64 MiB. Too
	// small costs reads.
	CacheBytes int64
	// MemTableBytes is the size of one memtable; 0 is 32 MiB. Too small costs compactions.
	MemTableBytes int
	// Files is the most tables that are open at once; 0 is 1000.
	Files int
	// Deterministic turns background compactions off, for simulations.
	Deterministic bool
	// ReadOnly opens what is there without changing a byte of it; writes fail.
	ReadOnly bool
	// OnDisk, if set, is given what tells what is under way on the disk, before
	// anything is: Open itself may wait for it.
	OnDisk func(*Watch)
	// OnFatal is called before the engine gives up, from any goroutine; the process
	// must stop. Nil does nothing but log.
	OnFatal func(error)
	// OnDamage is told of each table that does not give back what was written, by
	// whoever reads it, from any goroutine; it must not wait. Nil: nobody is.
	OnDamage func(Damage)
	// Logger gets the engine's errors; nil discards them.
	Logger *slog.Logger
}

const (
	memTableBytes = 32 << 20
	// memTables is how many there are as a rule: one that is filled, and one that is
	// flushed or waits to be filled.
	memTables = 2
)

// MemTableRoom is what memtables take beside the block cache, in bytes.
const MemTableRoom = memTables * memTableBytes

func (o *Options) withDefaults() {
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = memTableBytes
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Open opens the engine in o.Dir and creates it if there is none (read-only:
// there must be one). Damage of what was synced is ErrCorruption.
func Open(o Options) (*Engine, error) {
	if o.FS == nil {
		o.FS = injectFaults(vfs.Default, o.Dir)
	}
	o.withDefaults()
	disk := newWatch(o.FS)
	o.FS = disk
	if o.OnDisk != nil {
		o.OnDisk(disk)
	}
	log := &engineLog{log: o.Logger, onFatal: o.OnFatal}
	// Pebble takes the memtables from the room of its cache: without theirs beside it
	// nothing would be left for blocks. Where writes pile up, the blocks give way.
	cache := pebble.NewCache(o.CacheBytes + memTables*int64(o.MemTableBytes))
	defer cache.Unref()
	opts := &pebble.Options{
		FS:                          o.FS,
		Cache:                       cache,
		Logger:                      log,
		Comparer:                    comparer,
		BlockPropertyCollectors:     []func() pebble.BlockPropertyCollector{newTimes},
		FormatMajorVersion:          formatAt(o.Version),
		MemTableSize:                uint64(o.MemTableBytes),
		MemTableStopWritesThreshold: 4,
		// Two writes a third more to disk, and spares a read one block in fifty.
		L0CompactionThreshold: 4,
		// The raft log shares this engine: a stop of writes stops every range, so
		// it is set beyond reach.
		L0StopWritesThreshold:       1000,
		LBaseMaxBytes:               64 << 20,
		BytesPerSync:                512 << 10,
		MaxOpenFiles:                o.Files,
		DisableAutomaticCompactions: o.Deterministic,
		ReadOnly:                    o.ReadOnly,
		EventListener:               o.events(log),
	}
	// One compaction runs at a time, whatever waits: there is no limit to sample ten
	// times a second, as the scheduler that is made otherwise does on an idle node.
	opts.Experimental.CompactionScheduler = pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	opts.CompactionConcurrencyRange = func() (lower, upper int) { return 1, 1 }
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		opts.Levels[i].FilterType = pebble.TableFilter
	}
	if o.Deterministic {
		opts.BytesPerSync, opts.DisableTableStats = 0, true
	}
	opts.EnsureDefaults() // of which tables made outside need some
	e := &Engine{fs: o.FS, disk: disk, incoming: o.FS.PathJoin(o.Dir, "incoming")}
	if err := e.open(o, opts, log); err != nil {
		return nil, fmt.Errorf("open store %s: %w", o.Dir, mark(err))
	}
	if o.ReadOnly {
		return e, nil
	}
	if err := e.clearIncoming(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// open checks the log and opens the engine on it.
func (e *Engine) open(o Options, opts *pebble.Options, log *engineLog) error {
	logs, err := logSizes(o.FS, o.Dir)
	if err != nil {
		return err
	}
	e.disk.reads("check its newest log", logs[len(logs)-1:])
	if err := checkLog(o.FS, o.Dir); err != nil {
		return err
	}
	e.disk.reads("replay its log", logs)
	defer e.disk.replayed()
	if !o.ReadOnly {
		if e.synced, err = openSynced(o.FS, o.Dir, o.Deterministic, log.give); err != nil {
			return err
		}
		opts.FS = e.synced
	}
	e.db, err = openGuarded(o.Dir, opts)
	if failed := e.synced.failed(); err == nil && failed != nil {
		err = errors.Join(failed, closeGuarded(e.db))
	}
	if err != nil {
		if e.synced != nil {
			err = errors.Join(err, e.synced.close())
		}
		return err
	}
	// A table from outside is made as a flush would make it: with filters and times.
	e.tables = opts.MakeWriterOptions(0, e.db.TableFormat())
	return nil
}

func openGuarded(dir string, opts *pebble.Options) (db *pebble.DB, err error) {
	defer recoverFatal(&err)
	return pebble.Open(dir, opts)
}

// Close releases the engine. Snapshots and iterators must be closed before. It returns
// why the engine failed, too.
func (e *Engine) Close() error {
	err := closeGuarded(e.db)
	if e.synced != nil {
		err = errors.Join(e.synced.failed(), err, e.synced.close())
	}
	return err
}

// unlessFailed returns the engine's failure, or else what an operation came to.
func unlessFailed(fs *syncedFS, err error) error {
	if failed := fs.failed(); failed != nil {
		return failed
	}
	return mark(err)
}

func closeGuarded(db *pebble.DB) (err error) {
	defer recoverFatal(&err)
	return mark(db.Close())
}

// Get returns a copy of the value of key.
func (e *Engine) Get(key []byte) ([]byte, bool, error) { return get(e.db, key) }

// NewIter iterates over [start, end) of the engine as it is now.
func (e *Engine) NewIter(start, end []byte) (*Iterator, error) { return newIter(e.db, start, end) }

// NewRowIter makes an iterator for SeekRowGE alone.
func (e *Engine) NewRowIter() (*Iterator, error) { return newRowIter(e.db) }

// NewSpanIter iterates over what span asks for.
func (e *Engine) NewSpanIter(span Span) (*Iterator, error) { return newSpanIter(e.db, span) }

// NewSnapshot returns a view of the engine as it is now.
func (e *Engine) NewSnapshot() *Snapshot { return &Snapshot{s: e.db.NewSnapshot()} }

// NewBatch returns a batch whose reads see its own writes.
func (e *Engine) NewBatch() *Batch { return &Batch{b: e.db.NewIndexedBatch(), fs: e.synced} }

// NewWriteBatch returns a batch that is cheaper but cannot be read.
func (e *Engine) NewWriteBatch() *Batch { return &Batch{b: e.db.NewBatch(), blind: true, fs: e.synced} }

// Raise lets the engine write what v allows, for good: a binary whose Pebble does
// not know it cannot open the store any more.
func (e *Engine) Raise(v gate.Version) error {
	if f := formatAt(v); e.db.FormatMajorVersion() < f {
		return unlessFailed(e.synced, e.db.RatchetFormatMajorVersion(f))
	}
	return nil
}

// formatFirst is Pebble's format major version at the first cluster version.
const formatFirst = pebble.FormatTableFormatV6

// Flush writes memtables to tables.
func (e *Engine) Flush() error { return unlessFailed(e.synced, e.db.Flush()) }

// Disk tells what is under way on the engine's disk.
func (e *Engine) Disk() *Watch { return e.disk }

// SizeOnDisk returns the bytes that the engine's files take.
func (e *Engine) SizeOnDisk() uint64 { return e.db.Metrics().DiskSpaceUsage() }

// Metrics are figures of the engine for operators.
type Metrics struct {
	DiskBytes      uint64
	L0Sublevels    int
	CompactionDebt uint64
	MemTableBytes  uint64
	CacheHits      int64
	CacheMisses    int64
}

// Metrics returns the engine's figures.
func (e *Engine) Metrics() Metrics {
	m := e.db.Metrics()
	return Metrics{
		DiskBytes:      m.DiskSpaceUsage(),
		L0Sublevels:    int(m.Levels[0].Sublevels),
		CompactionDebt: m.Compact.EstimatedDebt,
		MemTableBytes:  m.MemTable.Size,
		CacheHits:      m.BlockCache.Hits,
		CacheMisses:    m.BlockCache.Misses,
	}
}

// EstimateBytes returns roughly how many bytes [start, end) takes on disk.
func (e *Engine) EstimateBytes(start, end []byte) (uint64, error) {
	n, err := e.db.EstimateDiskUsage(start, end)
	return n, mark(err)
}

// Ingest adds tables made by a TableWriter, all at once and durably.
func (e *Engine) Ingest(paths []string) (err error) {
	defer recoverFatal(&err)
	return unlessFailed(e.synced, e.db.Ingest(context.Background(), paths))
}

// engineLog gives Pebble's messages to slog. Pebble expects Fatalf not to
// return: it panics, and recoverFatal turns that into ErrFatal where a caller waits.
// In a goroutine of Pebble's own nobody would recover: that goroutine ends, so that
// the process can say why it does.
type engineLog struct {
	log     *slog.Logger
	onFatal func(error)
	gaveUp  atomic.Bool
}

type fatal struct{ err error }

func (l *engineLog) Infof(string, ...any) {}

func (l *engineLog) Errorf(format string, args ...any) {
	if l.gaveUp.Load() {
		return // it was said why; Pebble tries a flush again as fast as it can
	}
	l.log.Error("storage engine", slog.String("reason", fmt.Sprintf(format, args...)))
}

func (l *engineLog) Fatalf(format string, args ...any) {
	err := fmt.Errorf("%w: %s", ErrFatal, fmt.Sprintf(format, args...))
	for _, arg := range args {
		if cause, ok := arg.(error); ok && errors.Is(mark(cause), ErrDiskFull) {
			err = fmt.Errorf("%w: %w", ErrDiskFull, err)
		}
	}
	l.give(err)
	if !calledFromHere() {
		runtime.Goexit()
	}
	panic(fatal{err})
}

// give says that the engine gives up, once: what fails later fails of it.
func (l *engineLog) give(err error) {
	if l.gaveUp.Swap(true) {
		return
	}
	l.log.Error("storage engine gives up", slog.Any("err", err))
	if l.onFatal != nil {
		l.onFatal(err)
	}
}

// calledFromHere reports whether a function of this package is on the stack, other
// than those of engineLog.
func calledFromHere() bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs[:])])
	for {
		f, more := frames.Next()
		if strings.Contains(f.Function, "/internal/storage.") && !strings.Contains(f.Function, "engineLog") && !strings.HasSuffix(f.Function, "calledFromHere") {
			return true
		}
		if !more {
			return false
		}
	}
}

// recoverFatal makes an error of what ended the engine. Pebble panics with the disk's
// own error where it goes on to another log.
func recoverFatal(err *error) {
	switch p := recover().(type) {
	case nil:
	case fatal:
		*err = p.err
	case error:
		if !ofDisk(p) {
			panic(p)
		}
		*err = fmt.Errorf("%w: %w", ErrFatal, mark(p))
	default:
		panic(p)
	}
}

// ofDisk reports whether an error is the operating system's.
func ofDisk(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno)
}

// mark adds this package's errors to those of Pebble.
func mark(err error) error {
	switch {
	case err == nil:
		return nil
	case pebble.IsCorruptionError(err):
		return fmt.Errorf("%w: %w", ErrCorruption, err)
	case vfs.IsNoSpaceError(err):
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	default:
		return err
	}
}

func (e *Engine) clearIncoming() error {
	if err := e.fs.RemoveAll(e.incoming); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("clear %s: %w", e.incoming, err)
	}
	if err := e.fs.MkdirAll(e.incoming, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", e.incoming, err)
	}
	return nil
}

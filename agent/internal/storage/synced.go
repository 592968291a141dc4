package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// The end of a write-ahead log is torn after a crash: bytes that were never
// synced are there in part. Damage before that end looks alike, and whoever takes
// it for the end forgets votes and entries that it acknowledged.
//
// Pebble (2.1.7) means to tell them apart: each chunk says how far the log was
// synced when it was written, and a reader that meets a bad chunk looks for a
// later one that promises more. The promise is too small, though:
// record/log_writer.go, in flushLoop, has
//
//	writtenOffset += uint64(len(data))
//
// which counts the part of the current block and leaves out the full blocks of
// 32 KiB that are written before it (pending); it should add blockSize-b.flushed
// for each of those as well, as flushPending does for its metrics. In a log of
// 17 MiB the highest promise was 0.6 MiB, so that nearly all damage was taken for
// the end. Even with that mended nothing would promise the last synced bytes.
//
// So the store keeps its own promise: the file `synced` holds the number of the
// newest log and its synced length. It is written after each sync, before the
// commit is acknowledged, which costs one small write into the page cache, and is
// synced itself once a second and at Close. A crash of the process loses nothing
// of it. A power cut may take it back by a second: then it promises less, never
// too much. At Open each chunk up to there must be whole.
const (
	syncedName = "synced"
	// syncedSlot is the distance of the two copies, written in turn: a torn write
	// of one leaves the other.
	syncedSlot    = 512
	syncedSize    = 2 * syncedSlot
	syncedLen     = 1 + 8 + 8 + 4
	syncedVersion = 1
	syncedEvery   = time.Second
)

// logEnd is a point in the log: the first length bytes of the log number log.
type logEnd struct {
	log    wal.NumWAL
	length int64
}

func (e logEnd) before(o logEnd) bool {
	return e.log < o.log || e.log == o.log && e.length < o.length
}

func (e logEnd) encode() []byte {
	b := append(make([]byte, 0, syncedLen), syncedVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(e.log))
	b = binary.BigEndian.AppendUint64(b, uint64(e.length))
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

func decodeLogEnd(b []byte) (logEnd, bool) {
	if len(b) < syncedLen || b[0] != syncedVersion || crc32.ChecksumIEEE(b[:syncedLen-4]) != binary.BigEndian.Uint32(b[syncedLen-4:]) {
		return logEnd{}, false
	}
	return logEnd{wal.NumWAL(binary.BigEndian.Uint64(b[1:])), int64(binary.BigEndian.Uint64(b[9:]))}, true //nolint:gosec // as it was written
}

// readSynced returns the store's promise; ok is false if there is none that can
// be read, as in a store that is new.
func readSynced(fs FS, dir string) (end logEnd, ok bool, err error) {
	b, err := readAll(fs, fs.PathJoin(dir, syncedName))
	if errors.Is(err, os.ErrNotExist) {
		return end, false, nil
	}
	if err != nil {
		return end, false, err
	}
	for _, at := range []int{0, syncedSlot} {
		if e, good := decodeLogEnd(b[min(at, len(b)):]); good && (!ok || end.before(e)) {
			end, ok = e, true
		}
	}
	return end, ok, nil
}

func readAll(fs FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

// checkLog refuses a store whose newest log is damaged before its synced end.
// Older logs ended cleanly: Pebble itself refuses them if they do not.
func checkLog(fs FS, dir string) error {
	end, ok, err := readSynced(fs, dir)
	if err != nil || !ok {
		return err
	}
	newest, name, err := newestLog(fs, dir)
	if err != nil {
		return err
	}
	switch {
	case newest > end.log:
		return nil
	case newest < end.log || name == "":
		return fmt.Errorf("%w: log %s is gone, of which %d bytes were synced", ErrCorruption, end.log, end.length)
	}
	b, err := readAll(fs, fs.PathJoin(dir, name))
	if err != nil {
		return err
	}
	if bad := firstBadChunk(b, uint32(end.log), end.length); bad >= 0 { //nolint:gosec // chunks hold the low 32 bits
		return fmt.Errorf("%w: log %s is damaged at byte %d, and its first %d bytes were synced", ErrCorruption, name, bad, end.length)
	}
	return nil
}

// logSizes returns how large the logs of the store in dir are, in their order; one
// of nothing if there are none.
func logSizes(fs FS, dir string) ([]int64, error) {
	names, err := fs.List(dir)
	if errors.Is(err, os.ErrNotExist) {
		return []int64{0}, nil
	}
	if err != nil {
		return nil, err
	}
	sizes := map[wal.NumWAL]int64{}
	for _, n := range names {
		num, _, isLog := wal.ParseLogFilename(n)
		if !isLog {
			continue
		}
		info, err := fs.Stat(fs.PathJoin(dir, n))
		if err != nil {
			return nil, err
		}
		sizes[num] += info.Size()
	}
	out := []int64{0}
	for _, num := range slices.Sorted(maps.Keys(sizes)) {
		out = append(out, sizes[num])
	}
	return out, nil
}

// newestLog returns the log that the store in dir ends with, and its file.
func newestLog(fs FS, dir string) (newest wal.NumWAL, name string, err error) {
	names, err := fs.List(dir)
	for _, n := range names {
		if num, _, isLog := wal.ParseLogFilename(n); isLog && num >= newest {
			newest, name = num, n
		}
	}
	return newest, name, err
}

// syncedFS is the file system under Pebble, which keeps the promise up to date, and
// ends the store when its log fails (see failed.go).
type syncedFS struct {
	FS
	// always syncs the promise with each log, for file systems in memory.
	always bool
	// tell is told once that the log failed, ahead of whoever waits for it.
	tell    func(error)
	failure atomic.Pointer[error]

	mu struct {
		sync.Mutex
		file  vfs.File
		end   logEnd
		slot  int64
		dirty bool
	}
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// openSynced opens the promise of the store in dir, creating both.
func openSynced(fs FS, dir string, always bool, tell func(error)) (*syncedFS, error) {
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	end, _, err := readSynced(fs, dir)
	if err != nil {
		return nil, err
	}
	f, err := fs.OpenReadWrite(fs.PathJoin(dir, syncedName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	s := &syncedFS{FS: fs, always: always, tell: tell}
	s.mu.file, s.mu.end = f, end
	// Both copies are written now, so that later writes need no room on the disk.
	b := make([]byte, syncedSize)
	copy(b, end.encode())
	copy(b[syncedSlot:], end.encode())
	_, err = f.WriteAt(b, 0)
	if err = errors.Join(err, f.Sync()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	if !always {
		s.done.Go(func() { s.run(ctx) })
	}
	return s, nil
}

// run syncs the promise now and then. It fails silently: the promise stays older
// than it might be, and the log on the same disk will fail aloud.
func (s *syncedFS) run(ctx context.Context) {
	tick := time.NewTicker(syncedEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.mu.Lock()
		dirty := s.mu.dirty
		s.mu.dirty = false
		s.mu.Unlock()
		if dirty {
			_ = s.mu.file.SyncData()
		}
	}
}

func (s *syncedFS) close() error {
	s.cancel()
	s.done.Wait()
	return errors.Join(s.mu.file.Sync(), s.mu.file.Close())
}

// promise says that the log is synced up to end.
func (s *syncedFS) promise(end logEnd) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.mu.end.before(end) {
		return nil
	}
	if _, err := s.mu.file.WriteAt(end.encode(), s.mu.slot); err != nil {
		return fmt.Errorf("note the synced length of the log: %w", err)
	}
	s.mu.end, s.mu.slot, s.mu.dirty = end, syncedSlot-s.mu.slot, true
	if s.always {
		return s.mu.file.Sync()
	}
	return nil
}

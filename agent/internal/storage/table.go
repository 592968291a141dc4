package storage

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

type sequence struct{ n atomic.Uint64 }

// TableWriter makes one table outside the engine, to be ingested. Keys must be
// set in rising order. A range deletion covers what the engine holds already,
// never the table's own keys.
type TableWriter struct {
	w    *sstable.Writer
	fs   vfs.FS
	path string
}

// NewTable begins a table in the incoming directory.
func (e *Engine) NewTable() (*TableWriter, error) {
	path := e.fs.PathJoin(e.incoming, fmt.Sprintf("%08d.sst", e.seq.n.Add(1)))
	f, err := e.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("create table: %w", mark(err))
	}
	return &TableWriter{w: sstable.NewWriter(objstorageprovider.NewFileWritable(f), e.tables), fs: e.fs, path: path}, nil
}

// Set adds key.
func (t *TableWriter) Set(key, value []byte) error { return mark(t.w.Set(key, value)) }

// DeleteRange adds a range deletion.
func (t *TableWriter) DeleteRange(start, end []byte) error { return mark(t.w.DeleteRange(start, end)) }

// Size returns an estimate of the table's size in bytes.
func (t *TableWriter) Size() uint64 { return t.w.Raw().EstimatedSize() }

// Finish completes and syncs the table and returns its path.
func (t *TableWriter) Finish() (path string, err error) {
	defer recoverFatal(&err)
	if err := t.w.Close(); err != nil {
		return "", fmt.Errorf("finish table: %w", mark(err))
	}
	return t.path, nil
}

// Abort drops the table.
func (t *TableWriter) Abort() error {
	return errors.Join(t.w.Close(), t.fs.Remove(t.path))
}

// RemoveTables drops finished tables that were not ingested.
func (e *Engine) RemoveTables(paths []string) error {
	var errs []error
	for _, p := range paths {
		errs = append(errs, mark(e.fs.Remove(p)))
	}
	return errors.Join(errs...)
}

package datastate

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Get returns the newest version of row at or before ts; ok is false if there is
// none or it is a tombstone. value is a copy.
func Get(r storage.Reader, row []byte, ts hlc.Timestamp) (value []byte, at hlc.Timestamp, ok bool, err error) {
	v, err := Read(r, row, ts)
	return v.Value, v.TS, v.Live, err
}

// Read returns the newest version of row at or before ts, tombstones included; the
// zero value, if there is none. Its value is a copy.
func Read(r storage.Reader, row []byte, ts hlc.Timestamp) (v Version, err error) {
	rows := storage.NewRows(r)
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	return readFrom(rows, row, ts)
}

// readFrom is Read in a view that others share.
func readFrom(rows *storage.Rows, row []byte, ts hlc.Timestamp) (v Version, err error) {
	it, ok, err := rows.SeekGE(keys.Version(row, ts))
	if err != nil {
		return v, fmt.Errorf("read row: %w", err)
	}
	if !ok {
		return v, nil
	}
	_, at, err := keys.DecodeVersion(it.Key())
	if err != nil {
		return v, err
	}
	stored := it.Value() // once: another call may take the bytes back
	if v, err = decodeVersion(stored); err != nil {
		return v, err
	}
	v.TS, v.size = at, int64(len(it.Key())+len(stored))
	if v.Live {
		v.Value = append([]byte{}, v.Value...)
	} else {
		v.Value = nil
	}
	return v, nil
}

// ScanOptions bounds a Scan.
type ScanOptions struct {
	// Limit is the most rows to emit; 0 is no limit.
	Limit int64
	// MaxBytes ends the scan after about so many bytes of rows and values; 0 is no limit.
	MaxBytes int64
	// Reverse scans from the end of the span.
	Reverse bool
	// Resume is what an earlier Scan of the same span returned.
	Resume []byte
}

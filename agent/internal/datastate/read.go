package datastate

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// A stored version is: format, flags, value.
const (
	versionFormat byte = 1
	flagTombstone byte = 1
	versionHeader      = 2
)

func encodeVersion(op *Op) []byte {
	v := append(make([]byte, 0, versionHeader+len(op.Value)), versionFormat, 0)
	if op.Kind == Delete {
		v[1] = flagTombstone
		return v
	}
	return append(v, op.Value...)
}

// decodeVersion splits a stored version; value aliases v.
func decodeVersion(v []byte) (value []byte, tombstone bool, err error) {
	if len(v) < versionHeader {
		return nil, false, fmt.Errorf("%w: stored row version", storage.ErrCorruption)
	}
	if v[0] != versionFormat || v[1] > flagTombstone {
		return nil, false, gate.Newer("stored row version of format %d with flags %#x", v[0], v[1])
	}
	return v[versionHeader:], v[1] == flagTombstone, nil
}

// version is one version of a row; the zero value: there is none.
type version struct {
	ts    hlc.Timestamp
	value []byte // a copy
	live  bool   // it is no tombstone
	size  int64  // of key and stored value
}

// Get returns the newest version of row at or before ts; ok is false if there is
// none or it is a tombstone. value is a copy.
func Get(r storage.Reader, row []byte, ts hlc.Timestamp) (value []byte, at hlc.Timestamp, ok bool, err error) {
	v, err := get(r, row, ts)
	return v.value, v.ts, v.live, err
}

func get(r storage.Reader, row []byte, ts hlc.Timestamp) (v version, err error) {
	it, err := r.NewRowIter()
	if err != nil {
		return v, fmt.Errorf("read row: %w", err)
	}
	defer func() {
		if e := it.Close(); err == nil {
			err = e
		}
	}()
	if !it.SeekRowGE(keys.Version(row, ts)) {
		return v, nil // the iterator's error comes with Close
	}
	if _, v.ts, err = keys.DecodeVersion(it.Key()); err != nil {
		return v, err
	}
	value, tombstone, err := decodeVersion(it.Value())
	if err != nil {
		return v, err
	}
	v.size = int64(len(it.Key()) + len(it.Value()))
	if v.live = !tombstone; v.live {
		v.value = append([]byte{}, value...)
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

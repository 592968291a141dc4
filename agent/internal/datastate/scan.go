package datastate

import (
	"bytes"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Scan calls fn for each row of span that has a value at ts, in key order or
// its reverse, until fn returns false or a limit of opts is reached. row and
// value are valid during the call only. resume is nil if the whole span was
// scanned, else where to go on: ScanOptions.Resume of the next call.
func Scan(r storage.Reader, span keys.Span, ts hlc.Timestamp, opts ScanOptions, fn func(row, value []byte, version hlc.Timestamp) bool) (resume []byte, err error) {
	s := Scanner{Reader: r}
	resume, err = s.Scan(span, ts, opts, fn)
	if e := s.Close(); err == nil {
		err = e
	}
	return resume, err
}

// Scanner scans one span after another by one iterator: to make one costs as much as to read
// dozens of rows. It must be closed before its Reader.
type Scanner struct {
	Reader storage.Reader
	it     *storage.Iterator
}

// Scan is the function of the same name.
func (sc *Scanner) Scan(span keys.Span, ts hlc.Timestamp, opts ScanOptions, fn func(row, value []byte, version hlc.Timestamp) bool) (resume []byte, err error) {
	start, end := span.Start, span.End
	if opts.Resume != nil && opts.Reverse {
		end = opts.Resume
	} else if opts.Resume != nil {
		start = opts.Resume
	}
	if bytes.Compare(start, end) >= 0 {
		return nil, nil
	}
	if sc.it != nil {
		sc.it.SetBounds(start, end)
	} else if sc.it, err = sc.Reader.NewIter(start, end); err != nil {
		sc.it = nil
		return nil, fmt.Errorf("scan rows: %w", err)
	}
	s := &scan{it: sc.it, ts: ts, opts: opts, fn: fn}
	if opts.Reverse {
		err = s.reverse()
	} else {
		err = s.forward()
	}
	return s.resume, err
}

// Close ends the iterator. The Scanner may be used again.
func (sc *Scanner) Close() error {
	if sc.it == nil {
		return nil
	}
	err := sc.it.Close()
	sc.it = nil
	return err
}

type scan struct {
	it   *storage.Iterator
	ts   hlc.Timestamp
	opts ScanOptions
	fn   func(row, value []byte, version hlc.Timestamp) bool

	row    []byte // the row met last, copied: the iterator's key does not last
	rows   int64
	bytes  int64
	resume []byte
}

// emit passes one row on; more is false when the scan ends here. The scan goes
// on after row, or before it when reversed.
func (s *scan) emit(row, value []byte, version hlc.Timestamp) (more bool) {
	more = s.fn(row, value, version)
	s.rows++
	s.bytes += int64(len(row) + len(value))
	if more && (s.opts.Limit == 0 || s.rows < s.opts.Limit) && (s.opts.MaxBytes == 0 || s.bytes < s.opts.MaxBytes) {
		return true
	}
	if s.opts.Reverse {
		// Every version of row sorts at or after row itself, which no version equals.
		s.resume = bytes.Clone(row)
	} else {
		s.resume = keys.RowEnd(row)
	}
	return false
}

// forward visits rows in order. Versions of a row are newest first, so the first
// one at or before ts is the one to show; the rest of the row is skipped.
func (s *scan) forward() error {
	valid := s.it.First()
	for valid {
		row, version, err := keys.DecodeVersion(s.it.Key())
		if err != nil {
			return err
		}
		if version > s.ts {
			valid = s.it.SeekGE(keys.Version(row, s.ts))
			continue
		}
		v, err := decodeVersion(s.it.Value())
		if err != nil {
			return err
		}
		if v.Live && !s.emit(row, v.Value, version) {
			return nil
		}
		valid = s.it.NextRow()
	}
	return s.it.Err()
}

// reverse visits rows from the end. Going backward meets a row's oldest version
// first, so the last one met that is at or before ts is the one to show.
func (s *scan) reverse() error {
	valid := s.it.Last()
	for valid {
		row, version, err := keys.DecodeVersion(s.it.Key())
		if err != nil {
			return err
		}
		if version > s.ts {
			// Even the oldest version of this row is too new.
			s.row = append(s.row[:0], row...)
			valid = s.it.SeekLT(s.row)
			continue
		}
		s.row = append(s.row[:0], row...)
		if valid, err = s.newestOf(); err != nil || s.resume != nil {
			return err
		}
	}
	return s.it.Err()
}

// newestOf shows the newest version of s.row at or before ts, of which the
// iterator stands at an older one or at it, and moves before the row.
func (s *scan) newestOf() (valid bool, err error) {
	if !s.it.SeekGE(keys.Version(s.row, s.ts)) {
		return false, s.it.Err()
	}
	_, version, err := keys.DecodeVersion(s.it.Key())
	if err != nil {
		return false, err
	}
	v, err := decodeVersion(s.it.Value())
	if err != nil {
		return false, err
	}
	if v.Live && !s.emit(s.row, v.Value, version) {
		return false, nil
	}
	return s.it.SeekLT(s.row), nil
}

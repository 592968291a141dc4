package datastate

import (
	"bytes"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Pace is told how many bytes a long reader has read since the last call, and
// returns when it may go on, or an error that ends the reading. Nil: at once.
type Pace func(bytes int64) error

// paceBytes is how much is read between two calls of a Pace: small beside what a
// disk reads in the time that a command may wait for it.
const paceBytes = 256 << 10

// versions calls fn for each stored version of span's rows, the newest of a row
// first, with what it takes: key and value. fn must keep neither.
func versions(r storage.Reader, span keys.Span, pace Pace, fn func(row, value []byte, newest bool, size int64) error) (err error) {
	it, err := r.NewIter(span.Start, span.End)
	if err != nil {
		return err
	}
	defer func() {
		if e := it.Close(); err == nil {
			err = e
		}
	}()
	var last []byte
	read := int64(0)
	for ok := it.First(); ok; ok = it.Next() {
		n := keys.Split(it.Key())
		if n == len(it.Key()) {
			return fmt.Errorf("%w: % x is no row version", storage.ErrCorruption, it.Key())
		}
		row, size := it.Key()[:n], int64(len(it.Key())+len(it.Value()))
		newest := !bytes.Equal(row, last)
		if newest {
			last = append(last[:0], row...)
		}
		if err := fn(row, it.Value(), newest, size); err != nil {
			return err
		}
		if read += size; read >= paceBytes && pace != nil {
			if err := pace(read); err != nil {
				return err
			}
			read = 0
		}
	}
	return nil
}

// middleMarks is how many rows Middle remembers at most, of equal distances in
// bytes: it misses the middle by less than a hundredth.
const middleMarks = 512

// Middle returns the row that halves the bytes of span as well as a row can, as
// the first row of the right half: nil, if there are not two rows. It reads all of
// span, so it must not run where anything waits for it.
func Middle(r storage.Reader, span keys.Span, pace Pace) ([]byte, error) {
	type mark struct {
		row    []byte
		before int64 // bytes of the rows before it
	}
	var marks []mark
	total, next, stride, first := int64(0), int64(0), int64(1), true
	err := versions(r, span, pace, func(row, _ []byte, newest bool, size int64) error {
		if newest && !first && total >= next {
			marks, next = append(marks, mark{bytes.Clone(row), total}), total+stride
		}
		first = false
		total += size
		if len(marks) < 2*middleMarks {
			return nil
		}
		for i := range middleMarks {
			marks[i] = marks[2*i]
		}
		marks, stride = marks[:middleMarks], max(2*stride, total/middleMarks)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find the middle: %w", err)
	}
	var best []byte
	off := total
	for _, m := range marks {
		if diff := max(2*m.before-total, total-2*m.before); diff < off {
			best, off = m.row, diff
		}
	}
	return best, nil
}

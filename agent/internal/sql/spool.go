package sql

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

const (
	// spoolMemory is how much of a spool is held in memory, at most.
	spoolMemory = 1 << 20
	// maxSpoolBytes bounds the file of a spool.
	maxSpoolBytes = 10 << 30
	// spoolMark is how many rows lie between two places that a spool knows.
	spoolMark = 256
	// spoolWindow is how much of the file is read at once.
	spoolWindow = 64 << 10
	// spoolFrame is what stands around a row: its length, before and behind it.
	spoolFrame = 4
)

// spool keeps rows in the order in which they came: the last in memory, what is before
// them in a file that has no name, so that nothing is left of it when the process ends.
type spool struct {
	dir    string // for the file; "": the system's
	memory *budget.Account

	count int64
	marks []int64 // where each spoolMark-th row begins
	file  *os.File
	filed int64  // bytes in the file
	tail  []byte // what is behind them

	// row is what was read last, and begins at offset.
	row, offset int64
	window      []byte // of the file, from windowAt
	windowAt    int64
	read        []datum.Datum
}

// add appends a row.
func (s *spool) add(row []datum.Datum) error {
	if s.count%spoolMark == 0 {
		s.marks = append(s.marks, s.filed+int64(len(s.tail)))
	}
	was := len(s.tail)
	s.tail = append(s.tail, 0, 0, 0, 0)
	for i := range row {
		s.tail = datum.AppendExact(s.tail, &row[i])
	}
	n := len(s.tail) - was - spoolFrame
	binary.BigEndian.PutUint32(s.tail[was:], uint32(n))
	s.tail = binary.BigEndian.AppendUint32(s.tail, uint32(n))
	s.count++
	grown := int64(len(s.tail) - was)
	if err := s.memory.Grow(grown); err != nil {
		return s.spill(int64(was))
	}
	if len(s.tail) >= spoolMemory {
		return s.spill(int64(len(s.tail)))
	}
	return nil
}

// spill writes the tail to the file; counted is how much of it the account knows of.
func (s *spool) spill(counted int64) error {
	if s.filed+int64(len(s.tail)) > maxSpoolBytes {
		return &Error{Code: "53400", Message: fmt.Sprintf("temporary file size exceeds temp_file_limit (%dkB)", maxSpoolBytes>>10),
			Hint: "Fetch fewer rows, or declare the cursor NO SCROLL and run nothing else while it is read."}
	}
	if s.file == nil {
		file, err := os.CreateTemp(s.dir, "rows-*")
		if err != nil {
			return fmt.Errorf("make a file for rows: %w", err)
		}
		if err := os.Remove(file.Name()); err != nil {
			_ = file.Close() // nothing was written
			return fmt.Errorf("take the name of a file for rows: %w", err)
		}
		s.file = file
	}
	if _, err := s.file.WriteAt(s.tail, s.filed); err != nil {
		return fmt.Errorf("write rows to a file: %w", err)
	}
	s.filed += int64(len(s.tail))
	s.tail = nil
	s.memory.Shrink(counted)
	return nil
}

// at reads row i, from 0. The slice is used again.
func (s *spool) at(i int64) ([]datum.Datum, error) {
	if err := s.seek(i); err != nil {
		return nil, err
	}
	head, err := s.bytes(s.offset, spoolFrame)
	if err != nil {
		return nil, err
	}
	b, err := s.bytes(s.offset+spoolFrame, int64(binary.BigEndian.Uint32(head)))
	if err != nil {
		return nil, err
	}
	s.read = slices.Grow(s.read[:0], 1) // never nil
	for len(b) > 0 {
		var d datum.Datum
		if d, b, err = datum.TakeExact(b); err != nil {
			return nil, fmt.Errorf("read row %d of a cursor: %w", i, err)
		}
		s.read = append(s.read, d)
	}
	return s.read, nil
}

// seek goes to the beginning of row i: step by step from the last one, or from a mark.
func (s *spool) seek(i int64) error {
	if i < s.row-1 || i > s.row+spoolMark {
		s.row = i - i%spoolMark
		s.offset = s.marks[i/spoolMark]
	}
	for s.row < i {
		n, err := s.bytes(s.offset, spoolFrame)
		if err != nil {
			return err
		}
		s.row, s.offset = s.row+1, s.offset+int64(binary.BigEndian.Uint32(n))+2*spoolFrame
	}
	if s.row > i {
		n, err := s.bytes(s.offset-spoolFrame, spoolFrame)
		if err != nil {
			return err
		}
		s.row, s.offset = s.row-1, s.offset-int64(binary.BigEndian.Uint32(n))-2*spoolFrame
	}
	return nil
}

// bytes returns n bytes from an offset, which lie in the file or behind it.
func (s *spool) bytes(offset, n int64) ([]byte, error) {
	if offset >= s.filed {
		return s.tail[offset-s.filed:][:n], nil
	}
	if offset < s.windowAt || offset+n > s.windowAt+int64(len(s.window)) {
		from := offset
		if offset < s.windowAt { // it goes back
			from = max(0, offset+n-spoolWindow)
		}
		size := min(max(offset+n-from, spoolWindow), s.filed-from)
		if int64(cap(s.window)) < size {
			s.window = make([]byte, size)
		}
		s.window, s.windowAt = s.window[:size], from
		if _, err := s.file.ReadAt(s.window, from); err != nil && !errors.Is(err, io.EOF) {
			s.window = s.window[:0]
			return nil, fmt.Errorf("read rows from a file: %w", err)
		}
	}
	return s.window[offset-s.windowAt:][:n], nil
}

// close gives back all that the spool holds.
func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close() // nobody wants it any more
	}
	s.memory.Close()
	*s = spool{}
}

package kv

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
)

// Program computes something of the rows of a scan where they are, so that what comes to
// the gateway is less than the rows. It is used by one goroutine.
type Program interface {
	// Add takes a row, which is valid during the call only.
	Add(key, value []byte) error
	// Full reports whether what has come out should be taken before the next row.
	Full() bool
	// Flush gives what has come out of the rows since the last call, and forgets it.
	Flush(emit func(key, value []byte))
}

// ProgramError says that a node cannot run the program of a scan to its end. The same may
// be computed of the rows.
type ProgramError struct{ Cause error }

func (e *ProgramError) Error() string { return fmt.Sprintf("compute of rows: %v", e.Cause) }

func (e *ProgramError) Unwrap() error { return e.Cause }

// program begins the program of a request; nil: it has none.
func (s *Server) program(req *scanRequest) (Program, error) {
	if len(req.Program) == 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	if s.cfg.Programs == nil {
		return nil, &ProgramError{Cause: errNoPrograms}
	}
	p, err := s.cfg.Programs(req.Program)
	if err != nil {
		return nil, &ProgramError{Cause: err}
	}
	return p, nil
}

// fillProgram has the program take rows, and adds what comes of them to chunk. The bounds of
// a chunk are those of the rows that it comes of.
func (s *rangeScan) fillProgram(chunk *chunkWriter) (more bool, err error) {
	defer s.program.Flush(func(key, value []byte) { chunk.add(key, value, 0) })
	for ; s.vshard < s.end; s.vshard++ {
		left, size := int64(s.req.MaxRows)-int64(chunk.read.rows), int64(s.req.MaxBytes)-int64(chunk.read.bytes)
		if left <= 0 || size <= 0 || s.program.Full() {
			return true, nil
		}
		resume, err := s.run(chunk, s.vshard, datastate.ScanOptions{Limit: left, MaxBytes: size})
		if err != nil {
			return false, err
		}
		if resume {
			return true, nil
		}
	}
	return false, nil
}

// run has the program take rows of one vshard, within bounds.
func (s *rangeScan) run(chunk *chunkWriter, v cluster.VShard, o datastate.ScanOptions) (resume bool, err error) {
	var failed error
	again := s.planted.readsAgain()
	rest, err := s.rows.Scan(s.span(v), s.req.TS, o, func(row, value []byte, _ hlc.Timestamp) bool {
		key := keys.Primary(row)
		if failed = s.program.Add(key, value); failed != nil {
			return false
		}
		chunk.read.note(key, value)
		if !again || chunk.read.rows == 1 {
			s.passed(v, key)
		}
		return !s.program.Full()
	})
	if failed != nil {
		return false, &ProgramError{Cause: failed}
	}
	return rest != nil, err
}

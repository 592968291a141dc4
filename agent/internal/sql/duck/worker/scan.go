package worker

import (
	"errors"
	"fmt"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

const (
	// scanCredits is how many batches of a scan the agent may send ahead.
	scanCredits = 8
	// creditStep is how many consumed batches are acknowledged at once.
	creditStep = 4
)

var errScanGone = errors.New("the scan was ended")

// scan is the global state of one nscan while its pipeline runs. DuckDB's threads
// share it: each takes the next batch.
type scan struct {
	run     *run
	id      uint32
	project []int
	types   []frame.Type
	rows    chan *frame.Batch // closed after the last batch or a failure

	mu      sync.Mutex
	err     error
	unacked uint32
	ended   bool // rows is closed
}

// next waits for a batch; nil means that there are no more.
func (s *scan) next() (*frame.Batch, error) {
	for {
		b, ok := <-s.rows
		if !ok {
			s.mu.Lock()
			defer s.mu.Unlock()
			return nil, s.err
		}
		if err := s.acknowledge(); err != nil {
			return nil, err
		}
		if b.Rows() > 0 {
			return b, nil
		}
	}
}

func (s *scan) acknowledge() error {
	s.mu.Lock()
	s.unacked++
	n := s.unacked
	if n < creditStep || s.ended {
		s.mu.Unlock()
		return nil
	}
	s.unacked = 0
	s.mu.Unlock()
	return s.run.say(frame.ScanCredit, frame.EncodeNumbers(s.id, n))
}

// deliver hands over a batch from the lane.
func (s *scan) deliver(b *frame.Batch, last bool) error {
	if len(b.Columns) != len(s.types) {
		return fmt.Errorf("scan %d: %d columns, want %d", s.id, len(b.Columns), len(s.types))
	}
	for i, t := range s.types {
		if b.Columns[i].Type != t {
			return fmt.Errorf("scan %d: column %d is %v, want %v", s.id, i, b.Columns[i].Type, t)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil
	}
	select {
	case s.rows <- b:
	default:
		return fmt.Errorf("scan %d: more batches than credits", s.id)
	}
	if last {
		s.endLocked(nil)
	}
	return nil
}

// end closes the queue; what was delivered before can still be taken.
func (s *scan) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(err)
}

func (s *scan) endLocked(err error) {
	if s.ended {
		return
	}
	s.ended, s.err = true, err
	close(s.rows)
}

// close is called when DuckDB frees the state.
func (s *scan) close() { s.run.closeScan(s) }

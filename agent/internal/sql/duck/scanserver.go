package duck

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/rewrite"
)

// maxCredits bounds what the worker may grant; it grants 8.
const maxCredits = 64

// scanServer answers the scans of one execution, each in a goroutine of its own.
type scanServer struct {
	source Source
	turn   *turn
	specs  []ScanSpec // by slot, without Columns
	types  [][]frame.Type
	ctx    context.Context //nolint:containedctx // of the execution; scans are begun by messages
	cancel context.CancelFunc
	failed chan struct{} // closed at the first failure
	wg     sync.WaitGroup

	mu    sync.Mutex
	scans map[uint32]*servedScan
	first error
}

type servedScan struct {
	credits chan struct{}
	cancel  context.CancelFunc
}

func newScanServer(ctx context.Context, source Source, specs []ScanSpec, types [][]frame.Type) *scanServer {
	s := &scanServer{source: source, specs: specs, types: types, failed: make(chan struct{}), scans: map[uint32]*servedScan{}}
	s.ctx, s.cancel = context.WithCancel(ctx)
	return s
}

// stop ends all scans and waits for them.
func (s *scanServer) stop() {
	s.cancel()
	s.wg.Wait()
}

// quiesce waits until nothing is sent on the lane any more. The statement has ended:
// its scans are over or not wanted.
func (s *scanServer) quiesce() {
	s.mu.Lock()
	for _, scan := range s.scans {
		scan.cancel()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *scanServer) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first
}

func (s *scanServer) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == nil {
		s.first = err
		close(s.failed)
	}
}

// handle takes a message about a scan. It does not block.
func (s *scanServer) handle(lane *frame.Conn, tag frame.Tag, payload []byte) error {
	switch tag {
	case frame.ScanOpen:
		o, err := frame.DecodeOpened(payload)
		if err != nil {
			return err
		}
		return s.open(lane, o)
	case frame.ScanCredit:
		var id, n uint32
		if err := frame.DecodeNumbers(payload, &id, &n); err != nil {
			return err
		}
		if scan := s.scan(id); scan != nil {
			return scan.grant(n)
		}
	case frame.ScanClose:
		var id uint32
		if err := frame.DecodeNumbers(payload, &id); err != nil {
			return err
		}
		if scan := s.scan(id); scan != nil {
			scan.cancel()
		}
	default:
	}
	return nil
}

func (s *scanServer) scan(id uint32) *servedScan {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scans[id]
}

func (c *servedScan) grant(n uint32) error {
	for range n {
		select {
		case c.credits <- struct{}{}:
		default:
			return fmt.Errorf("more than %d credits", maxCredits)
		}
	}
	return nil
}

func (s *scanServer) open(lane *frame.Conn, o *frame.Opened) error {
	if int(o.Slot) >= len(s.specs) {
		return fmt.Errorf("no slot %d", o.Slot)
	}
	spec := s.specs[o.Slot]
	types := make([]frame.Type, len(o.Columns))
	spec.Columns = make([]int, len(o.Columns))
	for i, c := range o.Columns {
		if int(c) >= len(s.types[o.Slot]) {
			return fmt.Errorf("no column %d of slot %d", c, o.Slot)
		}
		types[i], spec.Columns[i] = s.types[o.Slot][c], spec.visible[c]
	}
	ctx, cancel := context.WithCancel(s.ctx)
	scan := &servedScan{credits: make(chan struct{}, maxCredits), cancel: cancel}
	if err := scan.grant(o.Credits); err != nil {
		cancel()
		return err
	}
	s.mu.Lock()
	s.scans[o.Scan] = scan
	s.mu.Unlock()
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		defer cancel()
		err := s.serve(ctx, scan, spec, func(b *frame.Batch, buf []byte, last bool) ([]byte, error) {
			buf = frame.EncodeScanRows(buf[:0], o.Scan, last, b)
			return buf, lane.Send(frame.ScanRows, buf)
		}, types)
		s.mu.Lock()
		delete(s.scans, o.Scan)
		s.mu.Unlock()
		if err == nil || ctx.Err() != nil {
			return
		}
		s.fail(err)
		_ = lane.Send(frame.ScanFailed, frame.EncodeScanFailed(o.Scan, "a scan failed")) // a broken lane ends the statement by itself
	}()
	return nil
}

type sendRows func(b *frame.Batch, buf []byte, last bool) ([]byte, error)

// serve reads one scan to its end, at the pace of the credits.
func (s *scanServer) serve(ctx context.Context, c *servedScan, spec ScanSpec, send sendRows, types []frame.Type) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic in a scan of %s: %v\n%s", spec.Table.Name, r, debug.Stack())
		}
	}()
	source := s.source
	if _, ok := spec.Table.Ref.(rewrite.Sleep); ok {
		source = sleeper{}
	}
	var scan Scan
	err = s.turn.during(ctx, func() (err error) {
		scan, err = source.Scan(ctx, spec)
		return err
	})
	if scan != nil {
		defer scan.Close()
	}
	if err != nil {
		return fmt.Errorf("scan %s: %w", spec.Table.Name, err)
	}
	batch := &Batch{frame: frame.NewBatch(types)}
	var buf []byte
	for {
		select {
		case <-c.credits:
		case <-ctx.Done():
			return ctx.Err()
		}
		batch.frame.Reset()
		done := false
		err := s.turn.during(ctx, func() (err error) {
			done, err = scan.Fill(ctx, batch)
			return err
		})
		if err != nil {
			return fmt.Errorf("scan %s: %w", spec.Table.Name, err)
		}
		if batch.frame.Rows() == 0 && !done {
			c.credits <- struct{}{} // cannot block: this goroutine took one
			continue
		}
		if buf, err = send(batch.frame, buf, done); err != nil {
			return errLost()
		}
		if done {
			return nil
		}
	}
}

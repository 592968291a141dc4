package worker

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	bind "github.com/duckdb/duckdb-go-bindings"

	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// interruptEvery repeats an interrupt until the statement has ended: DuckDB forgets
// one that arrives before the statement began.
const interruptEvery = 20 * time.Millisecond

// run is one statement on its own connection.
type run struct {
	engine    *engine
	lane      *lane
	statement *frame.Statement
	conn      bind.Connection
	cancel    <-chan struct{}
	cancelled atomic.Bool
	done      chan struct{}

	mu    sync.Mutex
	scans map[uint32]*scan
	next  uint32

	// said keeps what scans say apart from the end: DuckDB's threads may let go of one when
	// the statement is over, and the lane is another's by then.
	said struct {
		sync.Mutex
		over bool
	}
}

// say sends what a scan says, unless the statement is over.
func (r *run) say(tag frame.Tag, payload []byte) error {
	r.said.Lock()
	defer r.said.Unlock()
	if r.said.over {
		return errScanGone
	}
	return r.lane.conn.Send(tag, payload)
}

// start describes or executes the statement; its last message is Done or Failed.
func (r *run) start() {
	_ = r.lane.conn.Send(frame.Begun, nil) // a broken lane ends in its reader
	err := r.perform()
	r.endScans(errScanGone)
	r.said.Lock()
	r.said.over = true
	r.said.Unlock()
	close(r.done)
	if err == nil {
		_ = r.lane.conn.Send(frame.Done, nil)
		return
	}
	f := &frame.Failure{Class: uint32(bind.ErrorTypeInvalid), Message: err.Error()}
	var d *failure
	if errors.As(err, &d) {
		f.Class = uint32(d.class)
	}
	_ = r.lane.conn.Send(frame.Failed, f.Encode())
	if f.Class == uint32(bind.ErrorTypeFatal) || f.Class == uint32(bind.ErrorTypeInternal) {
		r.engine.fatal(f.Message)
	}
}

func (r *run) perform() error {
	var err error
	if r.conn, err = r.engine.connect(); err != nil {
		return err
	}
	defer bind.Disconnect(&r.conn)
	id := connectionID(r.conn)
	r.engine.runs.Store(id, r)
	defer r.engine.runs.Delete(id)
	stopped := make(chan struct{})
	var watch sync.WaitGroup
	watch.Add(1)
	go func() { defer watch.Done(); r.watch(stopped) }()
	defer watch.Wait()
	defer close(stopped)
	if tz := r.statement.TimeZone; tz != "" {
		if err := exec(r.conn, "SET TimeZone="+quote(tz)); err != nil {
			return err
		}
	}
	var stmt bind.PreparedStatement
	defer bind.DestroyPrepare(&stmt)
	if bind.Prepare(r.conn, r.statement.SQL, &stmt) == bind.StateError {
		return prepareFailure(bind.PrepareError(stmt))
	}
	if r.statement.Args == nil {
		return r.describe(stmt)
	}
	if err := r.bindArgs(stmt); err != nil {
		return err
	}
	return r.execute(stmt)
}

// watch interrupts the connection once the statement is cancelled.
func (r *run) watch(stopped <-chan struct{}) {
	select {
	case <-stopped:
		return
	case <-r.cancel:
	}
	r.cancelled.Store(true)
	r.endScans(errScanGone)
	tick := time.NewTicker(interruptEvery)
	defer tick.Stop()
	for {
		bind.Interrupt(r.conn)
		select {
		case <-stopped:
			return
		case <-tick.C:
		}
	}
}

// prepareFailure finds the class of an error of which DuckDB gives only the text.
func prepareFailure(message string) error {
	f := &failure{bind.ErrorTypeInvalid, message}
	for prefix, class := range map[string]bind.ErrorType{
		"Binder Error": bind.ErrorTypeBinder, "Catalog Error": bind.ErrorTypeCatalog, "Parser Error": bind.ErrorTypeParser,
		"Conversion Error": bind.ErrorTypeConversion, "Out of Range Error": bind.ErrorTypeOutOfRange,
		"Out of Memory Error": bind.ErrorTypeOutOfMemory, "FATAL Error": bind.ErrorTypeFatal,
		"INTERNAL Error":        bind.ErrorTypeNotImplemented, // its planner met a form that it cannot plan: nothing has run
		"Not implemented Error": bind.ErrorTypeNotImplemented, "Invalid Input Error": bind.ErrorTypeInvalidInput,
		"INTERRUPT Error": bind.ErrorTypeInterrupt, "Mismatch Type Error": bind.ErrorTypeMismatchType,
	} {
		if strings.HasPrefix(message, prefix) {
			f.class = class
		}
	}
	return f
}

func (r *run) bindArgs(stmt bind.PreparedStatement) error {
	args, err := frame.DecodeBatch(r.statement.Args)
	if err != nil {
		return fmt.Errorf("decode arguments: %w", err)
	}
	if args.Rows() != 1 && len(args.Columns) > 0 {
		return fmt.Errorf("%d rows of arguments", args.Rows())
	}
	for i := range args.Columns {
		var at bind.IdxT
		if bind.BindParameterIndex(stmt, &at, strconv.Itoa(i+1)) == bind.StateError {
			continue // the statement lost its use of the parameter in the rewrite
		}
		v := value(&args.Columns[i])
		state := bind.BindValue(stmt, at, v)
		bind.DestroyValue(&v)
		if state == bind.StateError {
			return fmt.Errorf("bind parameter %d", i+1)
		}
	}
	return nil
}

func (r *run) execute(stmt bind.PreparedStatement) error {
	if r.cancelled.Load() {
		return &failure{bind.ErrorTypeInterrupt, "interrupted"}
	}
	var pending bind.PendingResult
	if bind.PendingPreparedStreaming(stmt, &pending) == bind.StateError {
		f := prepareFailure(bind.PendingError(pending))
		bind.DestroyPending(&pending)
		return f
	}
	var res bind.Result
	state := bind.ExecutePending(pending, &res)
	bind.DestroyPending(&pending)
	defer bind.DestroyResult(&res)
	if state == bind.StateError {
		return &failure{bind.ResultErrorType(&res), bind.ResultError(&res)}
	}
	out, err := newResult(&res)
	if err != nil {
		return err
	}
	for {
		chunk := bind.FetchChunk(res)
		if chunk.Ptr == nil {
			if m := bind.ResultError(&res); m != "" {
				return &failure{bind.ResultErrorType(&res), m}
			}
			return nil
		}
		err := out.send(chunk, r.lane.conn)
		bind.DestroyDataChunk(&chunk)
		if err != nil {
			return err
		}
	}
}

func (r *run) openScan(s *scan, slot int, columns []uint32) error {
	s.rows = make(chan *frame.Batch, scanCredits+creditStep)
	r.mu.Lock()
	if r.cancelled.Load() {
		r.mu.Unlock()
		return errScanGone
	}
	s.id = r.next
	r.next++
	r.scans[s.id] = s
	r.mu.Unlock()
	o := frame.Opened{Scan: s.id, Slot: uint32(slot), Credits: scanCredits, Columns: columns}
	return r.say(frame.ScanOpen, o.Encode())
}

func (r *run) closeScan(s *scan) {
	r.mu.Lock()
	_, open := r.scans[s.id]
	delete(r.scans, s.id)
	r.mu.Unlock()
	s.end(errScanGone)
	if open {
		_ = r.say(frame.ScanClose, frame.EncodeNumbers(s.id))
	}
}

func (r *run) scan(id uint32) *scan {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.scans[id]
}

func (r *run) endScans(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.scans {
		s.end(err)
	}
}

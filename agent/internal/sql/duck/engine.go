package duck

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"
)

// Config says how the worker runs.
type Config struct {
	// Threads of DuckDB; 0: as many as cores.
	Threads int
	// Concurrency is how many statements the worker computes at once; 0: as many as
	// cores. More threads than cores only make every statement slower.
	Concurrency int
	// MemoryBytes is DuckDB's limit, above which it spills; 0: 1 GiB. A process that
	// takes half as much again is ended and started anew.
	MemoryBytes int64
	// SpillDir is a directory of the worker alone. It is made if it is not there,
	// and emptied.
	SpillDir string
	// SpillBytes is how much of its disk statements may take together; 0: 8 GiB. One that
	// needs more fails with 53200.
	SpillBytes int64
	Logger     *slog.Logger // nil: no log
	// Program is the executable to start; "": this one.
	Program string
}

func (c Config) withDefaults() Config {
	cores := runtime.GOMAXPROCS(0)
	if c.Threads == 0 {
		c.Threads = cores
	}
	if c.Concurrency == 0 {
		c.Concurrency = cores
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = 1 << 30
	}
	if c.SpillBytes == 0 {
		c.SpillBytes = 8 << 30
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Program == "" {
		c.Program = "/proc/self/exe"
	}
	return c
}

// Engine is the Executor that keeps a worker running.
type Engine struct {
	config Config
	gate   chan struct{} // a token per statement that computes
	stop   context.CancelFunc
	ended  chan struct{}
	// killAfter is defaultKillAfter but in tests.
	killAfter time.Duration

	mu struct {
		sync.Mutex
		process  *process      // nil while none serves
		changed  chan struct{} // closed when process changes
		restarts int
		lastErr  error
	}
}

// Open starts the worker and waits until it serves.
func Open(ctx context.Context, c Config) (*Engine, error) {
	c = c.withDefaults()
	if c.SpillDir == "" {
		return nil, errors.New("open sqlworker: no spill directory")
	}
	if err := os.RemoveAll(c.SpillDir); err != nil {
		return nil, fmt.Errorf("empty spill directory: %w", err)
	}
	if err := os.MkdirAll(c.SpillDir, 0o700); err != nil {
		return nil, fmt.Errorf("make spill directory: %w", err)
	}
	run, stop := context.WithCancel(context.Background())
	e := &Engine{config: c, gate: make(chan struct{}, c.Concurrency), stop: stop, ended: make(chan struct{}), killAfter: defaultKillAfter}
	e.mu.changed = make(chan struct{})
	first := make(chan error, 1)
	go e.supervise(run, first)
	select {
	case err := <-first:
		if err != nil {
			e.Close()
			return nil, err
		}
		return e, nil
	case <-ctx.Done():
		e.Close()
		return nil, fmt.Errorf("open sqlworker: %w", ctx.Err())
	}
}

// Close ends the worker and what runs in it.
func (e *Engine) Close() {
	e.stop()
	<-e.ended
}

// Memory returns what the worker takes, 0 while there is none, and what it may take.
func (e *Engine) Memory() (used, limit int64) {
	e.mu.Lock()
	p := e.mu.process
	e.mu.Unlock()
	if p != nil {
		used = residentBytes(p.cmd.Process.Pid)
	}
	return used, e.config.mostMemory()
}

// Status is the worker's condition.
type Status struct {
	PID      int // 0 while none serves
	Restarts int
	LastErr  error // why the last one ended or could not be started
}

// Status returns the worker's condition.
func (e *Engine) Status() Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := Status{Restarts: e.mu.restarts, LastErr: e.mu.lastErr}
	if p := e.mu.process; p != nil {
		s.PID = p.cmd.Process.Pid
	}
	return s
}

// supervise keeps a worker running until ctx ends. first gets the fate of the first
// start; if that fails nothing is tried again.
func (e *Engine) supervise(ctx context.Context, first chan<- error) {
	defer close(e.ended)
	runtime.LockOSThread() // see startProcess; the thread ends with this goroutine
	var b backoff
	for started := false; ctx.Err() == nil; started = true {
		born := time.Now()
		p, err := startProcess(ctx, e.config)
		if !started {
			first <- err
			if err != nil {
				return
			}
		}
		if err == nil {
			e.publish(p)
			err = p.wait()
			e.publish(nil)
		}
		if ctx.Err() != nil {
			return
		}
		e.note(err)
		e.config.Logger.Warn("sqlworker ended, starting another", slog.Any("error", err), slog.Duration("lived", time.Since(born)))
		b.wait(ctx, time.Since(born))
	}
}

func (e *Engine) publish(p *process) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mu.process = p
	close(e.mu.changed)
	e.mu.changed = make(chan struct{})
}

func (e *Engine) note(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mu.restarts++
	e.mu.lastErr = err
}

// waitForWorker bounds how long a statement waits for a worker that is being
// started again.
const waitForWorker = 5 * time.Second

// worker returns the process that serves, waiting for one if need be.
func (e *Engine) worker(ctx context.Context) (*process, error) {
	timer := time.NewTimer(waitForWorker)
	defer timer.Stop()
	for {
		e.mu.Lock()
		p, changed := e.mu.process, e.mu.changed
		e.mu.Unlock()
		if p != nil && !p.ended() {
			return p, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, contextError(ctx)
		case <-e.ended:
			return nil, errStopped()
		case <-timer.C:
			return nil, &Error{Code: "XX000", Message: "the SQL worker process is being restarted", Hint: "Run the statement again.", retry: true}
		}
	}
}

// enter waits for a turn to compute; leave gives it back.
func (e *Engine) enter(ctx context.Context) error {
	select {
	case e.gate <- struct{}{}:
		return nil
	default:
	}
	select {
	case e.gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return contextError(ctx)
	case <-e.ended:
		return errStopped()
	}
}

func (e *Engine) leave() { <-e.gate }

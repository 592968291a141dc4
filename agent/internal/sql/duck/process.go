package duck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// startTimeout is how long a worker may take until it serves (26-40 ms on an idle
// machine).
const startTimeout = 30 * time.Second

// process is one life of the worker.
type process struct {
	cmd     *exec.Cmd
	control *net.UnixConn
	output  *tail
	gone    chan struct{} // closed after the process has ended

	// fat is set when the process is killed for its memory.
	fat atomic.Bool
	// running counts the statements under way; begun, 1 deep, gets a token when one
	// begins and none was.
	running atomic.Int64
	begun   chan struct{}

	mu   sync.Mutex // guards idle, and one message at a time on control
	idle []*frame.Conn
	dead bool
}

// startProcess starts a worker and waits until it serves. The calling goroutine
// must be locked to its thread and outlive the process: the kernel kills the child
// when the thread that started it ends. So does the end of ctx.
func startProcess(ctx context.Context, c Config) (*process, error) {
	ours, theirs, err := socketPair(syscall.SOCK_SEQPACKET)
	if err != nil {
		return nil, err
	}
	p := &process{control: ours, output: &tail{}, gone: make(chan struct{}), begun: make(chan struct{}, 1)}
	p.cmd = exec.CommandContext(ctx, c.Program, frame.Argument)
	p.cmd.Dir = c.SpillDir
	p.cmd.Env = []string{frame.Marker + "=1", "HOME=" + c.SpillDir, "TMPDIR=" + c.SpillDir, "TZ=UTC", "GOTRACEBACK=single"}
	if v, ok := os.LookupEnv("LD_LIBRARY_PATH"); ok {
		p.cmd.Env = append(p.cmd.Env, "LD_LIBRARY_PATH="+v)
	}
	p.cmd.Stderr = p.output
	p.cmd.ExtraFiles = []*os.File{theirs} // becomes frame.ControlFD
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = p.cmd.Start()
	_ = theirs.Close() // so that the child's end is the only one
	if err != nil {
		_ = ours.Close()
		return nil, fmt.Errorf("start sqlworker: %w", err)
	}
	if err := p.greet(c); err != nil {
		p.kill()
		_ = p.wait()
		return nil, fmt.Errorf("start sqlworker: %w: %s", err, p.output)
	}
	go p.watchMemory(c.mostMemory())
	return p, nil
}

const (
	// processBytes is what the worker's program takes without statements.
	processBytes = 128 << 20
	// memoryInterval is how often the worker's memory is looked at while it works.
	memoryInterval = 50 * time.Millisecond
)

// mostMemory is what the process may take.
func (c *Config) mostMemory() int64 { return c.MemoryBytes + c.MemoryBytes/2 + processBytes }

// begin notes that a statement begins; end that it has ended.
func (p *process) begin() {
	if p.running.Add(1) > 1 {
		return
	}
	select {
	case p.begun <- struct{}{}:
	default:
	}
}

func (p *process) end() { p.running.Add(-1) }

// watchMemory kills the process when it takes more than limit, until it has ended:
// DuckDB's own limit does not count results, long values and what its allocator
// keeps. Without a statement it takes no more than it has: nobody looks then.
func (p *process) watchMemory(limit int64) {
	timer := time.NewTimer(memoryInterval)
	defer timer.Stop()
	for {
		select {
		case <-p.gone:
			return
		case <-timer.C:
		}
		if residentBytes(p.cmd.Process.Pid) > limit {
			p.fat.Store(true)
			p.kill()
			return
		}
		if p.running.Load() == 0 {
			select {
			case <-p.gone:
				return
			case <-p.begun:
			}
		}
		timer.Reset(memoryInterval)
	}
}

// residentBytes is 0 if the process has ended.
func residentBytes(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}

// lost says why statements of the process have ended with it.
func (p *process) lost() *Error {
	if p.fat.Load() {
		return errTooMuchMemory()
	}
	return errLost()
}

func (p *process) greet(c Config) error {
	message, err := json.Marshal(frame.Config{Threads: c.Threads, MemoryBytes: c.MemoryBytes, SpillDir: c.SpillDir, SpillBytes: c.SpillBytes})
	if err != nil {
		return err
	}
	if err := p.control.SetDeadline(time.Now().Add(startTimeout)); err != nil {
		return err
	}
	if err := frame.SendControl(p.control, message, nil); err != nil {
		return err
	}
	if _, _, err := frame.ReceiveControl(p.control); err != nil {
		return err
	}
	return p.control.SetDeadline(time.Time{})
}

// wait returns when the process has ended, with what is known of why.
func (p *process) wait() error {
	err := p.cmd.Wait()
	close(p.gone)
	_ = p.control.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
	for _, lane := range p.idle {
		lane.Close()
	}
	p.idle = nil
	if p.fat.Load() {
		return errors.New("it took more memory than it may and was killed")
	}
	if out := p.output.String(); out != "" {
		return fmt.Errorf("%w: %s", errors.Join(err), out)
	}
	return err
}

func (p *process) ended() bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}

func (p *process) kill() { _ = p.cmd.Process.Kill() }

// lane returns an idle lane, or a new one.
func (p *process) lane() (*frame.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		l := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return l, nil
	}
	ours, theirs, err := socketPair(syscall.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	defer func() { _ = theirs.Close() }()
	if err := frame.SendControl(p.control, []byte("lane"), theirs); err != nil {
		_ = ours.Close()
		return nil, fmt.Errorf("open lane: %w", err)
	}
	return frame.NewConn(ours), nil
}

// release takes back a lane whose statement has been answered.
func (p *process) release(l *frame.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead || len(p.idle) >= maxIdleLanes {
		l.Close()
		return
	}
	p.idle = append(p.idle, l)
}

const maxIdleLanes = 16

func socketPair(kind int) (*net.UnixConn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, kind|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "sqlworker")
	file := os.NewFile(uintptr(fds[0]), "sqlworker")
	defer func() { _ = file.Close() }()
	conn, err := net.FileConn(file)
	if err != nil {
		_ = theirs.Close()
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	return conn.(*net.UnixConn), theirs, nil
}

// tail keeps the last of what a worker wrote to standard error.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailBytes = 2048

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - tailBytes; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.buf))
}

// backoff is how long to wait before the worker is started again.
type backoff struct{ next time.Duration }

const (
	firstDelay = 20 * time.Millisecond
	maxDelay   = 5 * time.Second
	// stableAfter is the life after which a worker's end is taken as a new trouble.
	stableAfter = 30 * time.Second
)

func (b *backoff) delay(lived time.Duration) time.Duration {
	if lived > stableAfter || b.next == 0 {
		b.next = firstDelay
	}
	d := b.next
	b.next = min(b.next*2, maxDelay)
	return d
}

func (b *backoff) wait(ctx context.Context, lived time.Duration) {
	timer := time.NewTimer(b.delay(lived))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

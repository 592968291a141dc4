package worker

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// Requested says whether this process was started to be a worker.
func Requested() bool {
	return len(os.Args) == 2 && os.Args[1] == frame.Argument && os.Getenv(frame.Marker) != ""
}

// The exit codes of a worker.
const (
	exitOK    = 0
	exitSetup = 3
	exitFatal = 4
)

// Main is the worker: it serves lanes until the agent's end of the control socket
// closes, and returns the exit code of the process.
func Main() int {
	// A signal to the process group (Ctrl-C, a service manager) is for the agent,
	// which drains first: statements go on meanwhile. The worker ends with the agent.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM)
	unburden()
	control, err := net.FileConn(os.NewFile(frame.ControlFD, "control"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "open control socket:", err)
		return exitSetup
	}
	socket, ok := control.(*net.UnixConn)
	if !ok {
		fmt.Fprintln(os.Stderr, "the control socket is a", control.LocalAddr().Network())
		return exitSetup
	}
	if err := serve(socket); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitSetup
	}
	return exitOK
}

// unburden makes the process the kernel's first choice when memory ends, and keeps
// its memory, which holds clients' rows, out of core files.
func unburden() {
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	if runtime.GOOS == "linux" {
		_ = os.WriteFile("/proc/self/oom_score_adj", []byte("800"), 0) // may be forbidden: then the kernel chooses by size
	}
}

func serve(control *net.UnixConn) error {
	defer func() { _ = control.Close() }()
	msg, _, err := frame.ReceiveControl(control)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	var config frame.Config
	if err := json.Unmarshal(msg, &config); err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	e, err := openEngine(config, func(message string) {
		fmt.Fprintln(os.Stderr, "fatal:", message)
		os.Exit(exitFatal)
	})
	if err != nil {
		return err
	}
	if err := frame.SendControl(control, []byte("ready"), nil); err != nil {
		return fmt.Errorf("report ready: %w", err)
	}
	for {
		_, file, err := frame.ReceiveControl(control)
		if err != nil {
			return nil // the agent is gone, or wants this process gone
		}
		if file == nil {
			return fmt.Errorf("lane without a socket")
		}
		conn, err := net.FileConn(file)
		_ = file.Close()
		if err != nil {
			return fmt.Errorf("open lane: %w", err)
		}
		go (&lane{engine: e, conn: frame.NewConn(conn)}).serve()
	}
}

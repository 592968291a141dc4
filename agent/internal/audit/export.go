package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"log/syslog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/nodedb/nodedb/agent/internal/logattr"
)

// exportQueue is how many records wait for a slow target; more are left out, and
// counted: the node does not wait for its audit's copy.
const exportQueue = 8192

// Exporter sends a copy of each record elsewhere, as a line of JSON.
type Exporter struct {
	write   func([][]byte) error
	logger  *slog.Logger
	queue   chan []byte
	dropped atomic.Uint64
}

// CheckExport refuses a target that NewExporter does not know.
func CheckExport(target string) error {
	kind, rest, _ := strings.Cut(target, ":")
	switch {
	case kind == "file" && filepath.IsAbs(rest), target == "syslog":
		return nil
	case kind == "syslog":
		if _, _, err := net.SplitHostPort(rest); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%q is not file:/PATH, syslog or syslog:HOST:PORT (UDP)", target)
}

// NewExporter makes an exporter to file:/PATH, syslog (this machine's) or
// syslog:HOST:PORT (over UDP). A file is opened anew for each batch, so that it can
// be rotated.
func NewExporter(target string, logger *slog.Logger) (*Exporter, error) {
	if err := CheckExport(target); err != nil {
		return nil, err
	}
	x := &Exporter{logger: logger, queue: make(chan []byte, exportQueue)}
	kind, rest, _ := strings.Cut(target, ":")
	if kind == "file" {
		x.write = func(lines [][]byte) error { return appendTo(rest, lines) }
		return x, nil
	}
	network := "udp"
	if rest == "" {
		network = ""
	}
	var w *syslog.Writer
	x.write = func(lines [][]byte) (err error) {
		if w == nil {
			if w, err = syslog.Dial(network, rest, syslog.LOG_AUTHPRIV|syslog.LOG_NOTICE, "nodedb-audit"); err != nil {
				return err
			}
		}
		for _, l := range lines {
			if err := w.Notice(strings.TrimSuffix(string(l), "\n")); err != nil {
				return err
			}
		}
		return nil
	}
	return x, nil
}

func appendTo(path string, lines [][]byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	for _, l := range lines {
		if _, err := f.Write(l); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

// Add hands a record over; it is a line of JSON with its end. It does not block.
func (x *Exporter) Add(line []byte) {
	select {
	case x.queue <- line:
	default:
		x.dropped.Add(1)
	}
}

// Dropped is how many records were not sent.
func (x *Exporter) Dropped() uint64 { return x.dropped.Load() }

// Run sends what comes until ctx is done, and then what is left.
func (x *Exporter) Run(ctx context.Context, ready func()) error {
	ready()
	failing := false
	send := func(first []byte) {
		lines := [][]byte{first}
		for len(lines) < exportQueue && len(x.queue) > 0 {
			lines = append(lines, <-x.queue)
		}
		err := x.write(lines)
		if err != nil {
			x.dropped.Add(uint64(len(lines)))
			if !failing {
				x.logger.Error("the copy of the audit is not written, will try again with what comes next", logattr.Err(err))
			}
		}
		failing = err != nil
	}
	for {
		select {
		case line := <-x.queue:
			send(line)
		case <-ctx.Done():
			if len(x.queue) > 0 {
				send(<-x.queue)
			}
			return nil
		}
	}
}

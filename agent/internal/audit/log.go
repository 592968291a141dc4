package audit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/logattr"
)

const (
	fileBytes  = 4 << 20 // of one file, before the next is begun
	filesKept  = 8
	lineMost   = 8 << 10
	flushEvery = time.Second
	floodsMost = 1024 // kinds of failure that are counted apart
	textMost   = 200  // bytes of a name or reason that came from outside
)

// Entry is one login or denial.
type Entry struct {
	User     string `json:"user,omitempty"`
	Via      string `json:"via"` // sql | admin | join
	Source   string `json:"source,omitempty"`
	Action   string `json:"action"`        // Login, or the procedure that was denied
	Decision string `json:"decision"`      // done | refused
	Why      string `json:"why,omitempty"` // of a refusal
	// Count is how often it happened within a second; 0: once.
	Count int `json:"count,omitempty"`
}

// Record is a line of the log.
type Record struct {
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	Entry
	Before string `json:"before,omitempty"` // hash of the line before, hex
	Hash   string `json:"hash,omitempty"`
}

func (r *Record) sum() (string, error) {
	bare := *r
	bare.Hash = ""
	b, err := json.Marshal(&bare)
	if err != nil {
		return "", err
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:]), nil
}

// Head is how far the log has come.
type Head struct {
	Sequence uint64
	Hash     string
}

// Log is a node's log.
type Log struct {
	dir    string
	logger *slog.Logger

	mu struct {
		sync.Mutex
		file   *os.File
		size   int64
		last   Head
		synced Head
		floods map[Entry]int // refusals of this second that were written once already
		failed error         // of the last write; nil: it went well
	}
}

// Open opens, or begins, the log in dir.
func Open(dir string, logger *slog.Logger) (*Log, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	l := &Log{dir: dir, logger: logger}
	l.mu.floods = map[Entry]int{}
	names, err := files(dir)
	if err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	name := fileName(1)
	if len(names) > 0 {
		name = names[len(names)-1]
		if err := l.takeUp(name); err != nil {
			return nil, fmt.Errorf("open the audit log: %w", err)
		}
	}
	if err := l.open(name); err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	return l, nil
}

func fileName(first uint64) string { return fmt.Sprintf("logins-%020d.jsonl", first) }

// files lists the log's files, oldest first.
func files(dir string) ([]string, error) {
	all, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range all {
		if strings.HasPrefix(e.Name(), "logins-") && strings.HasSuffix(e.Name(), ".jsonl") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// takeUp finds where the newest file ends. A last line that a crash cut off is
// removed: it was never on disk as a whole.
func (l *Log) takeUp(name string) error {
	path := filepath.Join(l.dir, name)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if whole := bytes.LastIndexByte(b, '\n') + 1; whole < len(b) {
		if err := os.Truncate(path, int64(whole)); err != nil {
			return err
		}
		b = b[:whole]
	}
	lines := bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
	if tail := lines[len(lines)-1]; len(tail) > 0 {
		var r Record
		if err := json.Unmarshal(tail, &r); err != nil {
			// The chain is broken there, and verify says so; the log goes on.
			l.logger.Error("the last line of the audit log cannot be read", slog.String("file", path), logattr.Err(err))
			return nil
		}
		l.mu.last = Head{Sequence: r.Sequence, Hash: r.Hash}
	} else if first, err := firstOf(name); err == nil && first > 1 {
		return l.takeUpBefore(name, first)
	}
	l.mu.synced = l.mu.last
	return nil
}

// takeUpBefore finds the end of the chain in the file before an empty one.
func (l *Log) takeUpBefore(empty string, first uint64) error {
	return scan(l.dir, func(name string, r *Record, _ []byte) error {
		if name < empty && r != nil && r.Sequence < first {
			l.mu.last = Head{Sequence: r.Sequence, Hash: r.Hash}
			l.mu.synced = l.mu.last
		}
		return nil
	})
}

func firstOf(name string) (uint64, error) {
	return strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(name, "logins-"), ".jsonl"), 10, 64)
}

func (l *Log) open(name string) error {
	f, err := os.OpenFile(filepath.Join(l.dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // a name of the log's own
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.mu.file, l.mu.size = f, st.Size()
	return nil
}

// Add writes an entry. The same refusal again within a second is counted.
func (l *Log) Add(e Entry) {
	e.User, e.Why, e.Action = clip(e.User), clip(e.Why), clip(e.Action)
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Decision != "done" {
		if n, seen := l.mu.floods[e]; seen {
			l.mu.floods[e] = n + 1
			return
		}
		if len(l.mu.floods) >= floodsMost {
			e = Entry{Via: e.Via, Action: "Many", Decision: e.Decision, Why: "too many kinds of refusals to tell apart"}
			l.mu.floods[e]++
			return
		}
		l.mu.floods[e] = 0
	}
	l.write(e)
}

func clip(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > textMost {
		return strings.ToValidUTF8(s[:textMost], "") + "..."
	}
	return s
}

func (l *Log) write(e Entry) {
	r := Record{Sequence: l.mu.last.Sequence + 1, Time: time.Now().UTC().Round(0), Entry: e, Before: l.mu.last.Hash}
	err := l.append(&r)
	if err != nil && l.mu.failed == nil {
		l.logger.Error("logins are not recorded", logattr.Err(err))
	}
	l.mu.failed = err
}

func (l *Log) append(r *Record) error {
	if l.mu.file == nil {
		return fs.ErrClosed
	}
	var err error
	if r.Hash, err = r.sum(); err != nil {
		return err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if l.mu.size > 0 && l.mu.size+int64(len(b)) > fileBytes {
		if err := l.rotate(r.Sequence); err != nil {
			return err
		}
	}
	n, err := l.mu.file.Write(append(b, '\n'))
	l.mu.size += int64(n)
	if err != nil {
		return err
	}
	l.mu.last = Head{Sequence: r.Sequence, Hash: r.Hash}
	return nil
}

func (l *Log) rotate(first uint64) error {
	if err := errors.Join(l.mu.file.Sync(), l.mu.file.Close()); err != nil {
		return err
	}
	l.mu.file = nil
	if err := l.open(fileName(first)); err != nil {
		return err
	}
	names, err := files(l.dir)
	if err != nil {
		return err
	}
	for len(names) > filesKept {
		if err := os.Remove(filepath.Join(l.dir, names[0])); err != nil {
			return err
		}
		names = names[1:]
	}
	return nil
}

// Run puts what was written on disk each second, until ctx is done.
func (l *Log) Run(ctx context.Context, ready func()) error {
	ready()
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.flush()
		case <-ctx.Done():
			l.flush()
			return nil
		}
	}
}

func (l *Log) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e, n := range l.mu.floods {
		if n > 0 {
			e.Count = n
			l.write(e)
		}
	}
	clear(l.mu.floods)
	if l.mu.file == nil || l.mu.synced == l.mu.last {
		return
	}
	if err := l.mu.file.Sync(); err != nil {
		l.logger.Error("logins are not on disk", logattr.Err(err))
		l.mu.failed = err
		return
	}
	l.mu.synced = l.mu.last
}

// Head is the newest line that is on disk.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.synced
}

// Failed is why the last line was not written; nil: it was.
func (l *Log) Failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.failed
}

// Close puts the rest on disk and closes the file.
func (l *Log) Close() error {
	l.flush()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.file == nil {
		return nil
	}
	err := l.mu.file.Close()
	l.mu.file = nil
	return err
}

// scan calls fn with every line of the log in dir, oldest first; r is nil for
// one that is no record.
func scan(dir string, fn func(name string, r *Record, line []byte) error) error {
	names, err := files(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		f, err := os.Open(filepath.Join(dir, name)) //nolint:gosec // a name of the log's own
		if errors.Is(err, fs.ErrNotExist) {
			continue // rotated away meanwhile
		}
		if err != nil {
			return err
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, lineMost)
		for lines.Scan() {
			r := &Record{}
			if json.Unmarshal(lines.Bytes(), r) != nil {
				r = nil
			}
			if err := fn(name, r, lines.Bytes()); err != nil {
				return errors.Join(err, f.Close())
			}
		}
		if err := errors.Join(lines.Err(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

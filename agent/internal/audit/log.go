package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/logattr"
)

const (
	lineMost   = 8 << 10
	flushEvery = time.Second
	// foldEvery is how long refusals of the same kind are counted before the
	// count is written; logins are counted from flush to flush.
	foldEvery  = time.Minute
	floodsMost = 1024 // kinds of entries of a class that are counted apart
	textMost   = 200  // bytes of a name or reason
)

// Entry is one login or denial.
type Entry struct {
	// User is one that exists: a name that a stranger made up is not written.
	User     string `json:"user,omitempty"`
	Via      string `json:"via"` // sql | admin | join
	Source   string `json:"source,omitempty"`
	Action   string `json:"action"`        // Login, or the procedure that was denied
	Decision string `json:"decision"`      // done | refused
	Why      string `json:"why,omitempty"` // of a refusal, in words of this program
	// Count is how often it happened since the same entry before; 0: once.
	Count int `json:"count,omitempty"`
}

// Class is where the entry belongs. A login that failed is a stranger's, whoever's
// name it gave: nobody has proved to be that.
func (e *Entry) Class() Class {
	switch {
	case e.Decision == "done":
		return Logins
	case e.User != "" && e.Action != "Login":
		return Denied
	}
	return Strangers
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

// Head is how far a chain has come.
type Head struct {
	Sequence uint64
	Hash     string
}

// Config makes a Log. Dir and Logger are needed.
type Config struct {
	Dir    string
	Logger *slog.Logger
	// Export gets each record that is written; it must not block. May be nil.
	Export func(Class, []byte)
}

// Log is a node's log.
type Log struct {
	cfg     Config
	rotated chan struct{}

	mu struct {
		sync.Mutex
		chains   map[Class]*chain
		floods   map[Class]map[Entry]int // entries that were written once already
		folded   time.Time               // when refusals were counted last
		failed   error                   // of the last write; nil: it went well
		replaced uint64                  // files that another hand has replaced
	}
}

// Open opens, or begins, the log in c.Dir.
func Open(c Config) (*Log, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	l := &Log{cfg: c, rotated: make(chan struct{}, 1)}
	l.mu.chains, l.mu.floods, l.mu.folded = map[Class]*chain{}, map[Class]map[Entry]int{}, time.Now()
	for _, class := range Classes {
		ch, err := openChain(c.Dir, class)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open the audit log: %w", err), l.Close())
		}
		l.mu.chains[class], l.mu.floods[class] = ch, map[Entry]int{}
	}
	return l, nil
}

// Add writes an entry. The same again within a while is counted. Of strangers
// only the network is told apart.
func (l *Log) Add(e Entry) {
	e.User, e.Why, e.Action = clip(e.User), clip(e.Why), clip(e.Action)
	class := e.Class()
	if class == Strangers {
		e.Source = networkOf(e.Source)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	floods := l.mu.floods[class]
	if n, seen := floods[e]; seen {
		floods[e] = n + 1
		return
	}
	if len(floods) >= floodsMost {
		e = Entry{Via: e.Via, Action: "Many", Decision: e.Decision, Why: "too many kinds to tell apart"}
		floods[e]++
		return
	}
	floods[e] = 0
	l.write(class, &e)
}

// networkOf is the /24 or /64 of an address.
func networkOf(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return clip(address)
	}
	ip = ip.Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 24
	}
	network, err := ip.Prefix(bits)
	if err != nil {
		return ip.String()
	}
	return network.String()
}

func clip(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > textMost {
		return strings.ToValidUTF8(s[:textMost], "") + "..."
	}
	return s
}

func (l *Log) write(class Class, e *Entry) {
	c := l.mu.chains[class]
	first := c.first
	b, err := c.append(e)
	if err != nil && l.mu.failed == nil {
		l.cfg.Logger.Error("logins are not recorded", logattr.Err(err))
	}
	l.mu.failed = err
	if err != nil {
		return
	}
	if l.cfg.Export != nil {
		l.cfg.Export(class, b)
	}
	if c.first != first {
		select {
		case l.rotated <- struct{}{}:
		default:
		}
	}
}

// Rotated holds a signal when a chain begins with another record than before:
// that is to be anchored.
func (l *Log) Rotated() <-chan struct{} { return l.rotated }

// Run puts what was written on disk each second, until ctx is done.
func (l *Log) Run(ctx context.Context, ready func()) error {
	ready()
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.flush(time.Since(l.lastFold()) >= foldEvery)
		case <-ctx.Done():
			l.flush(true)
			return nil
		}
	}
}

func (l *Log) lastFold() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.folded
}

// flush writes what was counted, of refusals if fold says so, and syncs.
func (l *Log) flush(fold bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fold {
		l.mu.folded = time.Now()
	}
	for _, class := range Classes {
		c := l.mu.chains[class]
		if c == nil || c.file == nil {
			continue
		}
		if fold || class == Logins {
			for e, n := range l.mu.floods[class] {
				if n > 0 {
					e.Count = n
					l.write(class, &e)
				}
			}
			clear(l.mu.floods[class])
		}
		if err := l.settle(c); err != nil {
			l.cfg.Logger.Error("logins are not on disk", logattr.Err(err))
			l.mu.failed = err
		}
	}
}

// settle puts a chain on disk, in the file that others see.
func (l *Log) settle(c *chain) error {
	if !c.inPlace() {
		l.mu.replaced++
		l.cfg.Logger.Error("a file of the audit log was replaced or changed by another hand; the log goes on, audit verify tells what is missing",
			slog.String("file", c.name))
		if err := c.goOn(); err != nil {
			return err
		}
	}
	if err := c.sync(); err != nil {
		return err
	}
	c.pending = nil
	return nil
}

// Anchors are where the chains begin and how far they are on disk.
func (l *Log) Anchors() map[Class]Anchor {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[Class]Anchor{}
	for class, c := range l.mu.chains {
		if a := c.anchor(); a.Last != 0 {
			out[class] = a
		}
	}
	return out
}

// Failed is why the last line was not written; nil: it was.
func (l *Log) Failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.failed
}

// Replaced is how many of its files another hand has replaced or changed.
func (l *Log) Replaced() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.replaced
}

// Close puts the rest on disk and closes the files.
func (l *Log) Close() error {
	l.flush(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, c := range l.mu.chains {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}

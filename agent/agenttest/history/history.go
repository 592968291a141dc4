// Package history records what clients asked of a cluster and what they were told.
//
// A history is a list of operations. Each has steps (reads and writes), the time at
// which it was called and answered, and an outcome: ok, fail (certainly without
// effect), or unknown. Package checker judges histories; package workload makes them.
// They are kept as one JSON object a line.
//
// # Invariants
//
//  1. Times are of one monotonic clock, that of the process which records.
//  2. An operation that was never answered is unknown, and returns at Never.
//  3. Ids are given in the order of calls, from 1: T7 was called before T8.
//
// # Concurrency
//
// A Recorder is safe for concurrent use. An Op belongs to the client that began it
// until Done.
package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Outcome says what a client knows of its operation.
type Outcome string

// Outcomes.
const (
	OK      Outcome = "ok"
	Fail    Outcome = "fail"    // it certainly had no effect
	Unknown Outcome = "unknown" // it had, has not, or will have
)

// Never is when an operation of unknown outcome returns.
const Never = time.Duration(math.MaxInt64)

// What a step does.
const (
	Read   = "read"   // Got, or List: what is there
	Write  = "write"  // Arg
	CAS    = "cas"    // Arg in the place of Expect
	Append = "append" // Arg, at the end of a list
	Count  = "count"  // Got: how many there are
	Sum    = "sum"    // Got: what they are together
	Next   = "next"   // Got: the next number
	Entry  = "entry"  // Arg: id of an entry; List: its place, amount and balance
	Take   = "take"   // Key: a job
	Hold   = "hold"   // List: from when until when, in nanoseconds
	Time   = "time"   // Arg: at which is read, in milliseconds
)

// Step is one read or write of an operation.
type Step struct {
	Do     string  `json:"do"`
	Key    int     `json:"key"`
	Arg    int64   `json:"arg,omitempty"`
	Expect int64   `json:"expect,omitempty"`
	Got    int64   `json:"got,omitempty"`
	List   []int64 `json:"list,omitempty"`
}

func (s Step) String() string {
	switch s.Do {
	case Read:
		if s.List != nil {
			return fmt.Sprintf("read k%d: %v", s.Key, s.List)
		}
		return fmt.Sprintf("read k%d: %d", s.Key, s.Got)
	case Count, Sum, Next:
		return fmt.Sprintf("%s k%d: %d", s.Do, s.Key, s.Got)
	case CAS:
		return fmt.Sprintf("cas k%d from %d to %d", s.Key, s.Expect, s.Arg)
	case Take:
		return fmt.Sprintf("take %d", s.Key)
	case Hold:
		return fmt.Sprintf("hold k%d: %v", s.Key, s.List)
	case Time:
		return "at " + time.UnixMilli(s.Arg).UTC().Format("15:04:05.000")
	case Entry:
		return fmt.Sprintf("entry %d of k%d: %v", s.Arg, s.Key, s.List)
	}
	return fmt.Sprintf("%s k%d := %d", s.Do, s.Key, s.Arg)
}

// Op is one operation: a transaction, or a statement by itself.
type Op struct {
	ID      int           `json:"id"`
	Client  int           `json:"client"`
	Node    string        `json:"node"`
	Kind    string        `json:"kind"`
	Level   string        `json:"level,omitempty"`
	Call    time.Duration `json:"call"`
	Return  time.Duration `json:"return"`
	Outcome Outcome       `json:"outcome"`
	Error   string        `json:"error,omitempty"`
	Steps   []Step        `json:"steps"`
}

func (o *Op) String() string {
	var steps []string
	for _, s := range o.Steps {
		steps = append(steps, s.String())
	}
	end := "never answered"
	if o.Return != Never {
		end = o.Return.Round(time.Microsecond).String()
	}
	text := fmt.Sprintf("T%d %s by client %d on %s, %s to %s, %s: %s", o.ID, o.Kind, o.Client, o.Node,
		o.Call.Round(time.Microsecond), end, o.Outcome, strings.Join(steps, "; "))
	if o.Error != "" {
		text += " (" + o.Error + ")"
	}
	return text
}

// Recorder makes a history.
type Recorder struct {
	began time.Time
	mu    sync.Mutex
	ops   []*Op
	done  int
}

// NewRecorder begins a history now.
func NewRecorder() *Recorder { return &Recorder{began: time.Now()} }

// Age is how long ago the history began.
func (r *Recorder) Age() time.Duration { return time.Since(r.began) }

// Call notes that an operation is about to be sent.
func (r *Recorder) Call(client int, node, kind, level string) *Op {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := &Op{ID: len(r.ops) + 1, Client: client, Node: node, Kind: kind, Level: level, Call: time.Since(r.began), Return: Never, Outcome: Unknown}
	r.ops = append(r.ops, o)
	return o
}

// Done notes the answer. steps are what was asked and found; of an operation that
// is not ok, what was asked.
func (r *Recorder) Done(o *Op, outcome Outcome, err error, steps ...Step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o.Outcome, o.Steps = outcome, steps
	if outcome != Unknown {
		o.Return = time.Since(r.began)
	}
	if err != nil {
		o.Error = err.Error()
	}
	if outcome == OK {
		r.done++
	}
}

// Succeeded is how many operations are ok so far.
func (r *Recorder) Succeeded() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done
}

// Ops returns a copy of the history, in the order of calls.
func (r *Recorder) Ops() []Op {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Op, len(r.ops))
	for i, o := range r.ops {
		out[i] = *o
		out[i].Steps = slices.Clone(o.Steps)
	}
	return out
}

// Save writes a history to a file of its own in dir and returns its path.
func Save(dir, name string, ops []Op) (path string, err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", fmt.Errorf("keep a history: %w", err)
	}
	path = filepath.Join(dir, name+".jsonl")
	f, err := os.Create(path) //nolint:gosec // where the test wants it
	if err != nil {
		return "", fmt.Errorf("keep a history: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	for i := range ops {
		if err := enc.Encode(&ops[i]); err != nil {
			return "", fmt.Errorf("keep a history: %w", err)
		}
	}
	return path, w.Flush()
}

// Load reads what Save wrote.
func Load(path string) ([]Op, error) {
	f, err := os.Open(path) //nolint:gosec // what the test was given
	if err != nil {
		return nil, fmt.Errorf("read a history: %w", err)
	}
	defer func() { _ = f.Close() }()
	var ops []Op
	for dec := json.NewDecoder(bufio.NewReader(f)); ; {
		var o Op
		switch err := dec.Decode(&o); {
		case errors.Is(err, io.EOF):
			return ops, nil
		case err != nil:
			return nil, fmt.Errorf("%s, operation %d: %w", path, len(ops)+1, err)
		}
		ops = append(ops, o)
	}
}

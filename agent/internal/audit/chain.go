package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Class says what a record is evidence of. Each class has files and a quota of
// its own: what strangers cause pushes out only what strangers caused.
type Class string

// The classes.
const (
	Logins    Class = "logins"    // that succeeded
	Denied    Class = "denied"    // refusals of users that exist
	Strangers Class = "strangers" // refusals of everybody else
)

// Classes are all of them.
var Classes = []Class{Logins, Denied, Strangers}

const fileBytes = 4 << 20 // of one file, before the next is begun

// filesKept is the quota of a class.
var filesKept = map[Class]int{Logins: 8, Denied: 8, Strangers: 4}

// Anchor is what the meta range remembers of a chain.
type Anchor struct {
	First  uint64 // the oldest record that was kept
	Before string // the hash that it names as the one before
	Last   uint64
	Hash   string // of the last
}

// chain is the files of one class. It is guarded by the log's mutex.
type chain struct {
	dir   string
	class Class

	file    *os.File
	name    string
	size    int64
	first   uint64 // 0: there is no record yet
	before  string // of the first
	last    Head
	synced  Head
	pending []line // written since the file was last seen in its place
}

// line is a record as it stands in a file.
type line struct {
	sequence uint64
	text     []byte
}

func openChain(dir string, class Class) (*chain, error) {
	c := &chain{dir: dir, class: class}
	names, err := files(dir, class)
	if err != nil {
		return nil, err
	}
	name := fileName(class, 1)
	if len(names) > 0 {
		name = names[len(names)-1]
		if err := c.takeUp(name); err != nil {
			return nil, err
		}
	}
	return c, c.open(name)
}

func fileName(class Class, first uint64) string { return fmt.Sprintf("%s-%020d.jsonl", class, first) }

// files lists a class's files, oldest first.
func files(dir string, class Class) ([]string, error) {
	all, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range all {
		if strings.HasPrefix(e.Name(), string(class)+"-") && strings.HasSuffix(e.Name(), ".jsonl") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// firstOf is the sequence that a file begins with.
func firstOf(name string) (uint64, error) {
	_, number, _ := strings.Cut(strings.TrimSuffix(name, ".jsonl"), "-")
	return strconv.ParseUint(number, 10, 64)
}

// takeUp finds where the chain begins and ends. A last line that a crash cut off
// is removed: it was never on disk as a whole. A line that cannot be read is
// verify's to tell; the log goes on after the one before.
func (c *chain) takeUp(newest string) error {
	path := filepath.Join(c.dir, newest)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if whole := bytes.LastIndexByte(b, '\n') + 1; whole < len(b) {
		if err := os.Truncate(path, int64(whole)); err != nil {
			return err
		}
	}
	err = scan(c.dir, c.class, func(_ string, r *Record, _ []byte) error {
		if r == nil {
			return nil
		}
		if c.first == 0 {
			c.first, c.before = r.Sequence, r.Before
		}
		c.last = Head{Sequence: r.Sequence, Hash: r.Hash}
		return nil
	})
	c.synced = c.last
	return err
}

func (c *chain) open(name string) error {
	f, err := os.OpenFile(filepath.Join(c.dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // a name of the log's own
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	c.file, c.name, c.size = f, name, st.Size()
	return nil
}

// append writes a record of now, and returns its line.
func (c *chain) append(e *Entry) ([]byte, error) {
	if c.file == nil {
		return nil, fs.ErrClosed
	}
	r := Record{Sequence: c.last.Sequence + 1, Time: time.Now().UTC().Round(0), Entry: *e, Before: c.last.Hash}
	var err error
	if r.Hash, err = r.sum(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(&r)
	if err != nil {
		return nil, err
	}
	if c.size > 0 && c.size+int64(len(b)) > fileBytes {
		if err := c.rotate(r.Sequence); err != nil {
			return nil, err
		}
	}
	b = append(b, '\n')
	if _, err := c.file.Write(b); err != nil {
		return nil, errors.Join(err, c.file.Truncate(c.size)) // half a line would look like damage
	}
	c.size += int64(len(b))
	if c.first == 0 {
		c.first, c.before = r.Sequence, r.Before
	}
	c.last = Head{Sequence: r.Sequence, Hash: r.Hash}
	c.pending = append(c.pending, line{r.Sequence, b})
	return b, nil
}

// rotate begins the next file and drops what is over the quota.
func (c *chain) rotate(first uint64) error {
	full := c.file
	if err := full.Sync(); err != nil {
		return err
	}
	if err := c.open(fileName(c.class, first)); err != nil {
		return err // the full one goes on, and the next record tries again
	}
	c.pending = nil
	if err := full.Close(); err != nil {
		return err
	}
	names, err := files(c.dir, c.class)
	if err != nil {
		return err
	}
	if len(names) <= filesKept[c.class] {
		return nil
	}
	for len(names) > filesKept[c.class] {
		if err := os.Remove(filepath.Join(c.dir, names[0])); err != nil {
			return err
		}
		names = names[1:]
	}
	return c.findFirst(names[0])
}

// findFirst notes with which record the chain begins, in its oldest file.
func (c *chain) findFirst(oldest string) error {
	c.first, c.before = 0, ""
	err := scanFile(c.dir, oldest, func(_ string, r *Record, _ []byte) error {
		if r != nil {
			c.first, c.before = r.Sequence, r.Before
		}
		return errEnough
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// sync puts what was written on disk.
func (c *chain) sync() error {
	if c.file == nil || c.synced == c.last {
		return nil
	}
	if err := c.file.Sync(); err != nil {
		return err
	}
	c.synced = c.last
	return nil
}

// inPlace reports whether the file that is written to is the one that stands
// under its name, as long as it was left.
func (c *chain) inPlace() bool {
	there, err := os.Stat(filepath.Join(c.dir, c.name))
	mine, err2 := c.file.Stat()
	return err == nil && err2 == nil && os.SameFile(there, mine) && there.Size() == c.size
}

// goOn writes into what stands under the file's name now, if anything does, and
// the chain goes on there: with the lines that went into the file that is gone.
// What is missing before them verify tells.
func (c *chain) goOn() error {
	first := c.last.Sequence + 1
	if len(c.pending) > 0 {
		first = c.pending[0].sequence
	}
	lines := c.pending
	errs := []error{c.file.Close()}
	c.file, c.pending = nil, nil
	name, has := c.name, uint64(0)
	err := scanFile(c.dir, name, func(_ string, r *Record, _ []byte) error {
		if r != nil {
			has = r.Sequence
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		name, err = fileName(c.class, first), nil
	}
	if errs = append(errs, err, c.open(name)); errors.Join(errs...) != nil {
		return errors.Join(errs...)
	}
	for _, l := range lines {
		if l.sequence <= has {
			continue
		}
		n, err := c.file.Write(l.text)
		c.size += int64(n)
		if err != nil {
			return err
		}
	}
	c.synced = Head{} // of the new file nothing is on disk yet
	return nil
}

func (c *chain) anchor() Anchor {
	return Anchor{First: c.first, Before: c.before, Last: c.synced.Sequence, Hash: c.synced.Hash}
}

func (c *chain) close() error {
	if c.file == nil {
		return nil
	}
	err := c.file.Close()
	c.file = nil
	return err
}

package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// BrokenError names the first line of a class that does not fit.
type BrokenError struct {
	Class    Class
	Sequence uint64
	Why      string
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("record %d of %s: %s", e.Sequence, e.Class, e.Why)
}

// Kept says which records of a class are there.
type Kept struct {
	First, Last uint64
}

// Verify walks the chains in dir. anchors is what the meta range remembers of
// them. A line that does not fit is a *BrokenError.
func Verify(dir string, anchors map[Class]Anchor) (map[Class]Kept, error) {
	kept := map[Class]Kept{}
	for _, class := range Classes {
		k, err := verifyChain(dir, class, anchors[class])
		if err != nil {
			return kept, err
		}
		kept[class] = k
	}
	return kept, nil
}

// walk is a chain as far as it was followed.
type walk struct {
	class   Class
	anchor  Anchor
	file    string
	first   uint64
	last    Head
	reached bool // the anchor's last record was seen
}

func verifyChain(dir string, class Class, anchor Anchor) (Kept, error) {
	names, err := files(dir, class)
	if err != nil {
		return Kept{}, err
	}
	w := &walk{class: class, anchor: anchor, reached: anchor.Last == 0}
	if err := scan(dir, class, w.line); err != nil {
		return Kept{}, err
	}
	switch {
	case !w.reached && (w.first == 0 || w.last.Sequence < anchor.Last):
		return Kept{}, w.broken(max(w.last.Sequence+1, anchor.First), "the meta range remembers it, but the log ends before it")
	case anchor.First != 0 && w.first > anchor.First && len(names) < filesKept[class]:
		return Kept{}, w.broken(anchor.First, "it is missing: the log begins with record %d, and was not full", w.first)
	}
	return Kept{First: w.first, Last: w.last.Sequence}, nil
}

func (w *walk) broken(sequence uint64, format string, args ...any) error {
	return &BrokenError{w.class, sequence, fmt.Sprintf(format, args...)}
}

// line checks one line against the one before and what is remembered.
func (w *walk) line(name string, r *Record, text []byte) error {
	next := w.last.Sequence + 1
	if name != w.file {
		// The oldest file's first record is the one in its name; so are the others'.
		n, err := firstOf(name)
		if err != nil || w.file != "" && n != next {
			return w.broken(next, "it is missing: the file %s follows", name)
		}
		w.file, next = name, n
	}
	if r == nil {
		return w.broken(next, "it cannot be read")
	}
	if r.Sequence != next {
		return w.broken(next, "it is missing: record %d follows instead", r.Sequence)
	}
	sum, err := r.sum()
	whole, merr := json.Marshal(r)
	switch {
	case errors.Join(err, merr) != nil || sum != r.Hash || !bytes.Equal(whole, text):
		return w.broken(r.Sequence, "its hash is not that of what it says")
	case w.first != 0 && r.Before != w.last.Hash, r.Sequence == 1 && r.Before != "",
		w.first == 0 && r.Sequence == w.anchor.First && r.Before != w.anchor.Before:
		return w.broken(r.Sequence, "it does not follow the record before it")
	case r.Sequence == w.anchor.Last && r.Hash != w.anchor.Hash:
		return w.broken(r.Sequence, "its hash is not the one that the meta range remembers")
	}
	if w.first == 0 {
		w.first = r.Sequence
		w.reached = w.reached || w.first > w.anchor.Last // it stood in a file that is gone
	}
	w.reached = w.reached || r.Sequence == w.anchor.Last
	w.last = Head{r.Sequence, r.Hash}
	return nil
}

// Read returns the newest records of all classes since a time, oldest first, limit
// at most.
func Read(dir string, since time.Time, limit int) ([]Record, error) {
	var out []Record
	for _, class := range Classes {
		var some []Record
		err := scan(dir, class, func(_ string, r *Record, _ []byte) error {
			if r == nil || r.Time.Before(since) {
				return nil
			}
			some = append(some, *r)
			if len(some) >= 2*limit {
				some = append(some[:0], some[len(some)-limit:]...)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	slices.SortStableFunc(out, func(a, b Record) int { return a.Time.Compare(b.Time) })
	return out[max(0, len(out)-limit):], nil
}

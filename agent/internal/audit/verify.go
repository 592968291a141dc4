package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// BrokenError names the first line that does not fit.
type BrokenError struct {
	Sequence uint64
	Why      string
}

func (e *BrokenError) Error() string { return fmt.Sprintf("login record %d: %s", e.Sequence, e.Why) }

// Verify walks the log in dir. anchor is what the meta range remembers of it:
// the line there must have that hash, unless it is so old that its file is gone.
// A line that does not fit is a *BrokenError.
func Verify(dir string, anchor Head) (records uint64, err error) {
	var last Head
	anchored := anchor.Sequence == 0
	err = scan(dir, func(_ string, r *Record, line []byte) error {
		next := last.Sequence + 1
		if r == nil {
			return &BrokenError{next, "it cannot be read"}
		}
		if records == 0 {
			next = r.Sequence // older files are gone
		}
		sum, serr := r.sum()
		whole, merr := json.Marshal(r)
		switch {
		case r.Sequence != next:
			return &BrokenError{next, fmt.Sprintf("it is missing: record %d follows instead", r.Sequence)}
		case errors.Join(serr, merr) != nil || sum != r.Hash || !bytes.Equal(whole, line):
			return &BrokenError{r.Sequence, "its hash is not that of what it says"}
		case records > 0 && r.Before != last.Hash:
			return &BrokenError{r.Sequence, "it does not follow the record before it"}
		case records == 0 && r.Sequence > anchor.Sequence:
			anchored = true // it stood in a file that is gone
		case r.Sequence == anchor.Sequence && r.Hash != anchor.Hash:
			return &BrokenError{r.Sequence, "its hash is not the one that the meta range remembers"}
		case r.Sequence == anchor.Sequence:
			anchored = true
		}
		last = Head{r.Sequence, r.Hash}
		records++
		return nil
	})
	if err == nil && !anchored {
		err = &BrokenError{anchor.Sequence, "the meta range remembers it, but the log ends before it"}
	}
	return records, err
}

// Read returns the newest records since a time, oldest first, limit at most.
func Read(dir string, since time.Time, limit int) ([]Record, error) {
	var out []Record
	err := scan(dir, func(_ string, r *Record, _ []byte) error {
		if r == nil || r.Time.Before(since) {
			return nil
		}
		out = append(out, *r)
		if len(out) >= 2*limit {
			out = append(out[:0], out[len(out)-limit:]...)
		}
		return nil
	})
	if len(out) > limit {
		out = out[len(out)-limit:]
	}
	return out, err
}

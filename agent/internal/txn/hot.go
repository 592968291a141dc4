package txn

import (
	"maps"
	"math"
	"time"
)

const (
	// coolsIn is in how long the heat of a row halves: what was in demand a second ago says
	// something of now, what was a minute ago nothing.
	coolsIn = time.Second
	// maxHot bounds the rows whose heat is known, and cold is what nobody asks about.
	maxHot = 1024
	cold   = 0.25
)

// heat says which rows transactions of this node have waited for lately, or had others
// wait behind them. What it says is a guess, and nothing but speed rests on it.
type heat struct{ rows map[string]warmth }

type warmth struct {
	n  float64 // at the time at
	at time.Duration
}

func (w warmth) now(now time.Duration) float64 {
	return w.n * math.Exp2(-float64(now-w.at)/float64(coolsIn))
}

// add notes that a row was contended.
func (h *heat) add(row []byte, now time.Duration) {
	if h.rows == nil {
		h.rows = map[string]warmth{}
	}
	w, known := h.rows[string(row)]
	if !known && len(h.rows) >= maxHot {
		maps.DeleteFunc(h.rows, func(_ string, w warmth) bool { return w.now(now) < cold })
		if len(h.rows) >= maxHot {
			return
		}
	}
	h.rows[string(row)] = warmth{w.now(now) + 1, now}
}

// hottest is the position of the row that is most in demand; -1: none is.
func (h *heat) hottest(rows [][]byte, now time.Duration) int {
	at, most := -1, cold
	if len(h.rows) == 0 {
		return at
	}
	for i, row := range rows {
		if w, ok := h.rows[string(row)]; ok && w.now(now) > most {
			at, most = i, w.now(now)
		}
	}
	return at
}

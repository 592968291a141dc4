package sql

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// The values of nodedb.read_consistency.
const (
	readConsistency = "nodedb.read_consistency"
	strong          = "strong"
	eventual        = "eventual"
	boundedPrefix   = "bounded_staleness:"
	// maxStaleness is more than versions are kept by default.
	maxStaleness = 24 * time.Hour
)

// parseConsistency reads a value of nodedb.read_consistency.
func parseConsistency(v string) (c kv.Consistency, within time.Duration, ok bool) {
	v = strings.ToLower(strings.TrimSpace(v))
	switch v {
	case strong:
		return kv.Strong, 0, true
	case eventual:
		return kv.Eventual, 0, true
	}
	seconds, ok := strings.CutPrefix(v, boundedPrefix)
	if !ok {
		return 0, 0, false
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(seconds), 64)
	if err != nil || !(n >= 0.001) || n > maxStaleness.Seconds() { // a NaN is no number of seconds
		return 0, 0, false
	}
	return kv.Bounded, time.Duration(n * float64(time.Second)).Round(time.Millisecond), true
}

func checkConsistency(v string) (string, bool) {
	c, within, ok := parseConsistency(v)
	switch {
	case !ok:
		return "", false
	case c == kv.Bounded:
		return boundedPrefix + strconv.FormatFloat(within.Seconds(), 'f', -1, 64), true
	case c == kv.Eventual:
		return eventual, true
	}
	return strong, true
}

func refuseConsistency(v string) *Error {
	return &Error{Code: "22023", Message: fmt.Sprintf("invalid value for parameter %q: %q", readConsistency, v),
		Hint: "Set strong, bounded_staleness: with a number of seconds from 0.001 to 86400, such as bounded_staleness:10, or eventual."}
}

// reading is how a statement reads. What came together with others and is in no block
// reads as it would alone, as long as nothing was written: so it does not matter
// whether a client sends its Sync in the same packet.
func (s *Session) reading(plan *queryplan.Plan) kv.Reading {
	r := kv.Reading{
		Writes: plan.Insert != nil || plan.Change != nil,
		Locks:  plan.Select != nil && plan.Select.Lock,
	}
	if s.tx != nil && !s.modes.readOnly {
		r.InTransaction = s.block || s.tx.Wrote() || levels[s.modes.isolation] != exec.ReadCommitted
	}
	v, _ := s.settings.get(readConsistency)
	if v != strong {
		r.Consistency, r.Within, _ = parseConsistency(v)
	}
	return r
}

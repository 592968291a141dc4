package settings

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
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

func refuseConsistency(v string) *syntax.Error {
	return &syntax.Error{Code: "22023", Message: fmt.Sprintf("invalid value for parameter %q: %q", readConsistency, v),
		Hint: "Set strong, bounded_staleness: with a number of seconds from 0.001 to 86400, such as bounded_staleness:10, or eventual."}
}

// Consistency is what statements read by.
func (s *Values) Consistency() (c kv.Consistency, within time.Duration) {
	v, _ := s.Get(readConsistency)
	c, within, _ = parseConsistency(v)
	return c, within
}

package builtin

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Signature is a call as the engine's worker is told of it: the zone, the name, and the
// numbers of the types.
func (c *Call) Signature(zone string) string {
	var b strings.Builder
	b.WriteString(zone + "|" + c.Function.Name)
	for _, t := range c.Args {
		b.WriteString("|" + strconv.FormatUint(uint64(t), 10))
	}
	return b.String()
}

// ParseSignature reads what Signature wrote.
func ParseSignature(s string) (*Call, *Env, error) {
	parts := strings.Split(s, "|")
	if len(parts) < 2 {
		return nil, nil, fmt.Errorf("a malformed signature %q", s)
	}
	types := make([]datum.Type, 0, len(parts)-2)
	for _, p := range parts[2:] {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return nil, nil, fmt.Errorf("a malformed signature %q: %w", s, err)
		}
		types = append(types, datum.Type(n))
	}
	c := Resolve(parts[1], types)
	if c == nil {
		return nil, nil, fmt.Errorf("there is no function of the signature %q", s)
	}
	zone, err := datum.LoadZone(parts[0])
	if err != nil {
		return nil, nil, fmt.Errorf("the zone of the signature %q: %w", s, err)
	}
	return c, &Env{Location: zone}, nil
}

// EngineTime is the engine's text of a value: BC stands behind the date; ok is false if the
// engine has no such time.
func EngineTime(d datum.Datum) (string, bool) {
	if d.Type == datum.Interval {
		return fmt.Sprintf("%d months %d days %d microseconds", d.Months, d.Days, d.I), true
	}
	s := d.Text()
	if !d.Type.IsDateTime() {
		return s, d.Type != datum.Time || d.I <= 24*hour
	}
	if d.Type != datum.Date && !datum.InfiniteTime(d.I) && d.I > math.MaxInt64-datum.EpochMicros {
		return s, false
	}
	if before, bc := strings.CutSuffix(s, " BC"); bc {
		date, clock, _ := strings.Cut(before, " ")
		return strings.TrimSpace(date + " (BC) " + clock), true
	}
	return s, true
}

// Late reports whether PostgreSQL computes a function when rows are there, though its arguments
// are constants: it asks how the session writes and reads values.
func Late(name string, args []datum.Type) bool {
	switch name {
	case "to_timestamp": // but for that of a number of seconds
		return len(args) > 1
	case "quote_literal", "quote_nullable":
		return len(args) == 1 && (args[0].IsDateTime() || args[0] == datum.Interval || args[0].IsArray())
	case "to_char", "to_date", "to_number", "concat", "concat_ws", "format", "array_to_string", "array_to_json", "to_json", "to_jsonb",
		"json_build_array", "json_build_object", "jsonb_build_array", "jsonb_build_object",
		"convert", "convert_from", "convert_to", "row_to_json":
		return true
	}
	return false
}

package render

import (
	"strconv"
	"strings"
	"time"
)

// unit is what a quantity counts.
type unit int

const (
	plainUnit unit = iota
	byteUnit
	percentUnit
	secondUnit
	idUnit // n3, r27
)

// quantity is a figure as a table shows it, in the unit that JSON has it in.
type quantity struct {
	value float64
	unit  unit
}

var suffixes = []struct {
	text   string
	factor float64
	unit   unit
}{
	{"KiB", 1 << 10, byteUnit}, {"MiB", 1 << 20, byteUnit}, {"GiB", 1 << 30, byteUnit}, {"TiB", 1 << 40, byteUnit}, {"PiB", 1 << 50, byteUnit},
	{"kB", 1e3, byteUnit}, {"MB", 1e6, byteUnit}, {"GB", 1e9, byteUnit}, {"TB", 1e12, byteUnit}, {"B", 1, byteUnit},
	{"%", 1, percentUnit}, {"k", 1e3, plainUnit}, {"M", 1e6, plainUnit}, {"", 1, plainUnit},
}

// parseQuantity reads what tables show and what people type: 24.1 MiB, 1MiB/s,
// 80%, 4m41s, 12d, 1.2k, n3, 17.
func parseQuantity(text string) (quantity, bool) {
	body := strings.TrimSuffix(strings.ReplaceAll(text, " ", ""), "/s")
	if body == "" {
		return quantity{}, false
	}
	for _, s := range suffixes {
		number, ok := strings.CutSuffix(body, s.text)
		if !ok {
			continue
		}
		if v, err := strconv.ParseFloat(number, 64); err == nil && v == v {
			return quantity{v * s.factor, s.unit}, true
		}
	}
	if days, ok := strings.CutSuffix(body, "d"); ok {
		if v, err := strconv.ParseFloat(days, 64); err == nil && v == v {
			return quantity{v * 86400, secondUnit}, true
		}
	}
	if d, err := time.ParseDuration(body); err == nil {
		return quantity{d.Seconds(), secondUnit}, true
	}
	if v, err := strconv.ParseUint(body[1:], 10, 64); err == nil && (body[0] == 'n' || body[0] == 'r') {
		return quantity{float64(v), idUnit}, true
	}
	return quantity{}, false
}

// parseTime reads times as JSON and as tables have them.
func parseTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

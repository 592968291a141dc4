package cell

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// None stands for what is not known or does not apply.
const None = "–"

// Node is a node's id as operators write it: n4.
func Node(id uint32) string {
	if id == 0 {
		return None
	}
	return "n" + strconv.FormatUint(uint64(id), 10)
}

// Nodes writes node ids: n1,n2.
func Nodes(ids []uint32, sep string) string {
	if len(ids) == 0 {
		return None
	}
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(Node(id))
	}
	return b.String()
}

// Range is a range's id: r27.
func Range(id uint32) string { return "r" + strconv.FormatUint(uint64(id), 10) }

// Count writes an integer.
func Count(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// Rate writes a rate: 0.4, 88, 20.4k, 1.2M.
func Rate(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'f', 1, 64) + "M"
	case v >= 1e4:
		return strconv.FormatFloat(v/1e3, 'f', 1, 64) + "k"
	case v >= 10 || v == 0:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

var units = [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}

// Bytes writes a size: 24.1 MiB.
func Bytes(n uint64) string {
	v, u := float64(n), 0
	for v >= 1024 && u < len(units)-1 {
		v, u = v/1024, u+1
	}
	if u == 0 {
		return strconv.FormatUint(n, 10) + " B"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " " + units[u]
}

// Percent writes a share of 0 to 1.
func Percent(share float64) string { return strconv.FormatFloat(share*100, 'f', 0, 64) + "%" }

// Duration writes a time span: 9s, 4m41s, 3h02m, 12d.
func Duration(d time.Duration) string {
	switch s := int(max(d, 0) / time.Second); {
	case s < 60:
		return strconv.Itoa(s) + "s"
	case s < 3600 && s%60 == 0:
		return strconv.Itoa(s/60) + "m"
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 48*3600:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	default:
		return strconv.Itoa(s/86400) + "d"
	}
}

// Minutes writes a time span no finer than minutes, for what is redrawn once a
// minute: <1m, 41m, 3h02m, 12d.
func Minutes(d time.Duration) string {
	switch m := int(d / time.Minute); {
	case m < 1:
		return "<1m"
	case m < 60:
		return strconv.Itoa(m) + "m"
	case m < 48*60:
		return fmt.Sprintf("%dh%02dm", m/60, m%60)
	default:
		return strconv.Itoa(m/1440) + "d"
	}
}

// Seconds writes a span that is given in seconds.
func Seconds(s float64) string { return Duration(time.Duration(s * float64(time.Second))) }

// Latency writes a short time that is given in seconds: 0.8ms, 12ms, 1.4s.
func Latency(s float64) string {
	switch {
	case s >= 1:
		return strconv.FormatFloat(s, 'f', 1, 64) + "s"
	case s >= 0.01:
		return strconv.FormatFloat(s*1000, 'f', 0, 64) + "ms"
	}
	return strconv.FormatFloat(s*1000, 'f', 1, 64) + "ms"
}

// Plural writes "1 node", "2 nodes".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// Or returns s, or None for an empty one.
func Or(s string) string {
	if s == "" {
		return None
	}
	return s
}

// OneLine writes what others have written, such as a statement, in one line: runs of
// white space are a space, and what a terminal would obey is a question mark.
func OneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.Join(strings.Fields(s), " "))
}

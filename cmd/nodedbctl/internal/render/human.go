package render

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// None stands for what is not known or does not apply.
const None = "–"

// Bytes writes a size for people: 24.1 MiB.
func Bytes(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		v /= 1024
		if v < 1024 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", v, unit)
}

// Number writes a rate or count for people: 0.4, 3, 1.2k.
func Number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 10:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	case v < 10_000:
		return fmt.Sprintf("%.0f", v)
	case v < 1e6:
		return fmt.Sprintf("%.1fk", v/1e3)
	}
	return fmt.Sprintf("%.1fM", v/1e6)
}

// Percent writes a share of 0 to 1.
func Percent(share float64) string { return fmt.Sprintf("%.0f%%", share*100) }

// Duration writes a time span for people: 0.2s, 41s, 4m41s, 3h2m, 12d.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 10*time.Second:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + "s"
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < time.Hour:
		d = d.Round(time.Second)
		return trimZero(fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60), "0s")
	case d < 48*time.Hour:
		return trimZero(fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60), "0m")
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// trimZero takes a last part that is zero away: 15m0s is 15m.
func trimZero(s, zero string) string {
	if strings.HasSuffix(s, "m"+zero) || strings.HasSuffix(s, "h"+zero) {
		return strings.TrimSuffix(s, zero)
	}
	return s
}

// Seconds writes a number of seconds for people.
func Seconds(s float64) string { return Duration(time.Duration(s * float64(time.Second))) }

// Node writes a node's id: n4; 0 is not known.
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
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = Node(id)
	}
	return strings.Join(parts, sep)
}

// Range writes a range's id: r27.
func Range(id uint32) string { return "r" + strconv.FormatUint(uint64(id), 10) }

// Plural writes "1 node", "2 nodes".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Wrap breaks text at blanks into lines of at most width characters; a longer word
// stands alone.
func Wrap(text string, width int) []string {
	var lines []string
	line, used := "", 0
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case used > 0 && used+1+n > width:
			lines = append(lines, line)
			line, used = word, n
			continue
		case used > 0:
			line, used = line+" ", used+1
		}
		line, used = line+word, used+n
	}
	return append(lines, line)
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

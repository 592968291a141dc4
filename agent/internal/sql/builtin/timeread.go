package builtin

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// timeReader reads a time by a format. A field of 0 is as good as none.
type timeReader struct {
	s, before string // what is left, and what was read
	fixed     bool   // FX
	extra     int    // spaces that were skipped and the format does not have
	of        calendar
	half      bool // the hour is one of 1 to 12
	pm, bc    int64
	yearSize  int // how many digits of the year there are
	precision int32
	zoned     int64 // the sign of the zone
	hour, minute, second, seconds, milli, micro,
	weekday, month, day, dayOfYear, week, weekOfMonth, year, century, julian,
	zoneHour, zoneMinute int64
}

func errTime(format string, args ...any) error { return fail("22007", format, args...) }

// errNoInteger says of what should be the number of a part that it is none.
func errNoInteger(s string, p timePart) error {
	return &datum.Error{Code: "22007", Message: fmt.Sprintf(`invalid value "%s" for "%s"`, strings.ToValidUTF8(s, "?"), p.text), Detail: "Value must be an integer."}
}

func (r *timeReader) take(n int) {
	r.before, r.s = r.s[:n], r.s[n:]
}

func (r *timeReader) skipSpaces() {
	for r.s != "" && isBlank(r.s[0]) {
		r.take(1)
		r.extra++
	}
}

// skip takes one character, whichever it is.
func (r *timeReader) skip() {
	if r.s != "" {
		_, size := utf8.DecodeRuneInString(r.s)
		r.take(size)
	}
}

// readTime reads all of a text, or as much as the format has patterns for.
func readTime(s, format string) (*timeReader, error) {
	r := &timeReader{s: s}
	parts := parseTimeFormat(format)
	for i, p := range parts {
		if r.s == "" {
			break
		}
		if !r.fixed && p.pattern.name != "FX" && (p.kind == patternPart || i == 0) {
			r.skipSpaces()
		}
		if p.kind != patternPart {
			r.literal(p)
			continue
		}
		if p.pattern.of != anyCalendar {
			if r.of != anyCalendar && r.of != p.pattern.of {
				return nil, errTime("invalid combination of date conventions")
			}
			r.of = p.pattern.of
		}
		if err := r.field(p, endsDigits(parts, i)); err != nil {
			return nil, err
		}
		if !r.fixed {
			r.extra = 0
			r.skipSpaces()
		}
	}
	return r, nil
}

// literal takes what a character that is no pattern stands for.
func (r *timeReader) literal(p timePart) {
	switch {
	case r.fixed:
		r.skip()
	case p.kind != textPart:
		r.extra--
		if r.s != "" && (isBlank(r.s[0]) || isSeparator(r.s[0])) {
			r.skip()
			r.extra++
		}
	case r.extra > 0:
		r.extra--
	default:
		r.skip()
	}
}

// endsDigits reports whether what is behind a part cannot begin with a digit.
func endsDigits(parts []timePart, i int) bool {
	if parts[i].ordinal != "" || i+1 == len(parts) {
		return true
	}
	next := parts[i+1]
	if next.kind == patternPart {
		return !next.pattern.digits
	}
	return len(next.text) != 1 || next.text[0] < '0' || next.text[0] > '9'
}

// number reads one of so many digits, or of any if what follows ends it; read is how many
// characters it took.
func (r *timeReader) number(p timePart, digits int, open bool) (n int64, read int, err error) {
	spaces := 0
	for spaces < len(r.s) && isBlank(r.s[spaces]) {
		spaces++
	}
	rest := r.s[spaces:]
	copied := rest[:min(digits, len(rest))]
	var used int
	if open = open || p.fill; open {
		if used = integerAt(rest); used > 0 {
			used += spaces
		}
		n, err = strconv.ParseInt(strings.TrimLeft(r.s[:used], " \t\n\v\f\r"), 10, 64)
	} else {
		if len(rest) < digits {
			return 0, 0, errTime(`source string too short for "%s" formatting field`, p.text)
		}
		used = integerAt(copied)
		if used > 0 && used < digits {
			return 0, 0, errTime(`invalid value "%s" for "%s"`, strings.ToValidUTF8(copied, "?"), p.text)
		}
		n, err = strconv.ParseInt(strings.TrimLeft(copied[:used], " \t\n\v\f\r"), 10, 64)
		used += spaces
	}
	switch {
	case used == 0:
		return 0, 0, errNoInteger(copied, p)
	case err != nil && used == spaces: // spaces only
		n, err = 0, nil
	}
	if err != nil || n < math.MinInt32 || n > math.MaxInt32 {
		return 0, 0, fail("22008", `value for "%s" in source string is out of range`, p.text)
	}
	r.take(used)
	return n, used, nil
}

// integerAt is how long the integer is that a text begins with, as C reads it.
func integerAt(s string) int {
	i := 0
	for i < len(s) && isBlank(s[i]) {
		i++
	}
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	first := i
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if i == first {
		return 0
	}
	return i
}

// set gives a field its value, which it may not have otherwise.
func (p timePart) set(field *int64, n int64) error {
	if *field != 0 && *field != n {
		return errTime(`conflicting values for "%s" field in formatting string`, p.text)
	}
	*field = n
	return nil
}

// word reads one of some words, and returns which.
func (r *timeReader) word(p timePart, words []string) (int64, error) {
	for i, w := range words {
		if len(r.s) >= len(w) && strings.EqualFold(r.s[:len(w)], w) {
			r.take(len(w))
			return int64(i), nil
		}
	}
	bad, _, _ := strings.Cut(r.s, " ")
	return 0, errTime(`invalid value "%s" for "%s"`, bad, p.text)
}

// plain are the fields of patterns that are numbers and nothing else, by the pattern.
func (r *timeReader) plain(pattern string) (field *int64, digits int) {
	switch pattern {
	case "HH", "HH12", "HH24":
		return &r.hour, 2
	case "MI":
		return &r.minute, 2
	case "SS":
		return &r.second, 2
	case "SSSS", "SSSSS":
		return &r.seconds, len(pattern)
	case "MM":
		return &r.month, 2
	case "DDD", "IDDD":
		return &r.dayOfYear, 3
	case "DD":
		return &r.day, 2
	case "D":
		return &r.weekday, 1
	case "WW", "IW":
		return &r.week, 2
	case "W":
		return &r.weekOfMonth, 1
	case "CC":
		return &r.century, 2
	case "J":
		return &r.julian, 1
	case "Q":
		return new(int64), 1
	case "TZM":
		return &r.zoneMinute, 2
	}
	return nil, 0
}

// field reads what a pattern stands for.
func (r *timeReader) field(p timePart, open bool) error {
	name := p.pattern.name
	if field, digits := r.plain(name); field != nil {
		n, _, err := r.number(p, digits, open)
		if err == nil {
			err = p.set(field, n)
		}
		switch name {
		case "HH", "HH12":
			r.half = true
		case "TZM":
			if r.zoned == 0 {
				r.zoned = 1
			}
			return err
		}
		return r.behind(p, err)
	}
	switch name {
	case "FX":
		r.fixed = true
		return nil
	case "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6":
		return r.fraction(p, open)
	case "TZ", "OF":
		return fail("0A000", `formatting field "%s" is only supported in to_char`, p.text)
	case "TZH":
		return r.zoneHours(p, open)
	case "ID":
		n, _, err := r.number(p, 1, open)
		if err == nil {
			err = p.set(&r.weekday, n)
		}
		if r.weekday++; r.weekday > 7 {
			r.weekday = 1
		}
		return r.behind(p, err)
	case "Y,YYY":
		return r.thousands(p)
	case "YYYY", "YYY", "YY", "Y", "IYYY", "IYY", "IY", "I":
		return r.shortYear(p, open)
	}
	return r.named(p)
}

// behind takes the th behind a number.
func (r *timeReader) behind(p timePart, err error) error {
	if p.ordinal != "" {
		r.skip()
		r.skip()
	}
	return err
}

func (r *timeReader) fraction(p timePart, open bool) error {
	digits, field := 6, &r.micro
	switch name := p.pattern.name; {
	case name == "MS":
		digits, field = 3, &r.milli
	case name != "US":
		digits = int(name[2] - '0')
		r.precision = int32(digits)
	}
	n, read, err := r.number(p, digits, open)
	if err == nil {
		err = p.set(field, n)
	}
	whole := 6
	if p.pattern.name == "MS" {
		whole = 3
	}
	for ; read < whole; read++ {
		*field *= 10
	}
	return r.behind(p, err)
}

func (r *timeReader) zoneHours(p timePart, open bool) error {
	r.zoned = 1
	switch {
	case r.s != "" && strings.IndexByte("+- ", r.s[0]) >= 0:
		if r.s[0] == '-' {
			r.zoned = -1
		}
		r.take(1)
	case r.extra > 0 && r.before == "-":
		r.zoned = -1
	}
	n, _, err := r.number(p, 2, open)
	if err != nil {
		return err
	}
	return p.set(&r.zoneHour, n)
}

// thousands reads a year with a comma; one that is too large begins anew, as in PostgreSQL.
func (r *timeReader) thousands(p timePart) error {
	s := r.s
	head := integerAt(s)
	if head == 0 || head == len(s) || s[head] != ',' {
		return errTime(`invalid input string for "Y,YYY"`)
	}
	tail := head + 1
	for tail < len(s) && isBlank(s[tail]) {
		tail++
	}
	n := integerAt(s[tail:min(tail+3, len(s))])
	if n == 0 {
		return errTime(`invalid input string for "Y,YYY"`)
	}
	a, _ := strconv.ParseInt(strings.TrimLeft(s[:head], " \t\n\v\f\r"), 10, 64)
	b, _ := strconv.ParseInt(s[tail:tail+n], 10, 32)
	r.yearSize = 4
	r.take(tail + n)
	return r.behind(p, p.set(&r.year, int64(int32(a)*1000+int32(b))))
}

func (r *timeReader) shortYear(p timePart, open bool) error {
	size := len(strings.TrimPrefix(p.pattern.name, "I"))
	if p.pattern.of == isoWeeks {
		size = len(p.pattern.name)
	}
	n, read, err := r.number(p, size, open)
	if err == nil {
		err = p.set(&r.year, n)
	}
	r.yearSize = size
	if err == nil && size < 4 && read < 4 {
		switch {
		case n < 70:
			r.year += 2000
		case n < 100:
			r.year += 1900
		case n < 520:
			r.year += 2000
		case n < 1000:
			r.year += 1000
		}
	}
	return r.behind(p, err)
}

// named reads what is a word.
func (r *timeReader) named(p timePart) error {
	var words []string
	switch name := p.pattern.name; name {
	case "AM", "PM":
		r.half = true
		return r.other(p, &r.pm, "am", "pm")
	case "A.M.", "P.M.":
		r.half = true
		return r.other(p, &r.pm, "a.m.", "p.m.")
	case "AD", "BC":
		return r.other(p, &r.bc, "ad", "bc")
	case "A.D.", "B.C.":
		return r.other(p, &r.bc, "a.d.", "b.c.")
	case "RM":
		n, err := r.word(p, romanMonths)
		if err != nil {
			return err
		}
		return p.set(&r.month, 12-n)
	case "MONTH", "MON":
		for m := time.January; m <= time.December; m++ {
			words = append(words, shortened(m.String(), name == "MON"))
		}
		n, err := r.word(p, words)
		if err != nil {
			return err
		}
		return p.set(&r.month, n+1)
	default: // DAY, DY
		for d := time.Sunday; d <= time.Saturday; d++ {
			words = append(words, shortened(d.String(), name == "DY"))
		}
		n, err := r.word(p, words)
		if err == nil {
			err = p.set(&r.weekday, n)
		}
		r.weekday++
		return err
	}
}

func shortened(s string, short bool) string {
	if short {
		return s[:3]
	}
	return s
}

// other reads one of two words; the field is 1 if it is the second.
func (r *timeReader) other(p timePart, field *int64, words ...string) error {
	n, err := r.word(p, words)
	if err != nil {
		return err
	}
	return p.set(field, n)
}

package builtin

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// calendar is which years, weeks and days a pattern counts.
type calendar int

const (
	anyCalendar calendar = iota
	gregorian
	isoWeeks
)

// timePattern is one of the patterns of to_char, to_date and to_timestamp.
type timePattern struct {
	name   string // in upper case
	digits bool   // what it stands for begins with a digit
	of     calendar
}

// timePatterns are all, the longer ones first.
var timePatterns = func() []timePattern { //nolint:gochecknoglobals // never changed
	var out []timePattern
	add := func(names string, digits bool, of calendar) {
		for _, name := range strings.Fields(names) {
			out = append(out, timePattern{name, digits, of})
		}
	}
	add("A.D. A.M. B.C. P.M. AD AM BC PM DAY DY FX OF TZH TZ", false, anyCalendar)
	add("CC FF1 FF2 FF3 FF4 FF5 FF6 HH24 HH12 HH J MI MS Q SSSSS SSSS SS TZM US", true, anyCalendar)
	add("MONTH MON RM", false, gregorian)
	add("DDD DD D MM WW W Y,YYY YYYY YYY YY Y", true, gregorian)
	add("IDDD ID IW IYYY IYY IY I", true, isoWeeks)
	slices.SortStableFunc(out, func(a, b timePattern) int { return len(b.name) - len(a.name) })
	return out
}()

// What a part of a format is.
const (
	textPart = iota
	spacePart
	separatorPart
	patternPart
)

// timePart is a pattern as it is written, with what stands around it, or one character.
type timePart struct {
	kind    int
	pattern timePattern
	text    string
	fill    bool   // FM: without padding
	local   bool   // TM: in the language of lc_time, which is English
	ordinal string // TH or th
}

// findPattern finds the pattern that a format begins with: all of it in upper, or all in
// lower case, or a name with its first letter in upper case.
func findPattern(s string) (timePattern, bool) {
	for _, p := range timePatterns {
		if len(s) < len(p.name) {
			continue
		}
		switch head := s[:len(p.name)]; {
		case head == p.name, head == strings.ToLower(p.name):
			return p, true
		case (p.name == "MONTH" || p.name == "MON" || p.name == "DAY" || p.name == "DY") && head == capital(p.name):
			return p, true
		}
	}
	return timePattern{}, false
}

func capital(s string) string { return s[:1] + strings.ToLower(s[1:]) }

// parseTimeFormat takes a format apart.
func parseTimeFormat(s string) []timePart {
	var out []timePart
	for s != "" {
		var part timePart
		switch {
		case strings.HasPrefix(s, "FM"), strings.HasPrefix(s, "fm"):
			part.fill, s = true, s[2:]
		case strings.HasPrefix(s, "TM"), strings.HasPrefix(s, "tm"):
			part.local, s = true, s[2:]
		}
		if p, ok := findPattern(s); ok {
			part.kind, part.pattern, part.text = patternPart, p, s[:len(p.name)]
			s = s[len(p.name):]
			switch {
			case strings.HasPrefix(s, "TH"), strings.HasPrefix(s, "th"):
				part.ordinal, s = s[:2], s[2:]
			case strings.HasPrefix(s, "SP"): // spelled out: as in PostgreSQL without effect
				s = s[2:]
			}
			out = append(out, part)
			continue
		}
		if strings.HasPrefix(s, `"`) {
			for s = s[1:]; s != "" && s[0] != '"'; {
				if s[0] == '\\' && len(s) > 1 {
					s = s[1:]
				}
				_, size := utf8.DecodeRuneInString(s)
				out = append(out, timePart{text: s[:size]})
				s = s[size:]
			}
			s = strings.TrimPrefix(s, `"`)
			continue
		}
		if strings.HasPrefix(s, `\"`) {
			s = s[1:]
		}
		if s == "" {
			break
		}
		_, size := utf8.DecodeRuneInString(s)
		part = timePart{text: s[:size]}
		switch {
		case isSeparator(s[0]):
			part.kind = separatorPart
		case isBlank(s[0]):
			part.kind = spacePart
		}
		out = append(out, part)
		s = s[size:]
	}
	return out
}

func isSeparator(c byte) bool {
	return c > ' ' && c < 0x7f && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z')
}

// julianOf is PostgreSQL's number of a day, of dates that do not exist, too.
func julianOf(y, m, d int64) int64 {
	if m > 2 {
		m, y = m+1, y+4800
	} else {
		m, y = m+13, y+4799
	}
	century := y / 100
	return y*365 - 32167 + y/4 - century + century/4 + 7834*m/256 + d
}

// firstMonday is the day on which the weeks of a year begin.
func firstMonday(y int64) int64 {
	fourth := julianOf(y, 1, 4)
	return fourth - weekday(fourth-1)
}

// weekday is that of a number of a day; 0 is Sunday.
func weekday(julian int64) int64 { return ((julian+1)%7 + 7) % 7 }

// isoYearOf is the year whose weeks a day is in, and the day on which they begin.
func isoYearOf(y, julian int64) (year, first int64) {
	if first = firstMonday(y); julian < first {
		y--
		first = firstMonday(y)
	}
	const mostWeeks = 52
	if (julian-first)/7+1 >= mostWeeks {
		if next := firstMonday(y + 1); julian >= next {
			return y + 1, next
		}
	}
	return y, first
}

// isBlank reports whether a byte is white space as C has it.
func isBlank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

package datum

import (
	"strconv"
	"strings"
	"time"
)

// What of a date is known.
const (
	knowsYear = 1 << iota
	knowsMonth
	knowsDay
	knowsTime
	knowsZone
	knowsYearDay
	knowsWeekday
	knowsEra
	knowsHalf
	knowsDate = knowsYear | knowsMonth | knowsDay
)

// timeField is a word, a number, a clock, an offset, or what may be a date.
type timeField struct {
	kind byte // w, n, t, z or d
	s    string
}

// timeDecoder reads the forms of dates that are not ISO's.
type timeDecoder struct {
	stamp
	by                *Reading
	known             int
	y, m, d           int64
	yearDay           int64
	textMonth         bool
	ordered           bool // the first number is what the order makes of it
	twoDigits         bool
	bc, half, fixed   bool
	pm, julian, clock bool
	bad, outside      *Error
	refused           error
	text              string // as it was given, for messages
}

// Words that PostgreSQL knows in dates, and this does not.
const otherWords = " epoch infinity allballs dst y m d h mm s dow doy isodow isoyear "

const (
	monthNames   = "jan january feb february mar march apr april may may jun june jul july aug august sep september oct october nov november dec december"
	weekdayNames = " mon monday tue tues tuesday wed weds wednesday thu thur thurs thursday fri friday sat saturday sun sunday "
)

// monthOf is the number of a month by its name, or 0.
func monthOf(word string) int64 {
	if word == "sept" {
		return 9
	}
	for i, name := range strings.Fields(monthNames) {
		if name == word {
			return int64(i/2) + 1
		}
	}
	return 0
}

func isAlpha(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// run is how many bytes at the start of s are letters, digits (if digits), or of others.
func run(s string, letters, digits bool, others string) int {
	n := 0
	for n < len(s) && (letters && isAlpha(s[n]) || digits && isDigit(s[n]) || strings.IndexByte(others, s[n]) >= 0) {
		n++
	}
	return n
}

// timeFields takes a text apart; ok is false if it is no date.
func timeFields(s string) (out []timeField, ok bool) {
	for s != "" {
		var n int
		kind := byte('n')
		switch c := s[0]; {
		case isDigit(c):
			n, kind = numberField(s)
		case c == '.':
			n = 1 + leadingDigits(s[1:])
		case isAlpha(c):
			n, kind = wordField(s)
		case c == '+' || c == '-':
			s = s[:1] + strings.TrimLeft(s[1:], " \t\n\v\f\r")
			switch {
			case len(s) < 2 || !isDigit(s[1]) && !isAlpha(s[1]):
				return nil, false
			case isAlpha(s[1]):
				n, kind = 1+run(s[1:], true, false, ""), '-'
			default:
				n, kind = 1+run(s[1:], false, true, ":.-"), 'z'
			}
		case c > ' ' && c < 0x7f, c == ' ', c >= '\t' && c <= '\r':
			s = s[1:]
			continue
		default:
			return nil, false
		}
		out = append(out, timeField{kind, strings.ToLower(s[:n])})
		s = s[n:]
	}
	return out, true
}

func numberField(s string) (n int, kind byte) {
	n = leadingDigits(s)
	if n == len(s) || strings.IndexByte(":-/.", s[n]) < 0 {
		return n, 'n'
	}
	sep := s[n : n+1]
	if sep == ":" {
		return run(s, false, true, ":."), 't'
	}
	n++
	if n == len(s) || !isDigit(s[n]) {
		return n + run(s[n:], true, true, sep), 'd'
	}
	n += leadingDigits(s[n:])
	switch {
	case n < len(s) && s[n:n+1] == sep:
		return n + run(s[n:], false, true, sep), 'd'
	case sep == ".":
		return n, 'n'
	}
	return n, 'd'
}

func wordField(s string) (n int, kind byte) {
	n = run(s, true, false, "")
	if n == len(s) {
		return n, 'w'
	}
	isDate := strings.IndexByte("-/.", s[n]) >= 0
	if s[n] == '+' || isDigit(s[n]) {
		word := strings.ToLower(s[:n])
		isDate = monthOf(word) == 0 && !strings.Contains(weekdayNames+otherWords+"now today tomorrow yesterday am pm ad bc t j jd julian at on ", " "+word+" ")
	}
	if isDate {
		return n + run(s[n:], true, true, "+-/_.:"), 'd'
	}
	return n, 'w'
}

func errBadTime(t Type, s string) *Error {
	name, zone, _ := strings.Cut(t.SQLName(), " ")
	if strings.HasPrefix(zone, "with ") {
		name += " " + zone
	}
	return errorf(codeBadDatetime, "invalid input syntax for type %s: %q", name, clip(s))
}

// decodeTime reads a date in one of PostgreSQL's forms; text is s without what is around it,
// and not what is wrong with it as an ISO date.
func (r *Reading) decodeTime(t Type, text, s string, not error) (stamp, error) {
	c := &timeDecoder{
		by:      r,
		text:    clip(s),
		bad:     errBadTime(t, s),
		outside: errorf(codeDatetimeRange, "date/time field value out of range: %q", clip(s)),
		refused: errorf(codeNotSupported, "this form of a %s is not supported: %q; write the date as YYYY-MM-DD", t.SQLName(), clip(s)),
	}
	if t != Date && t != Timestamp && t != Timestamptz {
		if _, _, _, _, ok := scanCivil(text); !ok && otherForm(text) {
			return c.stamp, c.refused
		}
		return c.stamp, not
	}
	fields, ok := timeFields(text)
	if !ok {
		return c.stamp, c.bad
	}
	for _, f := range fields {
		gained, err := c.take(f)
		if err != nil {
			return c.stamp, err
		}
		if gained&c.known != 0 {
			if c.ordered && r.Order == OrderUnknown {
				return c.stamp, c.refused
			}
			return c.stamp, c.bad
		}
		c.known |= gained
	}
	return c.stamp, c.finish()
}

// take reads one field, and returns what is known by it.
func (c *timeDecoder) take(f timeField) (gained int, err error) {
	if c.julian && f.kind != 'n' || c.clock && f.kind != 'n' && f.kind != 't' {
		return 0, c.refused
	}
	switch f.kind {
	case 't':
		c.clock = false
		micros, rest, ok, outside := scanClock(f.s)
		switch {
		case !ok || rest != "":
			return 0, c.refused // such as 10:20.5
		case outside:
			return 0, c.outside
		}
		c.micros, c.hasTime = micros, true
		return knowsTime, nil
	case '-':
		return 0, c.bad
	case 'z':
		return knowsZone, c.zoneOffset(f.s)
	case 'd':
		if c.known&(knowsMonth|knowsDay) != knowsMonth|knowsDay {
			return c.date(f.s)
		}
		if isDigit(f.s[0]) {
			return 0, c.refused
		}
		unknown := errorf("22023", "time zone %q not recognized", f.s)
		if strings.ContainsAny(f.s, "0123456789") { // PostgreSQL may read rules in it
			return 0, c.refused
		}
		return knowsZone, c.scanZone(f.s, unknown)
	case 'n':
		if c.julian {
			c.julian = false
			n, err := strconv.ParseInt(f.s, 10, 32)
			if err != nil || n > maxDay {
				return 0, c.refused
			}
			c.days, c.fixed = n-2451545, true
			return knowsDate, nil
		}
		if strings.Contains(f.s, ".") && c.known&knowsDate == 0 {
			return c.date(f.s)
		}
		if strings.Contains(f.s, ".") {
			return 0, c.refused
		}
		if c.clock {
			c.clock = false
			return c.together(f.s)
		}
		if len(f.s) >= 6 && (c.known&knowsDate == 0 || c.known&knowsTime == 0) {
			return c.together(f.s)
		}
		return c.number(f.s, c.known)
	}
	return c.word(f.s)
}

// zoneOffset reads +H, +HH, +HMM, +HHMM, +HH:MM or +HH:MM:SS.
func (c *timeDecoder) zoneOffset(s string) error {
	var fields [3]int64
	rest := s[1:]
	digits := leadingDigits(rest)
	for i := range fields {
		n := leadingDigits(rest)
		fields[i], _ = strconv.ParseInt("0"+rest[:min(n, 9)], 10, 64)
		if rest = rest[n:]; rest == "" || rest[0] != ':' {
			break
		}
		rest = rest[1:]
	}
	if digits == len(s)-1 && digits > 2 {
		fields[0], fields[1] = fields[0]/100, fields[0]%100
	}
	switch {
	case fields[0] > 15 || fields[1] > 59 || fields[2] > 59:
		return errorf("22009", "time zone displacement out of range: %q", c.text)
	case rest != "":
		return c.bad
	}
	c.offset, c.hasZone = fields[0]*3600+fields[1]*60+fields[2], true
	if s[0] == '-' {
		c.offset = -c.offset
	}
	return nil
}

// atHand is a time that the time at hand tells.
func (c *timeDecoder) atHand(word string) (gained int, err error) {
	if c.by.Now.IsZero() {
		return 0, c.refused
	}
	now := c.by.Now
	if c.by.Location != nil {
		now = now.In(c.by.Location)
	} else {
		now = now.UTC()
	}
	y, m, d := now.Date()
	c.days, c.fixed = daysFromCivil(int64(y), int(m), d), true
	switch word {
	case "yesterday":
		c.days--
	case "tomorrow":
		c.days++
	case "now":
		_, offset := now.Zone()
		c.micros, c.hasTime = now.UnixMicro()-time.Date(y, m, d, 0, 0, 0, 0, time.UTC).UnixMicro()+int64(offset)*microsPerSecond, true
		c.offset, c.hasZone = int64(offset), true
		return knowsDate | knowsTime | knowsZone, nil
	}
	return knowsDate, nil
}

func (c *timeDecoder) word(s string) (gained int, err error) {
	if m := monthOf(s); m > 0 {
		if c.known&knowsMonth != 0 && !c.textMonth && c.known&knowsDay == 0 && c.m >= 1 && c.m <= 31 {
			c.d, c.m, c.textMonth, c.ordered = c.m, m, true, false
			return knowsDay, nil
		}
		c.m, c.textMonth = m, true
		return knowsMonth, nil
	}
	switch s {
	case "am", "pm":
		c.half, c.pm = true, s == "pm"
		return knowsHalf, nil
	case "ad", "bc":
		c.bc = s == "bc"
		return knowsEra, nil
	case "at", "on":
		return 0, nil
	case "now", "today", "tomorrow", "yesterday":
		return c.atHand(s)
	case "j", "jd", "julian":
		c.julian = true
		return 0, nil
	case "t":
		if c.clock = c.known&knowsDate == knowsDate; !c.clock {
			return 0, c.bad
		}
		return 0, nil
	}
	switch {
	case strings.Contains(weekdayNames, " "+s+" "):
		return knowsWeekday, nil
	case strings.Contains(otherWords, " "+s+" "):
		return 0, c.refused
	}
	return knowsZone, c.scanZone(s, c.bad)
}

// date reads a field of several parts.
func (c *timeDecoder) date(s string) (gained int, err error) {
	var parts []string
	for s != "" {
		if !isAlpha(s[0]) && !isDigit(s[0]) {
			if s = s[1:]; s == "" {
				return 0, c.bad
			}
			continue
		}
		n := run(s, isAlpha(s[0]), isDigit(s[0]), "")
		if n < len(s) && (isAlpha(s[n]) || isDigit(s[n])) {
			return 0, c.refused
		}
		parts = append(parts, s[:n])
		if s = s[n:]; s != "" {
			s = s[1:]
		}
	}
	before := c.textMonth // of which numbers in a field of their own know nothing
	c.textMonth = false
	defer func() { c.textMonth = c.textMonth || before }()
	for _, p := range parts {
		if isDigit(p[0]) {
			continue
		}
		if c.m = monthOf(p); c.m == 0 || (c.known|gained)&knowsMonth != 0 {
			return 0, c.bad
		}
		c.textMonth, gained = true, gained|knowsMonth
	}
	for _, p := range parts {
		if !isDigit(p[0]) {
			continue
		}
		more, err := c.number(p, c.known|gained)
		if err != nil {
			return 0, err
		}
		if more&(c.known|gained) != 0 {
			return 0, c.bad
		}
		gained |= more
	}
	if (c.known|gained)&^(knowsYearDay|knowsZone) != knowsDate { // nothing else may stand before
		return 0, c.bad
	}
	return gained, nil
}

// number reads a number, which is what is not known yet.
func (c *timeDecoder) number(s string, known int) (gained int, err error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return 0, c.outside
	}
	known &= knowsDate
	if len(s) == 3 && known == knowsYear && n >= 1 && n <= 366 {
		c.yearDay = n
		return knowsYearDay | knowsMonth | knowsDay, nil
	}
	first, year := known == 0 && len(s) < 3, c.by.Order == OrderYMD
	if first || known == knowsYear || known == knowsDay {
		c.ordered = first
	}
	switch {
	case first && year, known == knowsMonth && c.textMonth && year:
		c.y, c.twoDigits = n, len(s) <= 2
		return knowsYear, nil
	case first && c.by.Order == OrderDMY:
		c.d = n
		return knowsDay, nil
	case first, known == knowsYear, known == knowsDay:
		c.m = n
		return knowsMonth, nil
	case known == knowsMonth && (!c.textMonth || len(s) < 3):
		c.d = n
		return knowsDay, nil
	case known == knowsYear|knowsMonth:
		if c.textMonth && len(s) >= 3 && c.twoDigits {
			c.d, c.y, c.twoDigits = c.y, n, false
		} else {
			c.d = n
		}
		return knowsDay, nil
	case known == 0, known == knowsMonth, known == knowsMonth|knowsDay:
		c.y, c.twoDigits = n, len(s) <= 2
		return knowsYear, nil
	case known == knowsDate:
		return c.together(s)
	}
	return 0, c.bad
}

// together reads YYYYMMDD, and HHMMSS or HHMM behind a date.
func (c *timeDecoder) together(s string) (gained int, err error) {
	if c.known&knowsDate != knowsDate && len(s) >= 6 {
		n := len(s)
		var errs [3]error
		c.y, errs[0] = strconv.ParseInt(s[:n-4], 10, 32)
		c.m, errs[1] = strconv.ParseInt(s[n-4:n-2], 10, 32)
		c.d, errs[2] = strconv.ParseInt(s[n-2:], 10, 32)
		if errs[0] != nil {
			return 0, c.refused
		}
		c.twoDigits = n == 6
		return knowsDate, nil
	}
	if len(s) > 9 {
		return 0, c.refused
	}
	if c.known&knowsTime != 0 || len(s) != 4 && len(s) != 6 {
		return 0, c.bad
	}
	clock := s[:2] + ":" + s[2:4]
	if len(s) == 6 {
		clock += ":" + s[4:]
	}
	var outside bool
	if c.micros, _, _, outside = scanClock(clock); outside {
		return 0, c.refused
	}
	c.hasTime = true
	return knowsTime, nil
}

// finish checks what was read, and makes the days of it.
func (c *timeDecoder) finish() error {
	alone := c.known&knowsDate == knowsMonth && c.m >= 1 && c.m <= 12 // no date in any order
	asks := c.ordered && !alone || c.textMonth && c.twoDigits
	if c.julian || c.clock || asks && c.by.Order == OrderUnknown {
		return c.refused
	}
	if c.known&knowsDate != knowsDate {
		return c.partial()
	}
	if c.half {
		hour := c.micros / microsPerHour
		if hour > 12 {
			return c.outside
		}
		c.micros += (hour%12 - hour) * microsPerHour
		if c.pm {
			c.micros += 12 * microsPerHour
		}
	}
	if c.fixed {
		return nil
	}
	switch {
	case c.bc && c.y <= 0, c.twoDigits && c.y < 0, !c.bc && !c.twoDigits && c.y <= 0:
		return c.outside
	case c.bc:
		c.y = 1 - c.y
	case c.twoDigits && c.y < 70:
		c.y += 2000
	case c.twoDigits:
		c.y += 1900
	}
	if c.yearDay > 0 {
		c.days = daysFromCivil(c.y, 1, 1) + c.yearDay - 1
		return nil
	}
	if c.m < 1 || c.m > 12 || c.d < 1 || c.d > int64(monthDays(c.y, int(c.m))) {
		return c.outside
	}
	c.days = daysFromCivil(c.y, int(c.m), int(c.d))
	return nil
}

// partial is what is wrong with a date of which a part is missing.
func (c *timeDecoder) partial() error {
	switch {
	case c.known&knowsMonth != 0 && (c.m < 1 || c.m > 12), c.known&knowsDay != 0 && (c.d < 1 || c.d > 31),
		c.known&knowsYear != 0 && !c.twoDigits && c.y <= 0, c.half && c.micros/microsPerHour > 12:
		return c.outside
	}
	return c.bad
}

// otherForm reports whether a text may have a date in it that is not ISO's.
func otherForm(s string) bool {
	s = strings.ToLower(s)
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return r < 'a' || r > 'z' }) {
		if monthOf(w) > 0 || strings.Contains(weekdayNames+otherWords+"now today tomorrow yesterday j ", " "+w+" ") {
			return true
		}
	}
	n := leadingDigits(s)
	if n == 0 || n == len(s) || !strings.ContainsRune("/-.", rune(s[n])) {
		return false
	}
	return leadingDigits(s[n+1:]) > 0
}

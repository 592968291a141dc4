package datum

import (
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	microsPerSecond = 1_000_000
	microsPerMinute = 60 * microsPerSecond
	microsPerHour   = 60 * microsPerMinute

	// PostgreSQL's limits: 4714-11-24 BC to 294276-12-31 (date: 5874897).
	minDay       = -2451545
	maxDay       = 2145031948
	minTimestamp = -211813488000000000
	endTimestamp = 9223371331200000000
)

// daysFromCivil returns the days from 2000-01-01 to a date of the proleptic
// Gregorian calendar; year 0 is 1 BC.
func daysFromCivil(y int64, m, d int) int64 {
	if m <= 2 {
		y--
	}
	era := y / 400
	if y < 0 {
		era = (y - 399) / 400
	}
	yoe := y - era*400
	mp := int64((m + 9) % 12)
	doy := (153*mp+2)/5 + int64(d) - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146097 + doe - 719468 - EpochDays
}

func civilFromDays(days int64) (y int64, m, d int) {
	z := days + EpochDays + 719468
	era := z / 146097
	if z < 0 {
		era = (z - 146096) / 146097
	}
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	y = yoe + era*400
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d = int(doy - (153*mp+2)/5 + 1)
	if m = int(mp) + 3; m > 12 {
		m -= 12
		y++
	}
	return y, m, d
}

// FromTime returns t as a timestamptz.
func FromTime(t time.Time) Datum { return MakeInt(Timestamptz, t.UnixMicro()-EpochMicros) }

// Time returns a date, timestamp or timestamptz as a point in time in UTC. The
// infinite ones become the limits of the type.
func (d Datum) Time() time.Time {
	if d.Type == Date {
		return time.UnixMicro(min(max(d.I, minDay), 106741034)*microsecondsPerDay + EpochMicros).UTC()
	}
	return time.UnixMicro(min(max(d.I, minTimestamp), endTimestamp-EpochMicros-1) + EpochMicros).UTC()
}

func appendDate(dst []byte, days int64) []byte {
	switch days {
	case DateInfinity:
		return append(dst, "infinity"...)
	case DateMinusInfinity:
		return append(dst, "-infinity"...)
	}
	dst, bc := appendCivil(dst, days)
	if bc {
		dst = append(dst, " BC"...)
	}
	return dst
}

func appendCivil(dst []byte, days int64) (out []byte, bc bool) {
	y, m, d := civilFromDays(days)
	if y <= 0 {
		y, bc = 1-y, true
	}
	for n := int64(1000); n > y && n > 1; n /= 10 {
		dst = append(dst, '0')
	}
	dst = strconv.AppendInt(dst, y, 10)
	dst = appendTwo(append(dst, '-'), int64(m))
	return appendTwo(append(dst, '-'), int64(d)), bc
}

func appendTwo(dst []byte, n int64) []byte { return append(dst, byte('0'+n/10%10), byte('0'+n%10)) }

func appendClock(dst []byte, micros int64) []byte {
	if h := micros / microsPerHour; h >= 100 {
		dst = strconv.AppendInt(dst, h, 10)
	} else {
		dst = appendTwo(dst, h)
	}
	dst = appendTwo(append(dst, ':'), micros/microsPerMinute%60)
	dst = appendTwo(append(dst, ':'), micros/microsPerSecond%60)
	return appendFraction(dst, micros%microsPerSecond)
}

func appendFraction(dst []byte, micros int64) []byte {
	if micros == 0 {
		return dst
	}
	s := strconv.FormatInt(micros+microsPerSecond, 10)[1:]
	return append(append(dst, '.'), strings.TrimRight(s, "0")...)
}

func appendTimestamp(dst []byte, micros int64, loc *time.Location, zoned bool) []byte {
	switch micros {
	case TimestampInfinity:
		return append(dst, "infinity"...)
	case TimestampMinusInfinty:
		return append(dst, "-infinity"...)
	}
	offset := 0
	if zoned && loc != nil && loc != time.UTC {
		_, offset = time.UnixMicro(micros + EpochMicros).In(loc).Zone()
		micros += int64(offset) * microsPerSecond
	}
	days := micros / microsecondsPerDay
	if micros%microsecondsPerDay < 0 {
		days--
	}
	dst, bc := appendCivil(dst, days)
	dst = appendClock(append(dst, ' '), micros-days*microsecondsPerDay)
	if zoned {
		dst = appendOffset(dst, offset)
	}
	if bc {
		dst = append(dst, " BC"...)
	}
	return dst
}

func appendOffset(dst []byte, seconds int) []byte {
	sign := byte('+')
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	dst = append(dst, sign)
	if hours := int64(seconds / 3600); hours > 99 { // of a zone that is made up
		dst = strconv.AppendInt(dst, hours, 10)
	} else {
		dst = appendTwo(dst, hours)
	}
	if seconds%3600 != 0 {
		dst = appendTwo(append(dst, ':'), int64(seconds/60%60))
	}
	if seconds%60 != 0 {
		dst = appendTwo(append(dst, ':'), int64(seconds%60))
	}
	return dst
}

// stamp is what a date or timestamp literal says.
type stamp struct {
	days    int64
	micros  int64 // of the day; may be a whole day for 24:00:00
	hasTime bool
	zone    *time.Location
	offset  int64 // seconds east of UTC
	hasZone bool
	special int64 // TimestampInfinity, TimestampMinusInfinty, or 0
}

func (r *Reading) parseDate(s string) (Datum, error) {
	st, err := r.parseStamp(Date, s)
	if err != nil {
		return Datum{}, err
	}
	switch st.special {
	case TimestampInfinity:
		return MakeInt(Date, DateInfinity), nil
	case TimestampMinusInfinty:
		return MakeInt(Date, DateMinusInfinity), nil
	}
	if st.days < minDay || st.days > maxDay {
		return Datum{}, errorf(codeDatetimeRange, "date out of range: %q", clip(s))
	}
	return MakeInt(Date, st.days), nil
}

func (r *Reading) parseTimestamp(t Type, s string) (Datum, error) {
	st, err := r.parseStamp(t, s)
	if err != nil {
		return Datum{}, err
	}
	if st.special != 0 {
		return MakeInt(t, st.special), nil
	}
	if st.days < minDay || st.days > endTimestamp/microsecondsPerDay {
		return Datum{}, errorf(codeDatetimeRange, "timestamp out of range: %q", clip(s))
	}
	micros := st.days*microsecondsPerDay + st.micros
	if t == Timestamptz {
		switch {
		case st.hasZone && st.zone == nil:
			micros -= st.offset * microsPerSecond
		case st.hasZone:
			micros = ToZone(micros, st.zone)
		case r.Location != nil:
			micros = ToZone(micros, r.Location)
		}
	}
	if micros < minTimestamp || micros >= endTimestamp {
		return Datum{}, errorf(codeDatetimeRange, "timestamp out of range: %q", clip(s))
	}
	return MakeInt(t, micros), nil
}

// ToZone reads the wall clock micros in loc and returns the point in time. Where the
// clock is set forward and skips the time, it is read as before that; where it is set
// back and shows the time twice, as after that.
func ToZone(micros int64, loc *time.Location) int64 {
	offset := func(at int64) int64 {
		_, seconds := time.UnixMicro(at + EpochMicros).In(loc).Zone()
		return int64(seconds) * microsPerSecond
	}
	before, after := offset(micros-microsecondsPerDay), offset(micros+microsecondsPerDay)
	if at := micros - after; offset(at) == after {
		return at
	}
	return micros - before
}

// FromZone returns the wall clock in loc at a point in time.
func FromZone(micros int64, loc *time.Location) int64 {
	_, offset := time.UnixMicro(micros + EpochMicros).In(loc).Zone()
	return micros + int64(offset)*microsPerSecond
}

// parseStamp reads the ISO forms, or what PostgreSQL takes for a date otherwise.
func (r *Reading) parseStamp(t Type, s string) (stamp, error) {
	st, err := parseISO(t, s)
	if err != nil {
		return r.decodeTime(t, strings.TrimSpace(s), s, err)
	}
	return st, nil
}

// parseISO reads the ISO forms, with the endings that PostgreSQL allows.
func parseISO(t Type, s string) (stamp, error) {
	var st stamp
	text := strings.TrimSpace(s)
	switch strings.ToLower(text) {
	case "infinity", "+infinity":
		st.special = TimestampInfinity
		return st, nil
	case "-infinity":
		st.special = TimestampMinusInfinty
		return st, nil
	case "epoch":
		st.days = -EpochDays
		return st, nil
	}
	bc := false
	if n := len(text) - 3; n > 0 && strings.EqualFold(text[n:], " bc") {
		text, bc = strings.TrimSpace(text[:n]), true
	} else if n > 0 && strings.EqualFold(text[n:], " ad") {
		text = strings.TrimSpace(text[:n])
	}
	bad := errBadTime(t, s)
	y, m, d, rest, ok := scanCivil(text)
	if !ok || strings.HasPrefix(rest, "-") {
		return st, bad
	}
	if bc {
		y = 1 - y
	}
	if m < 1 || m > 12 || d < 1 || d > monthDays(y, m) || y == 0 && !bc {
		return st, errorf(codeDatetimeRange, "date/time field value out of range: %q", clip(s))
	}
	st.days = daysFromCivil(y, m, d)
	rest = strings.TrimLeft(rest, " ")
	if len(rest) > 1 && (rest[0] == 'T' || rest[0] == 't') && isDigit(rest[1]) {
		rest = rest[1:]
	}
	if rest != "" && isDigit(rest[0]) {
		st.hasTime = true
		var rng bool
		if st.micros, rest, ok, rng = scanClock(rest); !ok {
			return st, bad
		} else if rng {
			return st, errorf(codeDatetimeRange, "date/time field value out of range: %q", clip(s))
		}
		if st.micros, rest, ok = halfDay(st.micros, rest); !ok {
			return st, errorf(codeDatetimeRange, "date/time field value out of range: %q", clip(s))
		}
	} else if strings.EqualFold(rest, "allballs") {
		st.hasTime, st.hasZone, rest = true, true, ""
	}
	return st, st.scanZone(strings.TrimLeft(rest, " "), bad)
}

func (st *stamp) scanZone(rest string, bad *Error) error {
	if rest == "" {
		return nil
	}
	st.hasZone = true
	if strings.EqualFold(rest, "z") || strings.EqualFold(rest, "utc") || strings.EqualFold(rest, "gmt") {
		return nil
	}
	if rest[0] == '+' || rest[0] == '-' {
		seconds, ok := scanOffset(rest[1:])
		if !ok {
			return bad
		}
		if rest[0] == '-' {
			seconds = -seconds
		}
		st.offset = seconds
		return nil
	}
	if seconds, ok := zoneAbbreviations[strings.ToLower(rest)]; ok {
		st.offset = seconds
		return nil
	}
	if strings.Contains(movingAbbreviations, " "+strings.ToLower(rest)+" ") {
		return errorf(codeNotSupported, "the time zone abbreviation %q is not supported: name the zone in full, or its offset", clip(rest))
	}
	loc, err := LoadZone(rest)
	if err != nil || isDigit(rest[0]) {
		return bad
	}
	st.zone = loc
	return nil
}

// scanOffset reads HH, HHMM, HH:MM or HH:MM:SS.
func scanOffset(s string) (int64, bool) {
	parts := strings.Split(s, ":")
	if len(parts) == 1 && len(s) == 4 {
		parts = []string{s[:2], s[2:]}
	}
	if len(parts) > 3 {
		return 0, false
	}
	total, unit := int64(0), int64(3600)
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 8)
		if err != nil || len(p) > 2 || i == 0 && n > 15 || i > 0 && n > 59 {
			return 0, false
		}
		total += int64(n) * unit
		unit /= 60
	}
	return total, true
}

// scanCivil reads YYYY-MM-DD or YYYYMMDD at the start of s.
func scanCivil(s string) (y int64, m, d int, rest string, ok bool) {
	n := leadingDigits(s)
	if n == 8 && (len(s) == 8 || s[8] != '-') {
		y, _ = strconv.ParseInt(s[:4], 10, 64)
		m, _ = strconv.Atoi(s[4:6])
		d, _ = strconv.Atoi(s[6:8])
		return y, m, d, s[8:], true
	}
	if n < 3 || n > 7 || len(s) <= n || s[n] != '-' && s[n] != '/' {
		return 0, 0, 0, "", false
	}
	sep := s[n]
	y, _ = strconv.ParseInt(s[:n], 10, 64)
	s = s[n+1:]
	if n = leadingDigits(s); n < 1 || n > 2 || len(s) <= n || s[n] != sep {
		return 0, 0, 0, "", false
	}
	m, _ = strconv.Atoi(s[:n])
	s = s[n+1:]
	if n = leadingDigits(s); n < 1 || n > 2 {
		return 0, 0, 0, "", false
	}
	d, _ = strconv.Atoi(s[:n])
	return y, m, d, s[n:], true
}

func leadingDigits(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

// scanClock reads HH:MM[:SS[.ffffff]]; outside says that a field is too large.
func scanClock(s string) (micros int64, rest string, ok, outside bool) {
	var fields [3]int64
	count := 0
	for count < 3 {
		n := leadingDigits(s)
		if n < 1 || n > 2 {
			return 0, "", false, false
		}
		fields[count], _ = strconv.ParseInt(s[:n], 10, 64)
		s = s[n:]
		count++
		if s == "" || s[0] != ':' {
			break
		}
		s = s[1:]
	}
	if count < 2 {
		return 0, "", false, false
	}
	var fraction int64
	if count == 3 && s != "" && s[0] == '.' {
		n := leadingDigits(s[1:])
		f, _ := strconv.ParseFloat("0."+s[1:1+n]+"0", 64)
		fraction = int64(math.RoundToEven(f * microsPerSecond))
		s = s[1+n:]
	}
	micros = fields[0]*microsPerHour + fields[1]*microsPerMinute + fields[2]*microsPerSecond + fraction
	outside = fields[1] > 59 || fields[2] > 60 || micros > microsecondsPerDay
	return micros, s, true, outside
}

func monthDays(y int64, m int) int {
	switch m {
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	default:
		return 31
	}
}

// parseTimeOfDay reads a clock with the zone that a timetz may have, or a timestamp, of
// which it takes the clock.
func parseTimeOfDay(t Type, s string, loc *time.Location) (Datum, error) {
	bad := errBadTime(t, s)
	text := strings.TrimSpace(s)
	var st stamp
	at := time.Now()
	if n := leadingDigits(text); n == len(text) && (n == 4 || n == 6) { // without colons
		text = text[:n-2] + ":" + text[n-2:]
		if n == 6 {
			text = text[:2] + ":" + text[2:]
		}
	}
	micros, rest, ok, outside := scanClock(text)
	switch {
	case ok && outside:
		return Datum{}, errorf(codeDatetimeRange, "date/time field value out of range: %q", clip(s))
	case ok:
		if st.micros, rest, ok = halfDay(micros, rest); !ok {
			return Datum{}, errorf(codeDatetimeRange, "date/time field value out of range: %q", clip(s))
		}
		if err := st.scanZone(strings.TrimLeft(rest, " "), bad); err != nil {
			return Datum{}, err
		}
	default:
		var err error
		if st, err = (&Reading{Location: loc}).parseStamp(t, s); err != nil {
			return Datum{}, err
		}
		if !st.hasTime {
			return Datum{}, bad
		}
		at = time.UnixMicro(st.days*microsecondsPerDay + st.micros + EpochMicros)
	}
	if t == Time {
		return MakeInt(Time, st.micros), nil
	}
	if st.hasZone && st.zone == nil {
		return MakeTimetz(st.micros, int32(-st.offset)), nil
	}
	if st.hasZone {
		loc = st.zone
	}
	return MakeTimetz(st.micros, WestOf(loc, at)), nil
}

// WestOf is the offset of a zone (nil: UTC) as a timetz has it.
func WestOf(loc *time.Location, at time.Time) int32 {
	if loc == nil {
		return 0
	}
	_, east := at.In(loc).Zone()
	return int32(-east)
}

// halfDay reads AM or PM behind a clock; ok is false if the hour is not one of 1 to 12.
func halfDay(micros int64, rest string) (int64, string, bool) {
	word := strings.TrimLeft(rest, " ")
	if len(word) < 2 || !strings.EqualFold(word[:2], "am") && !strings.EqualFold(word[:2], "pm") {
		return micros, rest, true
	}
	hour := micros / microsPerHour
	if hour < 1 || hour > 12 {
		return 0, "", false
	}
	micros -= hour * microsPerHour
	if strings.EqualFold(word[:2], "pm") {
		hour = hour%12 + 12
	} else {
		hour %= 12
	}
	return micros + hour*microsPerHour, word[2:], true
}

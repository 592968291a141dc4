package datum

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// parseInterval reads an interval in all of PostgreSQL's forms: units behind numbers, in any
// order and with an "ago" at the end, a clock, SQL's year-month and day-time literals, ISO 8601.
func parseInterval(s string) (Datum, error) { return ParseIntervalFields(s, fieldsOfAnyone) }

// ParseIntervalFields reads the text of an interval whose type names fields: these say what a bare
// number is, and what is smaller is cut off.
func ParseIntervalFields(s string, fields int32) (Datum, error) {
	d, err := readInterval(s, fields)
	switch {
	case errors.Is(err, errSpanOverflow):
		return d, errorf(codeIntervalRange, "interval field value out of range: %q", clip(s))
	case errors.Is(err, errSpanForm):
		return d, errorf(codeBadDatetime, "invalid input syntax for type interval: %q", clip(s))
	case err != nil:
		return d, err
	case fields == fieldsOfAnyone:
		return d, nil
	}
	return cutInterval(d, fields<<16|exactSeconds), nil
}

var (
	errSpanForm     = errors.New("an interval of no form")
	errSpanOverflow = errors.New("an interval out of range")
)

// readInterval is PostgreSQL's interval_in, without what it says of errors.
func readInterval(s string, fields int32) (Datum, error) {
	span := &spanReader{fields: fields}
	tokens, err := spanTokens(s)
	if err == nil {
		err = span.decode(tokens)
	}
	if errors.Is(err, errSpanForm) {
		span = &spanReader{}
		err = span.iso(s)
	}
	if err != nil {
		return Datum{}, err
	}
	months := span.years*12 + span.months
	if months != int64(int32(months)) {
		return Datum{}, errorf(codeDatetimeRange, "interval out of range")
	}
	return MakeInterval(int32(months), int32(span.days), span.micros), nil
}

// spanKind is what a token of an interval is.
type spanKind uint8

const (
	spanNumber spanKind = iota
	spanDate            // also SQL's year-month
	spanSigned          // a number or a clock with its sign
	spanClock
	spanWord
)

type spanToken struct {
	kind spanKind
	text string
}

// mostSpanTokens and mostSpanBytes bound an interval as PostgreSQL does.
const (
	mostSpanTokens = 25
	mostSpanBytes  = 256
)

func isBlank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// spanTokens takes an interval apart as PostgreSQL's ParseDateTime does.
func spanTokens(s string) ([]spanToken, error) {
	var out []spanToken
	bytes := 0
	for i := 0; i < len(s); {
		c := s[i]
		end, kind, text := i+1, spanNumber, ""
		switch {
		case isBlank(c):
			i++
			continue
		case isDigit(c):
			end, kind = digitToken(s, i)
		case c == '.':
			end = runOf(s, end, isDigit)
		case isAlpha(c):
			end, kind = wordToken(s, i)
		case c == '+' || c == '-':
			at := runOf(s, i+1, isBlank)
			switch {
			case at < len(s) && (isDigit(s[at]) || s[at] == '.'):
				end, kind = runOf(s, at+1, func(c byte) bool { return isDigit(c) || c == ':' || c == '.' || c == '-' }), spanSigned
			case at < len(s) && isAlpha(s[at]):
				end, kind = runOf(s, at, isAlpha), spanWord
			default:
				return nil, errSpanForm
			}
			text = s[i:i+1] + s[at:end]
		case c > ' ' && c < 0x7f: // other punctuation
			i++
			continue
		default:
			return nil, errSpanForm
		}
		if text == "" {
			text = s[i:end]
		}
		bytes += len(text) + 1
		if len(out) == mostSpanTokens || bytes > mostSpanBytes {
			return nil, errSpanForm
		}
		out = append(out, spanToken{kind, strings.ToLower(text)})
		i = end
	}
	return out, nil
}

// runOf is the end of what begins at i and is of a kind.
func runOf(s string, i int, of func(byte) bool) int {
	for i < len(s) && of(s[i]) {
		i++
	}
	return i
}

// digitToken is what begins with a digit.
func digitToken(s string, i int) (end int, kind spanKind) {
	end = runOf(s, i, isDigit)
	if end == len(s) {
		return end, spanNumber
	}
	switch delimiter := s[end]; delimiter {
	case ':':
		return runOf(s, end, func(c byte) bool { return isDigit(c) || c == ':' || c == '.' }), spanClock
	case '-', '/', '.':
		end++
		if end == len(s) || !isDigit(s[end]) {
			return runOf(s, end, func(c byte) bool { return isDigit(c) || isAlpha(c) || c == delimiter }), spanDate
		}
		if kind = spanDate; delimiter == '.' {
			kind = spanNumber
		}
		if end = runOf(s, end, isDigit); end < len(s) && s[end] == delimiter {
			return runOf(s, end, func(c byte) bool { return isDigit(c) || c == delimiter }), spanDate
		}
		return end, kind
	}
	return end, spanNumber
}

// dateWords are the words of dates that are units, too: a number may stand behind one without
// a blank, 1y2mon.
var dateWords = words("d dec dow doy h isodow isoyear j jd m mm mon s t y am pm at bc ad on now")

func words(list string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(list) {
		out[w] = true
	}
	return out
}

// wordToken is what begins with a letter.
func wordToken(s string, i int) (end int, kind spanKind) {
	end = runOf(s, i, isAlpha)
	if end == len(s) {
		return end, spanWord
	}
	c := s[end]
	if c == '-' || c == '/' || c == '.' || (c == '+' || isDigit(c)) && !dateWords[strings.ToLower(s[i:end])] {
		return runOf(s, end, func(c byte) bool { return isDigit(c) || isAlpha(c) || strings.IndexByte("+-/_.:", c) >= 0 }), spanDate
	}
	return end, spanWord
}

// spanUnit is a unit of an interval.
type spanUnit uint8

const (
	noUnit spanUnit = iota
	unitMicrosecond
	unitMillisecond
	unitSecond
	unitMinute
	unitHour
	unitDay
	unitWeek
	unitMonth
	unitYear
	unitDecade
	unitCentury
	unitMillennium
	unitOther // one that there is, but not of intervals
	unitAgo
	unitIgnored
)

// spanUnits are the units by their names, of which the first ten letters count.
var spanUnits = func() map[string]spanUnit {
	out := map[string]spanUnit{}
	for unit, names := range map[spanUnit]string{
		unitMicrosecond: "microsecon us usec usecond useconds usecs", unitMillisecond: "millisecon ms msec msecond mseconds msecs",
		unitSecond: "s sec second seconds secs", unitMinute: "m min mins minute minutes", unitHour: "h hour hours hr hrs", unitDay: "d day days",
		unitWeek: "w week weeks", unitMonth: "mon mons month months", unitYear: "y year years yr yrs", unitDecade: "dec decade decades decs",
		unitCentury: "c cent centuries century", unitMillennium: "mil millennia millennium mils", unitOther: "qtr quarter timezone timezone_h timezone_m",
		unitAgo: "ago", unitIgnored: "@",
	} {
		for _, name := range strings.Fields(names) {
			out[name] = unit
		}
	}
	return out
}()

// spanReader adds up the fields of an interval.
type spanReader struct {
	fields                      int32 // those of its type
	years, months, days, micros int64
}

// decode is PostgreSQL's DecodeInterval: from the end, so that units come before their numbers.
func (x *spanReader) decode(tokens []spanToken) error {
	unit, seen, before := noUnit, uint32(0), false
	for i := len(tokens) - 1; i >= 0; i-- {
		t := tokens[i]
		var mask uint32
		var err error
		switch clock := t.kind == spanClock; {
		case !clock && t.kind == spanSigned && strings.IndexByte(t.text[1:], ':') >= 0 && x.clock(t.text[1:]) == nil:
			if t.text[0] == '-' {
				x.micros = -x.micros
			}
			unit, mask = unitDay, clockMask
		case clock:
			err = x.clock(t.text)
			unit, mask = unitDay, clockMask
		case t.kind == spanWord:
			switch u := spanUnits[t.text[:min(len(t.text), 10)]]; u {
			case unitIgnored:
				continue
			case noUnit:
				return errSpanForm
			case unitAgo:
				before, unit = true, unitOther
			default:
				unit = u
			}
		default:
			if unit == noUnit {
				unit = x.bare()
			}
			unit, mask, err = x.number(t.text, unit)
		}
		if err != nil {
			return err
		}
		if mask&seen != 0 {
			return errSpanForm
		}
		seen |= mask
	}
	if seen == 0 {
		return errSpanForm
	}
	if before {
		return x.negate()
	}
	return nil
}

// clockMask are the units of a clock.
const clockMask = 1<<unitHour | 1<<unitMinute | secondsMask

// secondsMask are the units of seconds with a fraction.
const secondsMask = 1<<unitSecond | 1<<unitMillisecond | 1<<unitMicrosecond

func (x *spanReader) negate() error {
	if x.micros == math.MinInt64 || x.days == math.MinInt32 || x.months == math.MinInt32 || x.years == math.MinInt32 {
		return errSpanOverflow
	}
	x.micros, x.days, x.months, x.years = -x.micros, -x.days, -x.months, -x.years
	return nil
}

// bare is the unit of a number at the end without one.
func (x *spanReader) bare() spanUnit {
	switch name, _ := smallestField(x.fields); name {
	case "year":
		return unitYear
	case "month":
		return unitMonth
	case "day":
		return unitDay
	case "hour":
		return unitHour
	case "minute":
		return unitMinute
	}
	return unitSecond
}

// clock reads HH:MM[:SS[.ffffff]], or MM:SS of a type of these.
func (x *spanReader) clock(s string) error {
	hour, rest, err := leadingInt(s, 64)
	if err != nil || !strings.HasPrefix(rest, ":") {
		return formOr(err)
	}
	minute, rest, err := leadingInt(rest[1:], 32)
	if err != nil {
		return err
	}
	var second int64
	fraction := 0.0
	if strings.HasPrefix(rest, ":") {
		if second, rest, err = leadingInt(rest[1:], 32); err != nil {
			return err
		}
	} else if rest != "" || x.fields == fieldMinute|fieldSecond {
		hour, minute, second = 0, hour, minute
	}
	if rest != "" {
		if fraction, err = spanFraction(rest); err != nil {
			return err
		}
	}
	if hour < 0 || minute < 0 || minute > 59 || second < 0 || second > 60 {
		return errSpanOverflow
	}
	x.micros = int64(math.RoundToEven(fraction * microsPerSecond))
	for _, part := range [][2]int64{{hour, microsPerHour}, {minute, microsPerMinute}, {second, microsPerSecond}} {
		if err := x.addMicros(part[0], 0, part[1]); err != nil {
			return err
		}
	}
	return nil
}

func formOr(err error) error {
	if err == nil {
		return errSpanForm
	}
	return err
}

// leadingInt reads the integer that s begins with, which may be none: 0.
func leadingInt(s string, bits int) (n int64, rest string, err error) {
	i := 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	end := runOf(s, i, isDigit)
	if end == i {
		return 0, s, nil
	}
	if n, err = strconv.ParseInt(s[:end], 10, bits); err != nil {
		return 0, "", errSpanOverflow
	}
	return n, s[end:], nil
}

// spanFraction reads .ddd, whose digits may be none.
func spanFraction(s string) (float64, error) {
	if s == "." {
		return 0, nil
	}
	f, err := strconv.ParseFloat("0"+s, 64)
	if s[0] != '.' || err != nil {
		return 0, errSpanForm
	}
	return f, nil
}

// number adds a number of a unit; next is the unit of what stands before it without one.
func (x *spanReader) number(s string, unit spanUnit) (next spanUnit, mask uint32, err error) {
	n, rest, err := leadingInt(s, 64)
	if err != nil {
		return unit, 0, err
	}
	fraction := 0.0
	switch {
	case strings.HasPrefix(rest, "-"): // SQL's years-months
		months, end, err := leadingInt(rest[1:], 32)
		if err != nil || months < 0 || months >= 12 {
			return unit, 0, errSpanOverflow
		}
		if end != "" {
			return unit, 0, errSpanForm
		}
		if s[0] == '-' {
			months = -months
		}
		if n > math.MaxInt64/24 || n < math.MinInt64/24 {
			return unit, 0, errSpanOverflow
		}
		n, unit = n*12+months, unitMonth
	case strings.HasPrefix(rest, "."):
		if fraction, err = spanFraction(rest); err != nil {
			return unit, 0, err
		}
		if s[0] == '-' {
			fraction = -fraction
		}
	case rest != "":
		return unit, 0, errSpanForm
	}
	mask = 1 << unit
	if unit == unitSecond && fraction != 0 {
		mask = secondsMask
	}
	if err = x.add(n, fraction, unit); unit == unitHour {
		unit = unitDay
	}
	return unit, mask, err
}

// add adds a number and a fraction of a unit, as PostgreSQL rounds them.
func (x *spanReader) add(n int64, fraction float64, unit spanUnit) error {
	var err error
	years := func(of int64) {
		if err = addField(&x.years, n, of); err == nil {
			err = addField(&x.months, int64(math.RoundToEven(fraction*float64(of)*12)), 1)
		}
	}
	switch unit {
	case unitMicrosecond:
		err = x.addMicros(n, fraction, 1)
	case unitMillisecond:
		err = x.addMicros(n, fraction, 1000)
	case unitSecond:
		err = x.addMicros(n, fraction, microsPerSecond)
	case unitMinute:
		err = x.addMicros(n, fraction, microsPerMinute)
	case unitHour:
		err = x.addMicros(n, fraction, microsPerHour)
	case unitDay:
		if err = addField(&x.days, n, 1); err == nil {
			err = x.addFraction(fraction, microsecondsPerDay)
		}
	case unitWeek:
		if err = addField(&x.days, n, 7); err == nil {
			err = x.addDays(fraction, 7)
		}
	case unitMonth:
		if err = addField(&x.months, n, 1); err == nil {
			err = x.addDays(fraction, 30)
		}
	case unitYear:
		years(1)
	case unitDecade:
		years(10)
	case unitCentury:
		years(100)
	case unitMillennium:
		years(1000)
	default:
		err = errSpanForm
	}
	return err
}

// addField adds n of so many to a field of 32 bits.
func addField(field *int64, n, of int64) error {
	if n != int64(int32(n)) || n*of != int64(int32(n*of)) || *field+n*of != int64(int32(*field+n*of)) {
		return errSpanOverflow
	}
	*field += n * of
	return nil
}

func (x *spanReader) addMicros(n int64, fraction float64, of int64) error {
	product := n * of
	if n != 0 && (product/n != of || n == -1 && of == math.MinInt64) {
		return errSpanOverflow
	}
	sum := x.micros + product
	if (sum > x.micros) != (product > 0) {
		return errSpanOverflow
	}
	x.micros = sum
	return x.addFraction(fraction, of)
}

func (x *spanReader) addFraction(fraction float64, of int64) error {
	fraction *= float64(of)
	whole := int64(fraction)
	switch fraction -= float64(whole); {
	case fraction > 0.5:
		whole++
	case fraction < -0.5:
		whole--
	}
	sum := x.micros + whole
	if (sum > x.micros) != (whole > 0) {
		return errSpanOverflow
	}
	x.micros = sum
	return nil
}

func (x *spanReader) addDays(fraction float64, of int64) error {
	fraction *= float64(of)
	whole := int64(fraction)
	if err := addField(&x.days, whole, 1); err != nil {
		return err
	}
	return x.addFraction(fraction-float64(whole), microsecondsPerDay)
}

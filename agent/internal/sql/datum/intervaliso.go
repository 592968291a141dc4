package datum

import (
	"math"
	"strconv"
	"strings"
)

// iso reads an interval of ISO 8601: P1Y2M3DT4H5M6.7S, and its alternative forms P0001-02-03T04:05:06
// and P00010203T040506.
func (x *spanReader) iso(s string) error {
	if len(s) < 2 || s[0] != 'P' {
		return errSpanForm
	}
	s = s[1:]
	date, before := true, false // whether a field came before
	for s != "" {
		if s[0] == 'T' {
			date, before, s = false, false, s[1:]
			continue
		}
		digits := isoWidth(s)
		n, fraction, rest, err := isoNumber(s)
		if err != nil {
			return err
		}
		unit := byte(0)
		if s = rest; s != "" {
			unit, s = s[0], s[1:]
		}
		var done bool
		if date {
			done, date, s, err = x.isoDate(n, fraction, unit, s, digits == 8 && !before, before)
			before = date
		} else {
			done, err = x.isoClock(n, fraction, unit, s, digits == 6 && !before, before)
			before = true
		}
		if err != nil || done {
			return err
		}
	}
	return nil
}

// isoDate adds a field of a date. It is done at the end of the alternative forms; still says that
// a field of a date may follow.
func (x *spanReader) isoDate(n int64, fraction float64, unit byte, s string, basic, before bool) (done, still bool, rest string, err error) {
	switch unit {
	case 'Y':
		return false, true, s, x.add(n, fraction, unitYear)
	case 'M':
		return false, true, s, x.add(n, fraction, unitMonth)
	case 'W':
		return false, true, s, x.add(n, fraction, unitWeek)
	case 'D':
		return false, true, s, x.add(n, fraction, unitDay)
	case 'T', 0, '-':
	default:
		return true, false, s, errSpanForm
	}
	if basic && unit != '-' {
		if err = x.add(n/10000, 0, unitYear); err == nil {
			err = x.add(n/100%100, 0, unitMonth)
		}
		if err == nil {
			err = x.add(n%100, fraction, unitDay)
		}
		return unit == 0, false, s, err
	}
	if before {
		return true, false, s, errSpanForm
	}
	err = x.add(n, fraction, unitYear)
	if err != nil || unit != '-' {
		return unit == 0, false, s, err
	}
	for _, next := range []spanUnit{unitMonth, unitDay} {
		if n, fraction, s, err = isoNumber(s); err == nil {
			err = x.add(n, fraction, next)
		}
		switch {
		case err != nil || s == "":
			return true, false, s, err
		case s[0] == 'T':
			return false, false, s[1:], nil
		case s[0] != '-' || next == unitDay:
			return true, false, s, errSpanForm
		}
		s = s[1:]
	}
	return true, false, s, nil
}

// isoClock adds a field of a clock; it is done at the end of the alternative forms.
func (x *spanReader) isoClock(n int64, fraction float64, unit byte, s string, basic, before bool) (done bool, err error) {
	switch unit {
	case 'H':
		return false, x.add(n, fraction, unitHour)
	case 'M':
		return false, x.add(n, fraction, unitMinute)
	case 'S':
		return false, x.add(n, fraction, unitSecond)
	case 0, ':':
	default:
		return true, errSpanForm
	}
	if basic && unit == 0 {
		if err = x.add(n/10000, 0, unitHour); err == nil {
			err = x.add(n/100%100, 0, unitMinute)
		}
		if err == nil {
			err = x.add(n%100, 0, unitSecond)
		}
		if err == nil {
			err = x.addFraction(fraction, 1)
		}
		return true, err
	}
	if before {
		return true, errSpanForm
	}
	if err = x.add(n, fraction, unitHour); err != nil || unit == 0 {
		return true, err
	}
	for _, next := range []spanUnit{unitMinute, unitSecond} {
		if n, fraction, s, err = isoNumber(s); err == nil {
			err = x.add(n, fraction, next)
		}
		switch {
		case err != nil || s == "":
			return true, err
		case s[0] != ':' || next == unitSecond:
			return true, errSpanForm
		}
		s = s[1:]
	}
	return true, nil
}

// isoWidth is how many digits s begins with behind signs.
func isoWidth(s string) int {
	s = strings.TrimLeft(s, "-")
	return runOf(s, 0, isDigit)
}

// isoNumber reads the number that s begins with.
func isoNumber(s string) (n int64, fraction float64, rest string, err error) {
	if s == "" || !isDigit(s[0]) && s[0] != '-' && s[0] != '.' {
		return 0, 0, s, errSpanForm
	}
	end := 0
	if s[0] == '-' {
		end++
	}
	end = runOf(s, end, isDigit)
	if end < len(s) && s[end] == '.' {
		end = runOf(s, end+1, isDigit)
	}
	if e := end; e < len(s) && s[e]|0x20 == 'e' {
		if e++; e < len(s) && (s[e] == '-' || s[e] == '+') {
			e++
		}
		if after := runOf(s, e, isDigit); after > e {
			end = after
		}
	}
	f, err := strconv.ParseFloat(s[:end], 64)
	switch {
	case math.IsInf(f, 0), f < -1e15, f > 1e15:
		return 0, 0, s, errSpanOverflow
	case err != nil:
		return 0, 0, s, errSpanForm
	}
	whole := math.Trunc(f)
	return int64(whole), f - whole, s[end:], nil
}

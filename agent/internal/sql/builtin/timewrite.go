package builtin

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// timeFormats are to_char of times, to_date and to_timestamp.
var timeFormats = append(append([]Function{
	{Name: "to_date", Args: []datum.Type{datum.Text, datum.Text}, Result: datum.Date, Eval: toDate},
	{Name: "to_timestamp", Args: []datum.Type{datum.Text, datum.Text}, Result: datum.Timestamptz, Zoned: true, Eval: toTimestamp},
}, timeToChar(datum.Timestamptz), timeToChar(datum.Timestamp)), timeToChar(datum.Interval))

func timeToChar(t datum.Type) Function {
	return Function{Name: "to_char", Args: []datum.Type{t, datum.Text}, Result: datum.Text, Zoned: t == datum.Timestamptz, Eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
		if a[1].S == "" || t != datum.Interval && datum.InfiniteTime(a[0].I) {
			return datum.MakeNull(datum.Text), nil
		}
		c := clockOf(env, a[0])
		var out strings.Builder
		for _, p := range parseTimeFormat(a[1].S) {
			if p.kind != patternPart {
				out.WriteString(p.text)
				continue
			}
			text, err := c.write(p)
			if err != nil {
				return datum.Datum{}, err
			}
			out.WriteString(text)
		}
		return datum.MakeText(out.String()), nil
	}}
}

// clock is what to_char writes of.
type clock struct {
	year, month, day, hour, minute, second, micro int64
	dayOfYear, julian                             int64
	zone                                          string
	east                                          int // seconds
	interval                                      bool
}

func clockOf(env *Env, v datum.Datum) *clock {
	c := &clock{}
	micros := v.I
	if v.Type == datum.Interval {
		c.interval = true
		c.year, c.month, c.day = int64(v.Months/12), int64(v.Months%12), int64(v.Days)
		c.dayOfYear = (c.year*12+c.month)*daysOfMonth + c.day
	} else {
		local := wall(env, v)
		if v.Type == datum.Timestamptz {
			c.zone, c.east = time.UnixMicro(v.I + datum.EpochMicros).In(env.Location).Zone()
			if c.zone == "" {
				c.zone = offsetOf(c.east, 2)
			}
		}
		days, rest := datum.SplitDay(local)
		y, m, d := datum.Civil(days)
		c.year, c.month, c.day, micros = y, int64(m), int64(d), rest
		c.dayOfYear = days - julianOf(y, 1, 1) + julian(0) + 1
	}
	c.hour, c.minute, c.second, c.micro = micros/hour, micros%hour/minute, micros%minute/second, micros%second
	c.julian = julianOf(c.year, c.month, c.day)
	return c
}

// offsetOf is an offset with so many digits of hours, and minutes if there are any.
func offsetOf(east, digits int) string {
	sign := "+"
	if east < 0 {
		sign, east = "-", -east
	}
	out := fmt.Sprintf("%s%0*d", sign, digits, east/3600)
	if m := east / 60 % 60; m != 0 {
		out += fmt.Sprintf(":%02d", m)
	}
	return out
}

// write is what a pattern stands for.
func (c *clock) write(p timePart) (string, error) {
	if n, width, ok := c.number(p.pattern.name); ok {
		if p.fill && !alwaysFilled(p.pattern.name) {
			width = 0
		}
		text := fmt.Sprintf("%0*d", width, n)
		if p.pattern.name == "Y,YYY" {
			text = fmt.Sprintf("%d,%03d", n/1000, n%1000)
		}
		return text + ordinal(text, p.ordinal), nil
	}
	switch p.pattern.name {
	case "AM", "PM", "A.M.", "P.M.":
		return alike(p, halfOf(c.hour, "AM", "PM")), nil
	case "RM":
		return c.roman(p), nil
	case "Q":
		if c.month == 0 {
			return "", nil
		}
		text := strconv.FormatInt((c.month-1)/3+1, 10)
		return text + ordinal(text, p.ordinal), nil
	case "FX":
		return "", nil
	}
	if c.interval {
		return "", &datum.Error{Code: "22007", Message: "invalid format specification for an interval value"}
	}
	return c.word(p), nil
}

func halfOf(hour int64, first, second string) string {
	if hour%24 >= 12 {
		return second
	}
	return first
}

// word is what patterns stand for that intervals do not have.
func (c *clock) word(p timePart) string {
	switch p.pattern.name {
	case "AD", "BC", "A.D.", "B.C.":
		era := "AD"
		if c.year <= 0 {
			era = "BC"
		}
		return alike(p, era)
	case "MONTH":
		return name(p, time.Month(c.month).String(), longest)
	case "MON":
		return name(p, time.Month(c.month).String()[:3], 0)
	case "DAY":
		return name(p, time.Weekday(weekday(c.julian)).String(), longest)
	case "DY":
		return name(p, time.Weekday(weekday(c.julian)).String()[:3], 0)
	case "D", "ID":
		d := weekday(c.julian)
		if p.pattern.name == "D" {
			d++
		} else if d == 0 {
			d = 7
		}
		text := strconv.FormatInt(d, 10)
		return text + ordinal(text, p.ordinal)
	case "TZ":
		if p.text == "tz" {
			return strings.ToLower(c.zone)
		}
		return c.zone
	case "TZH":
		hours, _, _ := strings.Cut(offsetOf(c.east, 2), ":")
		return hours
	case "TZM":
		return fmt.Sprintf("%02d", max(c.east, -c.east)/60%60)
	default: // OF
		if p.fill {
			return offsetOf(c.east, 0)
		}
		return offsetOf(c.east, 2)
	}
}

// longest is how many letters the names of months and days have.
const longest = 9

// name is a name as its pattern is written.
func name(p timePart, s string, width int) string {
	switch p.text {
	case strings.ToUpper(p.text):
		s = strings.ToUpper(s)
	case strings.ToLower(p.text):
		s = strings.ToLower(s)
	}
	if p.fill || p.local {
		return s
	}
	return fmt.Sprintf("%-*s", width, s)
}

// alike is two letters as a pattern is written: with dots, in lower case.
func alike(p timePart, s string) string {
	if strings.Contains(p.text, ".") {
		s = s[:1] + "." + s[1:] + "."
	}
	if p.text == strings.ToLower(p.text) {
		s = strings.ToLower(s)
	}
	return s
}

// romanMonths are numbers of months, the last one first.
var romanMonths = strings.Fields("XII XI X IX VIII VII VI V IV III II I") //nolint:gochecknoglobals // never changed

func (c *clock) roman(p timePart) string {
	at := 12 - c.month
	switch {
	case c.month == 0 && c.year == 0:
		return ""
	case c.month == 0 && c.year > 0:
		at = 0
	case c.month == 0:
		at = 11
	case c.month < 0:
		at = -1 - c.month
	}
	s := romanMonths[at]
	if p.text == "rm" {
		s = strings.ToLower(s)
	}
	if p.fill {
		return s
	}
	return fmt.Sprintf("%-4s", s)
}

// alwaysFilled reports whether FM has no effect.
func alwaysFilled(pattern string) bool {
	return pattern == "MS" || pattern == "US" || strings.HasPrefix(pattern, "FF")
}

// beside is a number of digits, and a place for the minus if there is one.
func beside(n int64, digits int) int {
	if n < 0 {
		digits++
	}
	return digits
}

// number is the number that a pattern stands for, and how many digits it has.
func (c *clock) number(pattern string) (n int64, width int, ok bool) {
	switch pattern {
	case "HH", "HH12":
		if n = c.hour % 12; n == 0 {
			n = 12
		}
		return n, beside(c.hour, 2), true
	case "HH24":
		return c.hour, beside(c.hour, 2), true
	case "MI":
		return c.minute, beside(c.minute, 2), true
	case "SS":
		return c.second, beside(c.second, 2), true
	case "MS":
		return c.micro / 1000, 3, true
	case "US":
		return c.micro, 6, true
	case "SSSS", "SSSSS":
		return c.hour*3600 + c.minute*60 + c.second, 0, true
	case "MM":
		return c.month, beside(c.month, 2), true
	case "DDD":
		return c.dayOfYear, 3, true
	case "DD":
		return c.day, 2, true
	case "WW":
		return (c.dayOfYear-1)/7 + 1, 2, true
	case "W":
		return (c.day-1)/7 + 1, 0, true
	case "J":
		return c.julian, 0, true
	}
	if digits, ok := strings.CutPrefix(pattern, "FF"); ok {
		width = int(digits[0] - '0')
		n = c.micro
		for range 6 - width {
			n /= 10
		}
		return n, width, true
	}
	return c.years(pattern)
}

// years is number of the patterns of years and their weeks.
func (c *clock) years(pattern string) (n int64, width int, ok bool) {
	year, first := isoYearOf(c.year, c.julian)
	switch pattern {
	case "IW":
		return (c.julian-first)/7 + 1, 2, true
	case "IDDD":
		return c.julian - first + 1, 3, true
	case "CC":
		switch {
		case c.interval:
			n = c.year / 100
		case c.year > 0:
			n = (c.year-1)/100 + 1
		default:
			n = c.year/100 - 1
		}
		return n, beside(n, 2), true
	case "Y,YYY", "YYYY", "YYY", "YY", "Y":
		year = c.year
	case "IYYY", "IYY", "IY", "I":
	default:
		return 0, 0, false
	}
	if !c.interval && year <= 0 {
		year = 1 - year
	}
	width = len(pattern)
	n = year
	for power, digits := int64(10), 1; digits < 4; power, digits = power*10, digits+1 {
		if digits == width {
			n %= power
		}
	}
	if c.interval { // of which the year that is written makes no difference
		year = c.year
	}
	return n, beside(year, width), true
}

// ordinal is what stands behind a number, as th or TH; "" of none.
func ordinal(number, like string) string {
	if like == "" {
		return ""
	}
	end := map[byte]string{'1': "st", '2': "nd", '3': "rd"}[number[len(number)-1]]
	if n := len(number); end == "" || n > 1 && number[n-2] == '1' {
		end = "th"
	}
	if like == "TH" {
		return strings.ToUpper(end)
	}
	return end
}

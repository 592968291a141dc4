package builtin

import (
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// readDate is what was read as a date that may not exist.
type readDate struct {
	y, m, d                   int64
	hasYear, hasMonth, hasDay bool
}

// setJulian takes the date of a number of a day as PostgreSQL does, of numbers below 0, too.
func (t *readDate) setJulian(j int64) {
	const daysOf400, daysOf4 = 146097, 1461
	n := uint32(j) + 32044
	quad := n / daysOf400
	extra := (n-quad*daysOf400)*4 + 3
	n += 60 + quad*3 + extra/daysOf400
	quad = n / daysOf4
	n -= quad * daysOf4
	y := n * 4 / daysOf4
	if y != 0 {
		n = (n+305)%365 + 123
	} else {
		n = (n+306)%366 + 123
	}
	y += quad * 4
	quad = n * 2141 / 65536
	*t = readDate{int64(int32(y)) - 4800, int64((quad+10)%12 + 1), int64(n - 7834*quad/256), true, true, true}
}

// date puts together what was read.
func (r *timeReader) date() (*readDate, error) {
	t := &readDate{m: 1, d: 1}
	r.setYear(t)
	if r.julian != 0 {
		t.setJulian(r.julian)
	}
	if r.week != 0 && r.of == isoWeeks {
		j := firstMonday(t.y) + (r.week-1)*7
		if r.weekday > 1 {
			j += r.weekday - 2
		} else if r.weekday == 1 {
			j += 6
		}
		t.setJulian(j)
	} else if r.week != 0 {
		r.dayOfYear = (r.week-1)*7 + 1
	}
	if r.weekOfMonth != 0 {
		r.day = (r.weekOfMonth-1)*7 + 1
	}
	if r.day != 0 {
		t.d, t.hasDay = r.day, true
	}
	if r.month != 0 {
		t.m, t.hasMonth = r.month, true
	}
	if r.dayOfYear != 0 && (t.m <= 1 || t.d <= 1) {
		if t.y == 0 && r.bc == 0 {
			return nil, errTime("cannot calculate day of year without year information")
		}
		if r.of == isoWeeks {
			t.setJulian(firstMonday(t.y) - 1 + r.dayOfYear)
		} else {
			t.setDayOfYear(r.dayOfYear)
		}
	}
	return t, nil
}

func (t *readDate) setDayOfYear(n int64) {
	i, before := int64(1), int64(0)
	for ; i <= 12; i++ {
		days := int64(datum.DaysOfMonth(t.y, int(i)))
		if n <= before+days {
			break
		}
		before += days
	}
	if t.m <= 1 {
		t.m = i
	}
	if t.d <= 1 {
		t.d = n - before
	}
	t.hasMonth, t.hasDay = true, true
}

// setYear takes the year, or the century, or both.
func (r *timeReader) setYear(t *readDate) {
	t.hasYear = r.year != 0 || r.century != 0
	if r.bc != 0 {
		r.century = -r.century
	}
	switch {
	case r.year != 0 && r.century != 0 && r.yearSize <= 2:
		t.y = r.year % 100
		switch {
		case t.y != 0 && r.century >= 0:
			t.y += (r.century - 1) * 100
		case t.y != 0:
			t.y = (r.century+1)*100 - t.y + 1
		case r.century >= 0:
			t.y = r.century * 100
		default:
			t.y = r.century*100 + 1
		}
	case r.year != 0:
		if t.y = r.year; r.bc != 0 {
			t.y = -t.y
		}
		if t.y < 0 {
			t.y++
		}
	case r.century > 0:
		t.y = (r.century-1)*100 + 1
	case r.century < 0:
		t.y = r.century*100 + 1
	}
}

// clock is the microseconds of the day; ok is false if there is no such time.
func (r *timeReader) clock() (micros int64, ok bool, err error) {
	h, m, s := r.seconds/3600, r.seconds%3600/60, r.seconds%60
	for _, f := range []struct{ to, from *int64 }{{&s, &r.second}, {&m, &r.minute}, {&h, &r.hour}} {
		if *f.from != 0 {
			*f.to = *f.from
		}
	}
	if r.half {
		if h < 1 || h > 12 {
			return 0, false, errTime(`hour "%d" is invalid for the 12-hour clock`, h)
		}
		if h %= 12; r.pm != 0 {
			h += 12
		}
	}
	micros = r.milli*1000 + r.micro
	ok = h >= 0 && h < 24 && m >= 0 && m < 60 && s >= 0 && s < 60 && micros >= 0 && micros < second
	return h*hour + m*minute + s*second + micros, ok, nil
}

// readMoment reads a day and the microseconds of it.
func readMoment(s, format string) (r *timeReader, days, micros int64, err error) {
	outside := fail("22008", `date/time field value out of range: "%s"`, s)
	if r, err = readTime(s, format); err != nil {
		return nil, 0, 0, err
	}
	micros, ok, err := r.clock()
	if err != nil {
		return nil, 0, 0, err
	}
	t, err := r.date()
	if err != nil {
		return nil, 0, 0, err
	}
	switch {
	case t.hasMonth && (t.m < 1 || t.m > 12), t.hasDay && (t.d < 1 || t.d > 31), !ok,
		t.hasYear && t.hasMonth && t.hasDay && t.d > int64(datum.DaysOfMonth(t.y, int(t.m))):
		return nil, 0, 0, outside
	case r.zoned != 0 && (r.zoneHour < 0 || r.zoneHour > 15 || r.zoneMinute < 0 || r.zoneMinute > 59):
		return nil, 0, 0, fail("22009", `time zone displacement out of range: "%s"`, s)
	case t.y < -4713 || t.y > 5874898:
		return r, farDay, micros, nil
	}
	return r, julianOf(t.y, t.m, t.d) - julian(0), micros, nil
}

// farDay is a day that no type has.
const farDay = 1 << 40

func toDate(_ *Env, a []datum.Datum) (datum.Datum, error) {
	_, days, _, err := readMoment(a[0].S, a[1].S)
	if err != nil {
		return datum.Datum{}, err
	}
	if y, m, d := datum.Civil(days); days == farDay || !exists(y, m, d) {
		return datum.Datum{}, fail("22008", `date out of range: "%s"`, a[0].S)
	}
	return datum.MakeInt(datum.Date, days), nil
}

func exists(y int64, m, d int) bool {
	_, ok := datum.Days(y, m, d)
	return ok
}

func toTimestamp(env *Env, a []datum.Datum) (datum.Datum, error) {
	r, days, micros, err := readMoment(a[0].S, a[1].S)
	if err != nil {
		return datum.Datum{}, err
	}
	local, ok := datum.JoinDay(days, micros)
	if !ok {
		return datum.Datum{}, fail("22008", "timestamp out of range")
	}
	if r.zoned != 0 {
		local -= r.zoned * (r.zoneHour*hour + r.zoneMinute*minute)
	} else {
		local = datum.ToZone(local, env.Location)
	}
	v, err := inTimestamp(datum.Timestamptz, local)
	if err != nil || r.precision == 0 {
		return v, err
	}
	return datum.RoundTime(v, r.precision), nil
}

package datum

// Days is the number of days from 2000-01-01 to a date of the proleptic Gregorian
// calendar; the year 0 is 1 BC. ok is false if there is no such date, or it is too far.
func Days(y int64, m, d int) (days int64, ok bool) {
	if m < 1 || m > 12 || d < 1 || d > monthDays(y, m) || y < -5000 || y > 6000000 {
		return 0, false
	}
	days = daysFromCivil(y, m, d)
	return days, days >= minDay && days <= maxDay
}

// Civil is the date of a number of days from 2000-01-01; the year 0 is 1 BC.
func Civil(days int64) (y int64, m, d int) { return civilFromDays(days) }

// DaysOfMonth is how many a month of a year has.
func DaysOfMonth(y int64, m int) int { return monthDays(y, m) }

// SplitDay splits a timestamp into days and microseconds of the day.
func SplitDay(micros int64) (days, rest int64) {
	days, rest = micros/microsecondsPerDay, micros%microsecondsPerDay
	if rest < 0 {
		days, rest = days-1, rest+microsecondsPerDay
	}
	return days, rest
}

// JoinDay makes a timestamp of days and microseconds; ok is false if it is too far.
func JoinDay(days, rest int64) (micros int64, ok bool) {
	if days < minDay-1 || days > endTimestamp/microsecondsPerDay {
		return 0, false
	}
	micros = days*microsecondsPerDay + rest
	return micros, InTimestamp(micros)
}

// InTimestamp reports whether a timestamp is within PostgreSQL's limits.
func InTimestamp(micros int64) bool { return micros >= minTimestamp && micros < endTimestamp }

// InfiniteTime reports whether a timestamp is infinite.
func InfiniteTime(micros int64) bool {
	return micros == TimestampInfinity || micros == TimestampMinusInfinty
}

// InDate reports whether a date, as days from 2000-01-01, is within PostgreSQL's limits.
func InDate(days int64) bool { return days >= minDay && days <= maxDay }

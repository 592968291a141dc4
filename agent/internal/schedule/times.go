package schedule

import (
	"errors"
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Times are the moments at which a schedule is due.
type Times struct {
	spec cron.Schedule
	zone *time.Location
}

// ErrZone says that there is no such time zone.
var ErrZone = errors.New("there is no such time zone")

// maxCron bounds an expression.
const maxCron = 200

// Parse reads an expression: [second] minute hour day-of-month month day-of-week, or
// @hourly and its like; and the name of a time zone.
func Parse(expression, zone string) (*Times, error) {
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "" || zone == "Local" {
		return nil, fmt.Errorf("%w: %q", ErrZone, zone)
	}
	if len(expression) > maxCron {
		return nil, fmt.Errorf("the expression is longer than %d bytes", maxCron)
	}
	if len(expression) > 2 && (expression[:2] == "TZ" || expression[0] == 'C') {
		return nil, errors.New("the time zone does not stand in the expression")
	}
	parser := cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	spec, err := parser.Parse(expression)
	if err != nil {
		return nil, err
	}
	if _, every := spec.(cron.ConstantDelaySchedule); every {
		return nil, errors.New("@every counts from a start that no node remembers: write */n in a field")
	}
	t := &Times{spec, loc}
	if t.Next(time.Unix(0, 0)).IsZero() {
		return nil, errors.New("no day is like that")
	}
	return t, nil
}

// Of are the times of a schedule.
func Of(s *cluster.Schedule) (*Times, error) { return Parse(s.Cron, s.TimeZone) }

// Next is the first time after t; zero: there is none for years.
func (t *Times) Next(after time.Time) time.Time { return t.spec.Next(after.In(t.zone)) }

// Due are the times after last up to now.
type Due struct {
	Newest time.Time // zero: there is none
	Before int       // how many there are before it, as far as they are counted
	Last   time.Time // of those
}

// maxCounted bounds how many times that nobody started are counted: a day of one a second.
const maxCounted = 86_400

// Due looks for the times after last up to now. Of more than are counted, the newest are.
func (t *Times) Due(last, now time.Time) Due {
	var out Due
	counted := 0
	for next := t.Next(last); !next.IsZero() && !next.After(now); next = t.Next(next) {
		if !out.Newest.IsZero() {
			out.Before, out.Last = out.Before+1, out.Newest
		}
		out.Newest = next
		if counted++; counted == maxCounted && now.Sub(next) > time.Hour {
			next = now.Add(-time.Hour) // what lies between is not counted
		}
	}
	return out
}

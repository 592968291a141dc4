package schedule

import (
	"fmt"
	"testing"
	"time"
)

func TestTimes(t *testing.T) {
	for _, c := range []struct{ cron, zone, from, want string }{
		{"* * * * * *", "UTC", "2026-11-29T18:00:00.5Z", "2026-11-29T18:00:01Z 2026-11-29T18:00:02Z"},
		{"30 2 * * *", "UTC", "2026-11-29T18:00:00Z", "2026-11-30T02:30:00Z 2026-12-01T02:30:00Z"},
		{"0 30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z 2026-03-31T00:30:00Z"}, // there is no 02:30 on the 29th
		{"@hourly", "Europe/Berlin", "2026-10-24T23:30:00Z", "2026-10-25T00:00:00Z 2026-10-25T01:00:00Z"},      // 02:00, twice
		{"0 0 29 2 *", "UTC", "2026-03-01T00:00:00Z", "2028-02-29T00:00:00Z 2032-02-29T00:00:00Z"},
	} {
		times, err := Parse(c.cron, c.zone)
		if err != nil {
			t.Errorf("%s: %v", c.cron, err)
			continue
		}
		from, err := time.Parse(time.RFC3339Nano, c.from)
		if err != nil {
			t.Fatal(err)
		}
		first := times.Next(from)
		if got := first.UTC().Format(time.RFC3339) + " " + times.Next(first).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%s in %s after %s: %s, want %s", c.cron, c.zone, c.from, got, c.want)
		}
	}
	for _, cron := range []string{"", "x", "* * *", "61 * * * * *", "* * * * * * *", "CRON_TZ=UTC * * * * *", "TZ=UTC * * * * *", "@every 5s", "*/0 * * * *", "0 0 31 2 *", "@reboot"} {
		if _, err := Parse(cron, "UTC"); err == nil {
			t.Errorf("%q is taken", cron)
		}
	}
	for _, zone := range []string{"", "Local", "Mars/Crater", "../etc"} {
		if _, err := Parse("* * * * *", zone); err == nil {
			t.Errorf("zone %q is taken", zone)
		}
	}
}

func TestDue(t *testing.T) {
	times, err := Parse("*/10 * * * * *", "UTC")
	if err != nil {
		t.Fatal(err)
	}
	last := time.Date(2026, 11, 29, 18, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		after time.Duration
		want  string
	}{
		{9 * time.Second, "-"},
		{10 * time.Second, "18:00:10 0"},
		{35 * time.Second, "18:00:30 2 18:00:20"},
		{30 * 24 * time.Hour, "18:00:00 86759 17:59:50"}, // as far as they are counted
	} {
		d := times.Due(last, last.Add(c.after))
		got := "-"
		if !d.Newest.IsZero() {
			got = fmt.Sprintf("%s %d", d.Newest.Format(time.TimeOnly), d.Before)
		}
		if d.Before > 0 {
			got += " " + d.Last.Format(time.TimeOnly)
		}
		if got != c.want {
			t.Errorf("after %s: %s, want %s", c.after, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("* * * * * *", "UTC")
	f.Add("CRON_TZ=UTC * * * * *", "Europe/Berlin")
	f.Fuzz(func(_ *testing.T, cron, zone string) { _, _ = Parse(cron, zone) })
}

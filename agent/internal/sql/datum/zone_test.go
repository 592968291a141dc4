package datum

import "testing"

// What PostgreSQL 15 shows, and how it prints 2024-06-01 12:00:00+00.
func TestLoadZone(t *testing.T) {
	noon, err := ParseText(Timestamptz, "2024-06-01 12:00:00+00", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, shown, noon, engine string }{
		{"+00:00", "+00:00", "2024-06-01 12:00:00+00", "UTC"},
		{"-03:30", "-03:30", "2024-06-01 15:30:00+03:30", ""},
		{"+05:30", "+05:30", "2024-06-01 06:30:00-05:30", ""},
		{"UTC+3", "UTC+3", "2024-06-01 09:00:00-03", "Etc/GMT+3"},
		{"UTC-3:30", "UTC-3:30", "2024-06-01 15:30:00+03:30", ""},
		{"XXX-24", "XXX-24", "2024-06-02 12:00:00+24", ""},
		{"XXX-167:59", "XXX-167:59", "2024-06-08 11:59:00+167:59", ""},
		{"XXX-2YYY,M3.2.0,M11.1.0", "XXX-2YYY,M3.2.0,M11.1.0", "2024-06-01 15:00:00+03", ""},
		{"XXX5YYY", "XXX5YYY", "2024-06-01 08:00:00-04", ""},
		{"<+05>-5", "<+05>-5", "2024-06-01 17:00:00+05", "Etc/GMT-5"},
		{"EST5EDT", "EST5EDT", "2024-06-01 08:00:00-04", "EST5EDT"},
		{"europe/berlin", "Europe/Berlin", "2024-06-01 14:00:00+02", "Europe/Berlin"},
		{"AMERICA/PORT_OF_SPAIN", "America/Port_of_Spain", "2024-06-01 08:00:00-04", "America/Port_of_Spain"},
		{"us/eastern", "US/Eastern", "2024-06-01 08:00:00-04", "US/Eastern"},
		{"etc/gmt+3", "Etc/GMT+3", "2024-06-01 09:00:00-03", "Etc/GMT+3"},
		{"utc", "UTC", "2024-06-01 12:00:00+00", "UTC"},
		{"zulu", "Zulu", "2024-06-01 12:00:00+00", "Zulu"},
		{"nope/nope", "", "", ""}, {"", "", "", ""}, {"local", "", "", ""}, {"PST", "", "", ""}, {"+169:00", "", "", ""},
		{"+05:30:15", "", "", ""}, {"+", "", "", ""}, {"AB1", "", "", ""}, {"<+05", "", "", ""}, {"UTC+3x", "", "", ""}, {"../etc/passwd", "", "", ""},
	} {
		loc, err := LoadZone(c.name)
		if err != nil {
			if c.shown != "" {
				t.Errorf("%q: %v", c.name, err)
			}
			continue
		}
		engine, _ := EngineZone(loc.String())
		if got := string(AppendText(nil, noon, loc)); loc.String() != c.shown || got != c.noon || engine != c.engine {
			t.Errorf("%q: got %q, %s, %q, want %q, %s, %q", c.name, loc, got, engine, c.shown, c.noon, c.engine)
		}
	}
}

// TestClockChanges: as PostgreSQL 15 reads times that do not exist, or exist twice.
func TestClockChanges(t *testing.T) {
	for _, c := range []struct{ zone, in, want string }{
		{"America/New_York", "2024-03-10 01:59", "2024-03-10 06:59:00+00"},
		{"America/New_York", "2024-03-10 02:30", "2024-03-10 07:30:00+00"},
		{"America/New_York", "2024-03-10 03:00", "2024-03-10 07:00:00+00"},
		{"America/New_York", "2024-03-10 12:00", "2024-03-10 16:00:00+00"},
		{"America/New_York", "2024-03-09 12:00", "2024-03-09 17:00:00+00"},
		{"America/New_York", "2024-11-03 00:59", "2024-11-03 04:59:00+00"},
		{"America/New_York", "2024-11-03 01:30", "2024-11-03 06:30:00+00"},
		{"America/New_York", "2024-11-03 02:00", "2024-11-03 07:00:00+00"},
		{"America/New_York", "2024-11-04 00:30", "2024-11-04 05:30:00+00"},
		{"Europe/Berlin", "2024-03-31 02:30", "2024-03-31 01:30:00+00"},
		{"Europe/Berlin", "2024-10-27 02:30", "2024-10-27 01:30:00+00"},
		{"Australia/Lord_Howe", "2024-10-06 02:15", "2024-10-05 15:45:00+00"},
		{"Asia/Kathmandu", "1985-12-31 12:00", "1985-12-31 06:30:00+00"},
		{"Pacific/Apia", "2011-12-30 12:00", "2011-12-30 22:00:00+00"},
		{"UTC", "0001-01-01 00:00", "0001-01-01 00:00:00+00"},
	} {
		loc, err := LoadZone(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		d, err := ParseText(Timestamptz, c.in, loc)
		if err != nil || d.Text() != c.want {
			t.Errorf("%s in %s: got %s, %v, want %s", c.in, c.zone, d.Text(), err, c.want)
		}
	}
}

func TestOffsetZone(t *testing.T) {
	for _, c := range []struct {
		seconds int
		want    string
	}{{0, "<+00>-00"}, {7200, "<+02>-02"}, {-12600, "<-03:30>+03:30"}, {-19800, "<-05:30>+05:30"}, {86400, ""}, {15, ""}} {
		got, ok := OffsetZone(c.seconds)
		if !ok {
			got = ""
		}
		if got != c.want {
			t.Errorf("%d: got %q, want %q", c.seconds, got, c.want)
		}
		if loc, err := LoadZone(got); got != "" && (err != nil || loc.String() != got) {
			t.Errorf("%q: %v", got, err)
		}
	}
}

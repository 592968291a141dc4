package datum

import (
	"testing"
	"time"
)

func TestDateOrder(t *testing.T) {
	for _, c := range []struct{ text, mdy, dmy, ymd string }{ // as PostgreSQL 15 reads them
		{"02/01/2024", "2024-02-01", "2024-01-02", "22008"},
		{"1/18/1999", "1999-01-18", "22008", "22008"},
		{"18/1/1999", "22008", "1999-01-18", "22008"},
		{"01/02/03", "2003-01-02", "2003-02-01", "2001-02-03"},
		{"8 Jan 99", "1999-01-08", "1999-01-08", "22008"},
		{"99 Jan 8", "22007", "22008", "1999-01-08"},
		{"08-Jan-99", "1999-01-08", "1999-01-08", "22008"},
		{"1999-01-08", "1999-01-08", "1999-01-08", "1999-01-08"},
		{"January 8, 1999", "1999-01-08", "1999-01-08", "1999-01-08"},
		{"3.4.2024", "2024-03-04", "2024-04-03", "22008"},
	} {
		for order, want := range map[DateOrder]string{OrderMDY: c.mdy, OrderDMY: c.dmy, OrderYMD: c.ymd} {
			r := Reading{Order: order}
			d, err := r.Parse(Date, c.text)
			got := d.Text()
			if err != nil {
				got = err.(*Error).Code //nolint:forcetypeassert // the test fails
			}
			if got != want {
				t.Errorf("%q in order %d: %s, want %s", c.text, order, got, want)
			}
		}
	}
}

func TestTimesAtHand(t *testing.T) {
	berlin, err := LoadZone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	// A quarter past one in Berlin, of the clock that is set back: for the second time.
	r := Reading{Location: berlin, Now: time.Date(2024, 10, 27, 1, 15, 0, 500_000, time.UTC)}
	for _, c := range []struct {
		t          Type
		text, want string
	}{
		{Date, "today", "2024-10-27"},
		{Date, " Tomorrow", "2024-10-28"},
		{Date, "now", "2024-10-27"},
		{Timestamp, "yesterday", "2024-10-26 00:00:00"},
		{Timestamp, "now", "2024-10-27 02:15:00.0005"},
		{Timestamp, "today 10:20", "2024-10-27 10:20:00"},
		{Timestamptz, "now", "2024-10-27 01:15:00.0005+00"},
		{Timestamptz, "today", "2024-10-26 22:00:00+00"},
	} {
		d, err := r.Parse(c.t, c.text)
		if err != nil || d.Text() != c.want {
			t.Errorf("%s %q: %s, %v", c.t, c.text, d.Text(), err)
		}
	}
	east := Reading{Location: time.FixedZone("", 13*3600), Now: time.Date(2024, 1, 1, 23, 0, 0, 1_999, time.UTC)} // parts of a microsecond are cut
	if d, err := east.Parse(Timestamptz, "now"); err != nil || d.I != FromTime(east.Now).I {
		t.Errorf("now is %s, %v", d.Text(), err)
	}
	if d, err := ParseText(Date, "today", nil); err == nil {
		t.Errorf("without a clock: %s", d.Text())
	}
}

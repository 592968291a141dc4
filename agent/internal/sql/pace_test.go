package sql

import (
	"testing"
	"time"
)

func TestBucketsHoldTheirDurations(t *testing.T) {
	before := -1
	for us := int64(1); us < 1<<34; us += max(1, us/9) {
		d := time.Duration(us) * time.Microsecond
		b := bucketOf(d)
		if b < before {
			t.Fatalf("%s is in bucket %d, a shorter one in %d", d, b, before)
		}
		before = b
		if top := topOf(b); top < d || (us >= 4 && top > d*3/2) {
			t.Fatalf("%s is in bucket %d, which ends at %s", d, b, top)
		}
	}
}

func TestPace(t *testing.T) {
	var p pace
	now := time.Unix(1000, 0)
	if got := p.read(now); got != (Pace{}) {
		t.Errorf("before anything ran: %+v", got)
	}
	for i := range 1000 { // 100 a second, for 10 s
		d := time.Millisecond
		if i%50 == 0 {
			d = 40 * time.Millisecond
		}
		now = now.Add(10 * time.Millisecond)
		p.note(d, now)
	}
	got := p.read(now)
	if got.PerSecond < 90 || got.PerSecond > 110 {
		t.Errorf("%.1f statements a second, want about 100", got.PerSecond)
	}
	if got.P50 < time.Millisecond || got.P50 > 1300*time.Microsecond || got.P99 < 40*time.Millisecond || got.P99 > 52*time.Millisecond {
		t.Errorf("p50 %s, p99 %s; want about 1 ms and 40 ms", got.P50, got.P99)
	}
	if again := p.read(now); again != got {
		t.Errorf("read again: %+v, want %+v", again, got)
	}
	if quiet := p.read(now.Add(time.Minute)); quiet != (Pace{}) {
		t.Errorf("after a quiet minute: %+v", quiet)
	}
}

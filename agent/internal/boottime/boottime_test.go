package boottime

import "testing"

func TestNowDoesNotGoBack(t *testing.T) {
	last := Now()
	if last <= 0 {
		t.Fatalf("got %s since the machine started", last)
	}
	for range 1000 {
		now := Now()
		if now < last {
			t.Fatalf("%s after %s", now, last)
		}
		last = now
	}
}

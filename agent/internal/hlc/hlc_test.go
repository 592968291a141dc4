package hlc

import (
	"errors"
	"testing"
	"time"
)

func TestNowRisesWhileThePhysicalClockStandsStillOrStepsBack(t *testing.T) {
	wall := time.UnixMilli(1_763_900_000_000)
	c := NewClock(func() time.Time { return wall }, time.Second)
	last := c.Now()
	for i := range 1000 {
		if i == 500 {
			wall = wall.Add(-time.Hour)
		}
		now := c.Now()
		if now <= last {
			t.Fatalf("reading %d: got %s after %s", i, now, last)
		}
		last = now
	}
}

func TestUpdateRefusesAClockThatIsTooFarAhead(t *testing.T) {
	wall := time.UnixMilli(1_763_900_000_000)
	c := NewClock(func() time.Time { return wall }, 500*time.Millisecond)
	before := c.Now()
	err := c.Update(New(wall.Add(600 * time.Millisecond)))
	var offset *OffsetError
	if !errors.As(err, &offset) || offset.Ahead != 600*time.Millisecond {
		t.Fatalf("got %v, want an *OffsetError of 600ms", err)
	}
	if c.Last() != before {
		t.Errorf("a refused update moved the clock from %s to %s", before, c.Last())
	}
	near := New(wall.Add(400 * time.Millisecond))
	if err := c.Update(near); err != nil {
		t.Fatal(err)
	}
	if now := c.Now(); now <= near {
		t.Errorf("after an update to %s Now returned %s", near, now)
	}
}

func TestForwardHoldsAcrossARestart(t *testing.T) {
	wall := time.UnixMilli(1_763_900_000_000)
	ceiling := New(wall.Add(2 * time.Second))
	c := NewClock(func() time.Time { return wall }, 500*time.Millisecond)
	c.Forward(ceiling)
	if now := c.Now(); now <= ceiling {
		t.Errorf("got %s, want after the stored ceiling %s", now, ceiling)
	}
}

func TestTimestampParts(t *testing.T) {
	at := time.UnixMilli(1_763_900_000_123).UTC()
	ts := New(at)
	if got := ts.Next().Time(); !got.Equal(at) {
		t.Errorf("physical part: got %s, want %s", got, at)
	}
	if got := ts.Next().String(); got != "1763900000123.1" {
		t.Errorf("text: got %s", got)
	}
	if got := ts.Add(-time.Second).Time(); !got.Equal(at.Add(-time.Second)) {
		t.Errorf("a second before: got %s", got)
	}
}

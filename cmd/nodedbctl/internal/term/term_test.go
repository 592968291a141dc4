package term

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// TestPlainProgress holds what logs get: a line per change, at most one each 5 s.
func TestPlainProgress(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := (&Streams{Err: &out}).NewProgress(func() time.Time { return now })
	show := func(after time.Duration, line string, urgent bool) {
		now = now.Add(after)
		p.Show([]string{"block"}, line, urgent)
	}
	show(0, "one", false)
	show(time.Second, "too soon", false)
	show(time.Second, "urgent", true)
	show(5*time.Second, "urgent", false) // nothing new
	show(5*time.Second, "two", false)
	p.Clear()
	if got := out.String(); got != "one\nurgent\ntwo\n" {
		t.Errorf("got %q", got)
	}
}

func TestLiveProgressIsRedrawnAndCleared(t *testing.T) {
	var out bytes.Buffer
	p := (&Streams{Err: &out, ErrTTY: true, Width: 10}).NewProgress(time.Now)
	p.Show([]string{"a line that is too long", "b"}, "", false)
	p.Show([]string{"c"}, "", false)
	p.Clear()
	got := out.String()
	if !strings.Contains(got, "a line th…\n") || !strings.Contains(got, "\x1b[2A") || !strings.HasSuffix(got, "\x1b[1A\r\x1b[J") {
		t.Errorf("got %q", got)
	}
}

func TestQuietAndColour(t *testing.T) {
	var out bytes.Buffer
	s := &Streams{Err: &out, Out: &out, Quiet: true, Color: true}
	s.Say("nothing")
	s.Tell("an error")
	if out.String() != "an error\n" || s.Paint(Bad, "x") != "x" {
		t.Errorf("got %q, painted %q", out.String(), s.Paint(Bad, "x"))
	}
	s.OutTTY = true
	if s.Paint(Bad, "x") == "x" {
		t.Error("no colour on a terminal")
	}
}

func TestAskTakesSilenceForNo(t *testing.T) {
	for in, want := range map[string]bool{"y\n": true, "YES\n": true, "\n": false, "": false, "n\n": false, "yep\n": false} {
		s := &Streams{In: strings.NewReader(in), Err: &bytes.Buffer{}}
		if got, err := s.Ask(t.Context(), "?"); err != nil || got != want {
			t.Errorf("%q: got %v %v, want %v", in, got, err, want)
		}
	}
}

package logsample

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFirstLinesThenACount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := New(slog.New(slog.NewTextHandler(&out, nil)))
		lines := func(what string) int { return strings.Count(out.String(), what) }

		for range 1000 {
			s.Log(slog.LevelInfo, "tls handshake", "refused", slog.String("address", "192.0.2.1"))
		}
		s.Log(slog.LevelWarn, "unknown token", "refused")
		if got := lines("msg=refused"); got != linesPerMinute+1 {
			t.Fatalf("%d lines of 1000 of one reason and 1 of another, want %d", got, linesPerMinute+1)
		}
		<-time.After(time.Minute)
		synctest.Wait()
		if !strings.Contains(out.String(), `reason="tls handshake" count=990`) || lines("count=") != 1 {
			t.Fatalf("after a minute the count is not told once:\n%s", out.String())
		}
		s.Log(slog.LevelInfo, "tls handshake", "refused")
		if got := lines("msg=refused"); got != linesPerMinute+2 {
			t.Errorf("the next minute does not begin with lines again: %d", got)
		}
		s.Close()
		if lines("count=") != 1 {
			t.Errorf("a minute with one line has a count:\n%s", out.String())
		}
	})
}

func TestCloseTellsWhatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := New(slog.New(slog.NewTextHandler(&out, nil)))
		for range linesPerMinute + 3 {
			s.Log(slog.LevelInfo, "wrong password", "refused")
		}
		s.Close()
		if !strings.Contains(out.String(), "count=3") {
			t.Errorf("the count is lost at Close:\n%s", out.String())
		}
	})
}

// TestReasonsAreBounded makes a reason of each line, as a careless caller would.
func TestReasonsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := New(slog.New(slog.NewTextHandler(&out, nil)))
		for i := range 10_000 {
			s.Log(slog.LevelInfo, fmt.Sprint("reason ", i), "refused")
		}
		if got := strings.Count(out.String(), "msg=refused"); got != reasonsMost+linesPerMinute {
			t.Errorf("%d lines of 10000 reasons, want %d", got, reasonsMost+linesPerMinute)
		}
		s.Close()
	})
}

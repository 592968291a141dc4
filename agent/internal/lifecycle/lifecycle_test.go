package lifecycle

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(s string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, s)
}

func (j *journal) component(name string) Component {
	return Component{Name: name, Run: func(ctx context.Context, ready func()) error {
		j.add("start " + name)
		ready()
		<-ctx.Done()
		j.add("stop " + name)
		return nil
	}}
}

func TestStartsInOrderAndStopsInReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		g := Group{Components: []Component{j.component("a"), j.component("b"), j.component("c")}, StopTimeout: time.Second, Logger: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		if err := g.Run(ctx, cancel); err != nil {
			t.Fatal(err)
		}
		want := []string{"start a", "start b", "start c", "stop c", "stop b", "stop a"}
		if !slices.Equal(j.lines, want) {
			t.Errorf("order: got %v, want %v", j.lines, want)
		}
	})
}

func TestComponentThatEndsTakesTheNodeDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		boom := errors.New("disk on fire")
		failing := Component{Name: "b", Run: func(_ context.Context, ready func()) error {
			ready()
			return boom
		}}
		g := Group{Components: []Component{j.component("a"), failing}, StopTimeout: time.Second, Logger: slog.New(slog.DiscardHandler)}
		err := g.Run(t.Context(), func() {})
		if !errors.Is(err, boom) || !strings.HasPrefix(err.Error(), "b: ") {
			t.Errorf("got %v, want the failing component's error with its name", err)
		}
		if !slices.Contains(j.lines, "stop a") {
			t.Errorf("a was not stopped: %v", j.lines)
		}
	})
}

func TestFailedStartStopsWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		boom := errors.New("port in use")
		failing := Component{Name: "b", Run: func(context.Context, func()) error { return boom }}
		g := Group{Components: []Component{j.component("a"), failing, j.component("c")}, StopTimeout: time.Second, Logger: slog.New(slog.DiscardHandler)}
		err := g.Run(t.Context(), func() { t.Error("ready was called") })
		if !errors.Is(err, boom) {
			t.Errorf("got %v, want %v", err, boom)
		}
		if slices.Contains(j.lines, "start c") || !slices.Contains(j.lines, "stop a") {
			t.Errorf("journal: %v", j.lines)
		}
	})
}

func TestHangingComponentIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		hang := Component{Name: "slowpoke", Run: func(_ context.Context, ready func()) error {
			ready()
			<-release
			return nil
		}}
		g := Group{Components: []Component{hang}, StopTimeout: time.Second, Logger: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		err := g.Run(ctx, cancel)
		if err == nil || !strings.Contains(err.Error(), "slowpoke did not stop within 1s") {
			t.Errorf("got %v, want the name of the component that hangs", err)
		}
	})
}

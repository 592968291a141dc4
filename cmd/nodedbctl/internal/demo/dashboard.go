package demo

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/tui"
)

// dashboard shows the demo's cluster until the user quits, which ends the demo.
// Nodes that are killed meanwhile are started again, as without it.
func (s *screen) dashboard(ctx context.Context) error {
	var failed []error // of restarts; the screen is the dashboard's
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(refresh)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := s.revive(); err != nil {
					failed = append(failed, err)
				}
			}
		}
	})
	err := tui.Run(ctx, tui.Options{
		Theme: s.e.Getenv("NODEDBCTL_THEME"), NoColor: s.e.Flags.NoColor || s.e.Getenv("NO_COLOR") != "" || s.e.Getenv("TERM") == "dumb", ReadOnly: s.e.Flags.ReadOnly,
		Notes: strings.Split(strings.TrimSpace(howTo(s.c)), "\n"),
		Dial:  func(string) (*client.Client, error) { return s.c.connect() },
	})
	cancel()
	wg.Wait()
	s.e.Term.Say("ending")
	return errors.Join(append(failed, err)...)
}

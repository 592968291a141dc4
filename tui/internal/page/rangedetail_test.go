package page

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// TestRaftStateFits: at any width the columns keep apart and none is cut.
func TestRaftStateFits(t *testing.T) {
	d := &rangeDetail{id: 7, raft: &adminpb.InspectRaftResponse{Replicas: []*adminpb.RaftState{
		{Node: 1, State: "follower", Term: 10, Vote: 8, Commit: 45678901, Applied: 45678901, FirstIndex: 45670089, LastIndex: 45678901, LogBytes: 46285, Generation: 12},
	}}}
	for _, width := range []int{80, 100, 160} {
		b := cell.NewBlock(width)
		d.raftState(theme.New(theme.Want{Name: "dark"}), b)
		text := ansi.Strip(b.String())
		for _, want := range []string{" 45678901 ", " 45670089..45678901 ", " 45.2 KiB"} {
			if !strings.Contains(text+" ", want) {
				t.Errorf("at %d columns %q is not there:\n%s", width, want, text)
			}
		}
	}
}

package page

import (
	"context"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/action"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/keymap"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// Names of the views.
const (
	Overview   = "overview"
	Nodes      = "nodes"
	Ranges     = "ranges"
	Routing    = "routing"
	Rebalance  = "rebalance"
	Operations = "operations"
	Members    = "members"
	Events     = "events"
	Pools      = "pools"
	Sessions   = "sessions"
	Schedules  = "schedules"
)

// Size is what a page has to draw in.
type Size struct {
	Width, Height int
	Now           time.Time
	// Complete has the commands in a text act on the cluster that is shown; nil: they do.
	Complete func(text string) string
}

// command is text with its commands complete.
func (s *Size) command(text string) string {
	if s.Complete == nil {
		return text
	}
	return s.Complete(text)
}

// Page is a view.
type Page interface {
	Name() string
	// Topics are what the page shows.
	Topics() []string
	// Load takes the newest snapshot; it is called while the page is shown.
	Load(*feed.Snapshot)
	// Press takes a key; nil: the key means nothing here.
	Press(key string) Effect
	Draw(*theme.Theme, Size) *cell.Block
	Keys() []*keymap.Key
}

// Filterer is a page whose list can be filtered.
type Filterer interface {
	Filter(query string) error
	Query() string
	Hints() []string
}

// Pointed is a page that can be clicked. x and y are within the page.
type Pointed interface {
	Click(x, y int)
	Wheel(by int)
}

// Receiver is a page that asks the cluster something: Call's results come here.
type Receiver interface{ Receive(Result) }

// Opener is a page that can be opened at one thing.
type Opener interface{ Open(id string) Effect }

// Enterer is a page that is told when the user comes to it.
type Enterer interface{ Enter() }

// Asker is a page that shows what the stream does not carry: with each snapshot
// and heartbeat it may ask for it again.
type Asker interface {
	Again(now time.Time) Effect
}

// Leaver is a page with a detail that esc leaves.
type Leaver interface{ Leave() bool }

// Ager is a page that shows ages: it is drawn again after this time; 0: never.
type Ager interface {
	Ages(now time.Time) time.Duration
}

// Effect is what a key asks of the dashboard.
type Effect any

// The effects.
type (
	// Done: the key meant something, and that was all.
	Done struct{}
	// Copy puts a command on the clipboard.
	Copy struct{ Command string }
	// Show goes to a view, filtered or opened at one thing.
	Show struct{ Page, Filter, Open string }
	// Act opens the dialog of an action.
	Act struct{ Action *action.Action }
	// Ask asks for a line of text.
	Ask struct {
		Prompt string
		Then   func(text string) Effect
	}
	// Say shows a line for a while.
	Say struct {
		Level theme.Level
		Text  string
	}
	// Call asks the cluster something that changes nothing.
	Call struct {
		Name string
		Do   func(context.Context, adminpb.AdminClient) (any, error)
	}
)

// Result is what a Call came to.
type Result struct {
	Name  string
	Value any
	Err   error
}

// All makes one page of each kind, in the order of their keys.
func All() []Page {
	return []Page{newOverview(), newNodes(), newRanges(), newRouting(), newRebalance(), newOperations(), newMembers(), newEvents(), newPools(), newSessions(), newSchedules()}
}

// section is the head of a part of a page: its name, figures, and a rule.
func section(th *theme.Theme, width int, name, note string) *cell.Line {
	l := cell.NewLine(width).Put(th.Title, name)
	if note != "" {
		l.Space(1).Put(th.Dim, note)
	}
	if l.Left() > 2 {
		l.Space(1)
		for l.Left() > 0 {
			l.Put(th.Rule, th.Sym.Horizontal)
		}
	}
	return l
}

// blank is a page that has nothing to show, and says why.
func blank(th *theme.Theme, s Size, what, why string) *cell.Block {
	b := cell.NewBlock(s.Width)
	for range max(0, s.Height/2-2) {
		b.Blank()
	}
	center(b, th.Title, what)
	if why != "" {
		b.Blank()
		for _, line := range cell.Wrap(why, s.Width-8) {
			center(b, th.Dim, line)
		}
	}
	return b.Resize(s.Height)
}

func center(b *cell.Block, s cell.Style, text string) {
	b.Add(cell.NewLine(b.Width).Space((b.Width-cell.Width(text))/2).Put(s, text))
}

// loading is a page whose data has not come yet.
func loading(th *theme.Theme, s Size, what string) *cell.Block {
	return blank(th, s, th.Sym.Ellipsis+" "+what, "")
}

// unserved is a page whose data the node does not know.
func unserved(th *theme.Theme, s Size) *cell.Block {
	return blank(th, s, "not served by this node", "it runs a version that does not have this yet; --addr of nodedbctl tui asks another one")
}

// percent writes a share with a mark from where it is too much.
func percent(th *theme.Theme, share float64) (string, cell.Style) {
	level := theme.Full(share)
	text := cell.Percent(share)
	if level != theme.Quiet {
		text += "!"
	}
	return text, th.Word(level)
}

func diskShare(n *adminpb.Node) float64 {
	if n.GetDiskTotal() == 0 {
		return 0
	}
	return float64(n.GetDiskUsed()) / float64(n.GetDiskTotal())
}

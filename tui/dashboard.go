package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/action"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/page"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

const (
	// callTimeout bounds one call to the cluster.
	callTimeout = 30 * time.Second
	// fresh is how old data may be and still be called live; the cluster sends a
	// heartbeat each 5 s.
	fresh = 7 * time.Second
	// saidFor is how long a line of the footer stays.
	saidFor = 6 * time.Second
)

// cluster is one cluster that the dashboard can show.
type cluster struct {
	name      string
	protected bool
	admin     adminpb.AdminClient
	watch     feed.Watch
	learn     func(addrs ...string) // addresses to fail over to; may be nil
	close     func()
	complete  func(command string) string // so that it acts on this cluster; nil: it does
}

// command is the command line that does on this cluster what text does.
func (c *cluster) command(text string) string {
	if c.complete == nil {
		return text
	}
	return c.complete(text)
}

// subscriber is the part of a feed that the dashboard steers.
type subscriber interface {
	Subscribe(topics ...string)
	Retry()
}

// config is how a dashboard is set up.
type config struct {
	notes    []string // of the help
	want     theme.Want
	fixed    bool // the colours are decided: what the terminal says does not matter
	mouse    bool
	readOnly bool
	view     string
	now      func() time.Time
	contexts []string
	// connect leaves the cluster that is shown for another one, and says which.
	connect func(name string) (*cluster, error)
	// attach starts the feed of a cluster; its messages carry the number.
	attach func(c *cluster, number int) subscriber
}

// Dashboard is the only tea.Model. Views are plain values below it.
type Dashboard struct {
	cfg   config
	th    *theme.Theme
	grey  *theme.Theme
	want  theme.Want
	w, h  int
	pages []page.Page
	at    int
	trail []int // views to go back to

	c      *cluster
	number int // of c, so that what an earlier one sent late is dropped
	feed   subscriber
	me     *adminpb.WhoAmIResponse
	snap   *feed.Snapshot
	link   feed.Link

	frozen  bool
	pending *feed.Snapshot // the newest that came while frozen
	help    bool
	palette *palette
	dialog  *action.Dialog
	prompt  *prompt
	said    page.Say
	saidAt  time.Time

	frame  frame
	timer  timer
	ended  []string // operations that have ended since somebody was told
	frames int      // drawn, for tests and benchmarks
}

// frame is the last frame, drawn again only when something changed.
type frame struct {
	dirty bool
	aged  bool // the age in the first line has changed, and nothing else
	view  tea.View
	tabs  []int // the column where each tab begins
}

// newDashboard makes a dashboard of c.
func newDashboard(cfg config, c *cluster) *Dashboard {
	d := &Dashboard{cfg: cfg, want: cfg.want, w: 80, h: 24, pages: page.All(), c: c}
	for i, p := range d.pages {
		if p.Name() == cfg.view {
			d.at = i
		}
	}
	d.restyle()
	return d
}

func (d *Dashboard) restyle() {
	d.th = theme.New(d.want)
	d.grey = d.th.Greyed()
	d.frame.dirty = true
}

// Messages of the dashboard itself.
type (
	fromFeed struct {
		number int
		msg    any // *feed.Snapshot or feed.Link
	}
	fromPage struct {
		number int
		page   string
		result page.Result
	}
	fromDialog struct{ result action.Result }
	whoIs      struct {
		number int
		me     *adminpb.WhoAmIResponse
		err    error
	}
	switched struct {
		cluster *cluster
		name    string
		err     error
	}
	woken struct{ id int }
)

// Init implements tea.Model.
func (d *Dashboard) Init() tea.Cmd {
	cmds := []tea.Cmd{d.start()}
	if d.want.Name == theme.Auto && !d.cfg.fixed {
		cmds = append(cmds, tea.RequestBackgroundColor) // not every terminal answers
	}
	return tea.Batch(cmds...)
}

// start begins with the cluster: who one is there, and its feed.
func (d *Dashboard) start() tea.Cmd {
	d.number++
	d.link, d.me, d.snap, d.pending, d.frozen = feed.Link{}, nil, nil, nil, false
	d.feed = d.cfg.attach(d.c, d.number)
	d.feed.Subscribe(d.page().Topics()...)
	return d.askWho()
}

func (d *Dashboard) askWho() tea.Cmd {
	number, admin := d.number, d.c.admin
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		me, err := admin.WhoAmI(ctx, &adminpb.WhoAmIRequest{})
		return whoIs{number: number, me: me, err: err}
	}
}

func (d *Dashboard) page() page.Page { return d.pages[d.at] }

// Update implements tea.Model.
func (d *Dashboard) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := d.update(msg)
	return d, tea.Batch(cmd, d.wake())
}

func (d *Dashboard) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case fromFeed:
		if msg.number == d.number {
			return d.fed(msg.msg)
		}
	case woken:
		d.awake(msg)
	case tea.KeyPressMsg:
		d.frame.dirty = true
		return d.press(msg.String(), msg.Text)
	case tea.PasteMsg:
		d.frame.dirty = true
		d.paste(msg.Content)
	case tea.WindowSizeMsg:
		d.frame.dirty = d.frame.dirty || d.w != msg.Width || d.h != msg.Height
		d.w, d.h = msg.Width, msg.Height
	case tea.MouseClickMsg:
		return d.click(msg.Mouse())
	case tea.MouseWheelMsg:
		d.wheel(msg.Mouse())
	case tea.ColorProfileMsg:
		if !d.cfg.fixed && d.want.Profile != msg.Profile {
			d.want.Profile = msg.Profile
			d.restyle()
		}
	case tea.BackgroundColorMsg:
		if d.want.Light == msg.IsDark() {
			d.want.Light = !msg.IsDark()
			d.restyle()
		}
	default:
		return d.answered(msg)
	}
	return nil
}

// answered takes what calls to the cluster came to.
func (d *Dashboard) answered(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case fromPage:
		if r, ok := d.byName(msg.page).(page.Receiver); ok && msg.number == d.number {
			r.Receive(msg.result)
			d.frame.dirty = true
		}
	case fromDialog:
		if d.dialog != nil && d.dialog.Receive(msg.result) {
			d.dialog.Follow(d.snap.Operation(d.dialog.Operation()))
			d.frame.dirty = true
			return d.look()
		}
	case whoIs:
		if msg.number != d.number {
			return nil
		}
		d.frame.dirty = true
		if msg.err == nil {
			d.me = msg.me
		} else if client.AsError(msg.err).Kind == client.Denied {
			d.say(theme.Broken, client.AsError(msg.err).Message)
		}
	case switched:
		return d.switchTo(msg)
	}
	return nil
}

// fed takes what the feed sent.
func (d *Dashboard) fed(msg any) tea.Cmd {
	switch m := msg.(type) {
	case *feed.Snapshot:
		if d.frozen {
			d.pending = m
			return nil
		}
		d.take(m)
		if p, ok := d.page().(page.Asker); ok {
			return tea.Batch(d.call(page.AllCalls(p.Again(d.cfg.now()))), d.notify())
		}
		return d.notify()
	case feed.Link:
		return d.linked(m)
	}
	return nil
}

// linked takes how the stream does. A stream that is opened anew for other
// topics is no news, and one that is opened after a loss is lost until it lives.
func (d *Dashboard) linked(m feed.Link) tea.Cmd {
	before := d.link
	switch {
	case m.State == feed.Connecting && before.State == feed.Lost:
		m = feed.Link{State: feed.Lost, Err: before.Err, Attempt: m.Attempt}
	case m.State == feed.Connecting && d.snap != nil:
		m.State = before.State
	}
	d.link = m
	if m.State != before.State || m.Attempt != before.Attempt || d.snap == nil {
		d.frame.dirty = true
	}
	if m.State == feed.Live && d.me == nil {
		return d.askWho()
	}
	return nil
}

// take shows a snapshot.
func (d *Dashboard) take(s *feed.Snapshot) {
	old := d.snap
	d.snap = s
	if old != nil && old.Revision == s.Revision {
		d.frame.aged = true
		return // a heartbeat
	}
	d.ended = append(d.ended, endedSince(old, s)...)
	d.frame.dirty = true
	d.page().Load(s)
	if d.dialog != nil && d.dialog.Operation() != "" {
		d.dialog.Follow(s.Operation(d.dialog.Operation()))
	}
	if d.c.learn != nil && (old == nil || len(old.Nodes) != len(s.Nodes)) {
		for _, n := range s.Nodes {
			if a := n.GetAddresses().GetAdmin(); a != "" && n.GetMembership() == "active" {
				d.c.learn(a)
			}
		}
	}
}

func (d *Dashboard) byName(name string) page.Page {
	for _, p := range d.pages {
		if p.Name() == name {
			return p
		}
	}
	return nil
}

// stale reports whether what is shown may no longer be true, and its age.
func (d *Dashboard) stale() (bool, time.Duration) {
	if d.snap == nil {
		return false, 0
	}
	age := d.cfg.now().Sub(d.snap.At)
	return d.link.State == feed.Lost || age > fresh, age
}

// may reports whether the user may change the cluster, and if not, why.
func (d *Dashboard) may() (bool, string) {
	switch {
	case d.cfg.readOnly:
		return false, "this dashboard is read-only (--read-only)"
	case d.me == nil:
		return false, "it is not known yet who you are"
	case d.me.GetRole() < adminpb.Role_ROLE_OPERATOR:
		return false, d.me.GetName() + " is a viewer: this needs an operator"
	}
	if old, _ := d.stale(); old {
		return false, "the cluster does not answer: nothing can be changed from here now"
	}
	return true, ""
}

func (d *Dashboard) say(level theme.Level, text string) {
	d.said, d.saidAt = page.Say{Level: level, Text: text}, d.cfg.now()
	d.frame.dirty = true
}

// switchTo shows another cluster.
func (d *Dashboard) switchTo(msg switched) tea.Cmd {
	if msg.err != nil {
		d.say(theme.Broken, msg.name+": "+msg.err.Error())
		return nil
	}
	if d.c.close != nil {
		d.c.close()
	}
	d.c, d.dialog, d.trail = msg.cluster, nil, nil
	name := d.page().Name()
	d.pages = page.All()
	d.frame.dirty = true
	cmd := d.start()
	d.goTo(name)
	return cmd
}

// profile is what a look says of the terminal when it is fixed.
func profile(noColor bool) (colorprofile.Profile, bool) {
	if noColor {
		return colorprofile.ASCII, true
	}
	return colorprofile.TrueColor, false
}

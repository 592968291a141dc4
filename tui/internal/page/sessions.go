package page

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/action"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/keymap"
	"github.com/nodedb/nodedb/tui/internal/match"
	"github.com/nodedb/nodedb/tui/internal/table"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// sessions shows who is connected, what they do, and who waits for whom. The stream
// does not carry it: it is asked for while the view is shown.
type sessions struct {
	filtered[*sessionRow]
	answer
	asked time.Time
	open  bool // a question has not been answered
}

// answer is what was told last.
type answer struct {
	have    bool
	err     error
	at      time.Time
	missing []uint32
}

// sessionRow is a session with its transaction; of a transaction without a session only
// that is there. It is made anew with each answer.
type sessionRow struct {
	s  *adminpb.Session
	x  *adminpb.Transaction // nil: it is in none
	at time.Time            // of the answer
}

const askSessions = "sessions"

func (c *sessionRow) since() float64 {
	if c.s.GetSince() == nil {
		return 0
	}
	return max(0, c.at.Sub(c.s.GetSince().AsTime()).Seconds())
}

// age is how long its transaction has been open; -1: it is in none.
func (c *sessionRow) age() float64 {
	if c.x == nil {
		return -1
	}
	return max(0, c.at.Sub(c.x.GetBegan().AsTime()).Seconds())
}

func (c *sessionRow) waits() float64 {
	if c.x.GetWaitsSince() == nil {
		return 0
	}
	return max(0, c.at.Sub(c.x.GetWaitsSince().AsTime()).Seconds())
}

// level is how a session is: at work, or in the way of others.
func (c *sessionRow) level() theme.Level {
	switch {
	case len(c.x.GetBlocks()) > 0, c.x.GetState() == "waiting":
		return theme.Alarm
	case c.s.GetState() == "active":
		return theme.Moving
	}
	return theme.Quiet
}

// state is that of the transaction while it waits, else of the session.
func (c *sessionRow) state() string {
	if s := c.x.GetState(); s == "waiting" || s == "committing" || c.s.GetState() == "" {
		return s
	}
	return c.s.GetState()
}

func (c *sessionRow) node() uint32 { return max(c.s.GetNode(), c.x.GetNode()) }

var sessionFields = match.Fields[*sessionRow]{
	Text: func(b []byte, c *sessionRow) []byte {
		return fmt.Append(b, c.s.GetPid(), " ", cell.Node(c.node()), " ", c.s.GetUser(), " ", c.s.GetApplication(), " ", c.state(), " ", c.s.GetStatement())
	},
	Words: map[string]func(*sessionRow) string{
		"user": func(c *sessionRow) string { return c.s.GetUser() }, "app": func(c *sessionRow) string { return c.s.GetApplication() }, "state": (*sessionRow).state,
	},
	Whole: map[string]func(*sessionRow, string) bool{
		"node": func(c *sessionRow, v string) bool { return cell.Node(c.node()) == v },
	},
	Numbers: map[string]func(*sessionRow) float64{
		"for": (*sessionRow).since, "txn": (*sessionRow).age, "waits": (*sessionRow).waits,
		"locks":  func(c *sessionRow) float64 { return float64(c.x.GetLocks()) },
		"blocks": func(c *sessionRow) float64 { return float64(len(c.x.GetBlocks())) },
	},
}

func newSessions() *sessions {
	type C = *sessionRow
	secs := func(f func(C) float64) func(*theme.Theme, C) (string, cell.Style) {
		return func(th *theme.Theme, c C) (string, cell.Style) {
			if v := f(c); v > 0 {
				return cell.Seconds(v), th.Plain
			}
			return cell.Or(""), th.Dim
		}
	}
	p := &sessions{filtered: filtered[*sessionRow]{fields: &sessionFields, noun: "session"}}
	p.t = table.New(rowKey,
		table.Column[C]{Title: "  PID", Width: 12, Cell: func(th *theme.Theme, c C) (string, cell.Style) {
			mark, style := th.Mark(c.level())
			return mark + " " + pidOr(c.s.GetPid()), style
		}, Compare: func(a, b C) int { return cmp.Compare(a.s.GetPid(), b.s.GetPid()) }},
		table.Column[C]{Title: "NODE", Width: 4, Cell: func(th *theme.Theme, c C) (string, cell.Style) { return cell.Node(c.node()), th.Plain },
			Compare: func(a, b C) int { return cmp.Compare(a.node(), b.node()) }},
		table.Column[C]{Title: "USER", Width: 10, Cell: func(th *theme.Theme, c C) (string, cell.Style) { return cell.Or(cell.OneLine(c.s.GetUser())), th.Plain },
			Compare: func(a, b C) int { return strings.Compare(a.s.GetUser(), b.s.GetUser()) }},
		table.Column[C]{Title: "APPLICATION", Width: 12, From: 100, Cell: func(th *theme.Theme, c C) (string, cell.Style) {
			return cell.Or(cell.OneLine(c.s.GetApplication())), th.Dim
		}},
		table.Column[C]{Title: "STATE", Width: 19, Cell: func(th *theme.Theme, c C) (string, cell.Style) { return c.state(), th.Word(c.level()) },
			Compare: func(a, b C) int { return strings.Compare(a.state(), b.state()) }},
		table.Column[C]{Title: "FOR", Width: 6, Right: true, Cell: secs((*sessionRow).since), Compare: func(a, b C) int { return cmp.Compare(b.since(), a.since()) }},
		table.Column[C]{Title: "TXN", Width: 6, Right: true, Cell: secs((*sessionRow).age), Compare: func(a, b C) int { return cmp.Compare(b.age(), a.age()) }},
		table.Column[C]{Title: "LOCKS", Width: 5, Right: true, From: 100, Cell: func(th *theme.Theme, c C) (string, cell.Style) { return cell.Count(c.x.GetLocks()), th.Plain },
			Compare: func(a, b C) int { return cmp.Compare(b.x.GetLocks(), a.x.GetLocks()) }},
		table.Column[C]{Title: "BLOCKS", Width: 6, Right: true, Cell: func(th *theme.Theme, c C) (string, cell.Style) {
			if n := len(c.x.GetBlocks()); n > 0 {
				return fmt.Sprint(n), th.Warn
			}
			return cell.Or(""), th.Dim
		}, Compare: func(a, b C) int { return cmp.Compare(len(b.x.GetBlocks()), len(a.x.GetBlocks())) }},
		table.Column[C]{Title: "STATEMENT", Width: 8, Grow: true, Cell: func(th *theme.Theme, c C) (string, cell.Style) { return statementOf(c), th.Dim }},
	)
	p.t.Sort = 6 // the oldest transaction first
	return p
}

// rowKey is the session's process id, or what stands for a transaction without one.
func rowKey(c *sessionRow) uint64 {
	if pid := c.s.GetPid(); pid != 0 {
		return uint64(pid)
	}
	var h uint64 = 1 << 63
	for _, b := range []byte(c.x.GetId()) {
		h = h*31 + uint64(b) | 1<<63
	}
	return h
}

func pidOr(pid uint32) string {
	if pid == 0 {
		return cell.Or("")
	}
	return fmt.Sprint(pid)
}

func statementOf(c *sessionRow) string {
	if c.s.GetHidden() {
		return "(not for you to see)"
	}
	return cell.Or(cell.OneLine(c.s.GetStatement()))
}

func (*sessions) Name() string { return Sessions }

func (*sessions) Topics() []string { return []string{feed.Status} }

func (*sessions) Load(*feed.Snapshot) {}

// Enter implements Enterer: what was shown before is asked for again at once.
func (p *sessions) Enter() { p.asked = time.Time{} }

// SessionsAnswer is what the two calls of one question came to.
type SessionsAnswer struct {
	Sessions     *adminpb.ListSessionsResponse
	Transactions *adminpb.ListTransactionsResponse
}

// Again implements Asker.
func (p *sessions) Again(now time.Time) Effect {
	if p.open || now.Sub(p.asked) < askEvery {
		return nil
	}
	p.asked, p.open = now, true
	return Call{Name: askSessions, Do: func(ctx context.Context, c adminpb.AdminClient) (any, error) { return askForSessions(ctx, c) }}
}

// askForSessions asks for the sessions and transactions of nodes; none named: of all.
func askForSessions(ctx context.Context, c adminpb.AdminClient, nodes ...uint32) (any, error) {
	s, err := c.ListSessions(ctx, &adminpb.ListSessionsRequest{Nodes: nodes, NodeTimeout: 2})
	if err != nil {
		return nil, err
	}
	x, err := c.ListTransactions(ctx, &adminpb.ListTransactionsRequest{Nodes: nodes, NodeTimeout: 2})
	return SessionsAnswer{s, x}, err
}

// Receive implements Receiver.
func (p *sessions) Receive(r Result) {
	if r.Name != askSessions {
		return
	}
	p.open, p.err = false, r.Err
	v, ok := r.Value.(SessionsAnswer)
	if !ok || r.Err != nil {
		return
	}
	p.have, p.at, p.missing = true, v.Sessions.GetAsOf().GetTime().AsTime(), v.Sessions.GetAsOf().GetMissing()
	p.t.Set(join(v, p.at))
}

// join brings sessions and their transactions together.
func join(v SessionsAnswer, at time.Time) []*sessionRow {
	var rows []*sessionRow
	by := map[uint32]*sessionRow{}
	for _, s := range v.Sessions.GetSessions() {
		c := &sessionRow{s: s, at: at}
		by[s.GetPid()] = c
		rows = append(rows, c)
	}
	for _, x := range v.Transactions.GetTransactions() {
		if c := by[x.GetPid()]; c != nil && c.x == nil {
			c.x = x
			continue
		}
		rows = append(rows, &sessionRow{x: x, at: at})
	}
	return rows
}

func (p *sessions) Keys() []*keymap.Key {
	return []*keymap.Key{&keymap.Move, &keymap.Blocker, &keymap.Cancel, &keymap.End, &keymap.Filter, &keymap.Sort, &keymap.Copy}
}

// Press implements Page.
func (p *sessions) Press(key string) Effect {
	if p.t.Press(key) {
		return Done{}
	}
	c, ok := p.t.Selected()
	pid := c.pid()
	switch {
	case !ok:
	case keymap.Blocker.Is(key):
		return p.goToBlocker(c)
	case pid == 0 && (keymap.Cancel.Is(key) || keymap.End.Is(key)):
		return Say{Level: theme.Alarm, Text: "this transaction has no session: it ends by itself"}
	case keymap.Copy.Is(key):
		return Copy{"nodedbctl transactions --blocked"}
	case keymap.Cancel.Is(key):
		return Act{action.CancelStatement(pid)}
	case keymap.End.Is(key):
		return Act{action.EndSession(pid)}
	}
	return nil
}

func (c *sessionRow) pid() uint32 {
	if c == nil {
		return 0
	}
	return c.s.GetPid()
}

// goToBlocker selects the session that the selected one waits for.
func (p *sessions) goToBlocker(c *sessionRow) Effect {
	waits := c.x.GetWaitsFor()
	if len(waits) == 0 {
		return Say{Level: theme.Quiet, Text: "it waits for nobody"}
	}
	if pid := waits[0].GetPid(); pid != 0 && p.t.Select(uint64(pid)) {
		return Done{}
	}
	return Say{Level: theme.Alarm, Text: "the session on " + cell.Node(waits[0].GetNode()) + " that it waits for is not shown"}
}

// Click implements Pointed.
func (p *sessions) Click(_, y int) { p.t.Click(y) }

// Wheel implements Pointed.
func (p *sessions) Wheel(by int) { p.t.Move(by) }

// Draw implements Page.
func (p *sessions) Draw(th *theme.Theme, s Size) *cell.Block {
	switch {
	case !p.have && p.err != nil:
		return blank(th, s, "the sessions are not known", refusal(p.err))
	case !p.have:
		return loading(th, s, "asking for the sessions")
	case p.t.Total() == 0:
		return blank(th, s, "nobody is connected", "sessions of SQL appear here by themselves")
	case p.t.Len() == 0:
		return p.noMatch(th, s)
	}
	b := p.t.Draw(th, s.Width, min(p.t.Len()+1, max(4, s.Height*3/5)))
	if p.err != nil {
		b.Text(th.Warn, th.Sym.Warn+" as of before: "+refusal(p.err))
	}
	if len(p.missing) > 0 {
		b.Text(th.Warn, th.Sym.Warn+" no answer from "+cell.Nodes(p.missing, ", ")+": their sessions are not shown")
	}
	if c, ok := p.t.Selected(); ok {
		b.Blank()
		p.one(th, b, c)
	}
	return b.Resize(s.Height)
}

// one is the selected session in full.
func (p *sessions) one(th *theme.Theme, b *cell.Block, c *sessionRow) {
	name := "session " + pidOr(c.s.GetPid())
	if c.s == nil {
		name = "transaction without a session"
	}
	b.Add(section(th, b.Width, name, "on "+cell.Node(c.node())))
	row := func(style cell.Style, name, value string) {
		b.Add(cell.NewLine(b.Width).Space(1).Field(th.Dim, name, 13, false).Put(style, value))
	}
	if c.s != nil {
		row(th.Plain, "client", fmt.Sprintf("%s from %s, application %s, connected for %s", cell.OneLine(c.s.GetUser()), cell.Or(cell.OneLine(c.s.GetClient())),
			cell.Or(cell.OneLine(c.s.GetApplication())), cell.Seconds(max(0, c.at.Sub(c.s.GetBegan().AsTime()).Seconds()))))
	}
	if c.x != nil {
		row(th.Plain, "transaction", fmt.Sprintf("%s, open for %s, %s locked or written, %s touched%s", cell.Or(c.x.GetIsolation()), cell.Seconds(c.age()),
			cell.Plural(int(c.x.GetLocks()), "row"), cell.Plural(int(c.x.GetRanges()), "range"), rangesOf(c.x)))
		if id := c.x.GetId(); id != "" {
			row(th.Dim, "id", id)
		}
	}
	if w := c.x.GetWaitsFor(); len(w) > 0 {
		row(th.Warn, "waits for", refText(w)+", for "+cell.Seconds(c.waits())+"; b goes there")
	}
	if w := c.x.GetBlocks(); len(w) > 0 {
		row(th.Warn, "blocks", refText(w))
	}
	if c.s != nil {
		row(th.Plain, "statement", statementOf(c))
	}
}

// refsShown bounds the transactions that are named.
const refsShown = 6

// refText names transactions by their sessions.
func refText(refs []*adminpb.TransactionRef) string {
	var out []string
	for _, r := range refs[:min(len(refs), refsShown)] {
		if r.GetPid() == 0 {
			out = append(out, "one on "+cell.Node(r.GetNode()))
		} else {
			out = append(out, fmt.Sprintf("%d on %s", r.GetPid(), cell.Node(r.GetNode())))
		}
	}
	text := strings.Join(out, ", ")
	if more := len(refs) - refsShown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// rangesShown bounds the ranges that are named.
const rangesShown = 6

// rangesOf names the ranges that a transaction has touched: ": r4 r10".
func rangesOf(x *adminpb.Transaction) string {
	ids := x.GetRangeIds()
	var b strings.Builder
	if len(ids) > 0 {
		b.WriteString(":")
	}
	for _, id := range ids[:min(len(ids), rangesShown)] {
		b.WriteString(" " + cell.Range(id))
	}
	if len(ids) > rangesShown {
		b.WriteString(" ...")
	}
	return b.String()
}

package page

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// rangeDetail is one range: its replicas as each node has them, and where it may be.
type rangeDetail struct {
	id     uint32
	raft   *adminpb.InspectRaftResponse
	place  *adminpb.ExplainRangeResponse
	errs   [2]error // of raft, of place
	scroll int
	asked  time.Time // when it was asked again last
	open   int       // calls whose answer has not come
}

// askEvery is the pause between two questions for what the stream does not carry.
const askEvery = 2 * time.Second

// again asks anew once the answers have come and have aged.
func (d *rangeDetail) again(now time.Time) Effect {
	switch {
	case d.asked.IsZero():
		d.asked = now // it was asked when it was opened
		return nil
	case d.open > 0 || now.Sub(d.asked) < askEvery:
		return nil
	}
	d.asked = now
	return d.ask()
}

const (
	askRaft  = "raft"
	askPlace = "place"
)

// calls are several calls, made together.
type calls []Call

func (d *rangeDetail) ask() Effect {
	d.open += 2
	id := d.id
	name := func(what string) string { return what + strconv.FormatUint(uint64(id), 10) }
	return calls{
		{Name: name(askRaft), Do: func(ctx context.Context, c adminpb.AdminClient) (any, error) {
			return c.InspectRaft(ctx, &adminpb.InspectRaftRequest{Range: id, NodeTimeout: 2})
		}},
		{Name: name(askPlace), Do: func(ctx context.Context, c adminpb.AdminClient) (any, error) {
			return c.ExplainRange(ctx, &adminpb.ExplainRangeRequest{Range: id, NodeTimeout: 2})
		}},
	}
}

// AllCalls lists the calls that an effect asks for.
func AllCalls(e Effect) []Call {
	switch e := e.(type) {
	case Call:
		return []Call{e}
	case calls:
		return e
	}
	return nil
}

func (d *rangeDetail) receive(r Result) {
	id := strconv.FormatUint(uint64(d.id), 10)
	switch r.Name {
	case askRaft + id:
		d.open--
		d.errs[0] = r.Err
		if v, ok := r.Value.(*adminpb.InspectRaftResponse); ok && r.Err == nil {
			d.raft = v
		}
	case askPlace + id:
		d.open--
		d.errs[1] = r.Err
		if v, ok := r.Value.(*adminpb.ExplainRangeResponse); ok && r.Err == nil {
			d.place = v
		}
	}
}

func (d *rangeDetail) press(key string) Effect {
	switch key {
	case "up", "k":
		d.scroll = max(0, d.scroll-1)
	case "down", "j":
		d.scroll++
	case "r":
		return d.ask()
	default:
		return nil
	}
	return Done{}
}

func (d *rangeDetail) draw(th *theme.Theme, s Size, snap *feed.Snapshot) *cell.Block {
	r := snap.Range(d.id)
	if r == nil {
		return blank(th, s, cell.Range(d.id)+" is not known", "it may have been split or merged; esc goes back")
	}
	b := cell.NewBlock(s.Width)
	mark, style := th.Mark(theme.RangeState(r.GetState()))
	b.Add(cell.NewLine(s.Width).Put(th.Title, "range "+cell.Range(r.GetId())).Put(th.Dim, "  pool "+rangePool(r)+"  vshards "+vshards(r)+"  ").Put(style, mark+" "+r.GetState()).
		Put(th.Dim, fmt.Sprintf("  generation %d  term %d", r.GetGeneration(), r.GetTerm())))
	b.Add(cell.NewLine(s.Width).Put(th.Plain, fmt.Sprintf("%s (%s dead%s)  %s keys  %s reads/s  %s writes/s", rangeBytes(r), rangeDead(r), rangeGarbage(r, s.Now), rangeKeys(r),
		rangeReads(r), rangeWrites(r)))).Blank()
	d.replicas(th, b, r, snap.AsOf.GetTime().AsTime())
	b.Blank()
	d.lease(th, b, r, s.Now)
	b.Blank()
	d.raftState(th, b)
	b.Blank()
	d.placement(th, b)
	if over := b.Height() - s.Height; over > 0 {
		d.scroll = min(d.scroll, over)
		b = b.Slice(d.scroll, d.scroll+s.Height)
	} else {
		d.scroll = 0
	}
	return b.Resize(s.Height)
}

// replicas is what the leader knows.
func (d *rangeDetail) replicas(th *theme.Theme, b *cell.Block, r *adminpb.Range, asOf time.Time) {
	b.Add(section(th, b.Width, "replicas", "as the leader knows them"))
	b.Add(cell.NewLine(b.Width).Field(th.Head, "  NODE", 8, false).Field(th.Head, "ROLE", 10, false).Field(th.Head, "", 10, false).
		Field(th.Head, "MATCH", 12, true).Field(th.Head, "BEHIND", 8, true).Field(th.Head, "CLOSED LAG", 12, true).Space(2).Field(th.Head, "NOTE", 20, false))
	for _, x := range r.GetReplicas() {
		leads := x.GetNode() == r.GetLeader()
		level, word, note := theme.Quiet, "follower", ""
		switch {
		case x.GetFailed() != "":
			level, word, note = theme.Broken, "failed", x.GetFailed()
		case leads:
			word = "leader"
		case x.GetSnapshot():
			level, word, note = theme.Moving, "snapshot", "waits for a snapshot"
		case !x.GetActive():
			level, word, note = theme.Alarm, "silent", "does not answer the leader"
		}
		mark, style := th.Mark(level)
		behind := cell.None
		if !leads && r.GetCommit() >= x.GetMatch() && x.GetMatch() > 0 {
			behind = strconv.FormatUint(r.GetCommit()-x.GetMatch(), 10)
		}
		match := cell.None
		if x.GetMatch() > 0 {
			match = strconv.FormatUint(x.GetMatch(), 10)
		}
		b.Add(cell.NewLine(b.Width).Put(style, mark+" ").Field(th.Bold, cell.Node(x.GetNode()), 6, false).Field(th.Plain, x.GetRole(), 10, false).
			Field(style, word, 10, false).Field(th.Plain, match, 12, true).Field(th.Plain, behind, 8, true).Field(th.Dim, closedLag(x, asOf), 12, true).Space(2).Put(th.Warn, note))
	}
}

// closedLag is how old the newest time is that the replica serves of the past.
func closedLag(x *adminpb.Replica, asOf time.Time) string {
	if x.GetClosed() == nil {
		return cell.None
	}
	lag := max(0, asOf.Sub(x.GetClosed().AsTime()).Seconds())
	if lag < 60 {
		return cell.Latency(lag)
	}
	return cell.Seconds(lag)
}

func (d *rangeDetail) raftState(th *theme.Theme, b *cell.Block) {
	b.Add(section(th, b.Width, "raft", "as each node has it"))
	switch {
	case d.errs[0] != nil:
		b.Text(th.Dim, refusal(d.errs[0]))
		return
	case d.raft == nil:
		b.Text(th.Busy, th.Sym.Ellipsis+" asking the nodes")
		return
	}
	num := func(v uint64) string { return strconv.FormatUint(v, 10) }
	state, log, wide := 10, 19, b.Width >= 94 // a narrow screen does without votes and generations
	if wide {
		state, log = 14, 21
	}
	head := cell.NewLine(b.Width).Field(th.Head, "  NODE", 8, false).Field(th.Head, "STATE", state, false).Field(th.Head, "TERM", 6, true)
	if wide {
		head.Field(th.Head, "VOTE", 6, true)
	}
	head.Field(th.Head, "COMMIT", 11, true).Field(th.Head, "APPLIED", 11, true).Field(th.Head, "LOG", log, true).Field(th.Head, "BYTES", 11, true)
	if wide {
		head.Field(th.Head, "GEN", 6, true)
	}
	b.Add(head)
	for _, x := range d.raft.GetReplicas() {
		level := theme.Quiet
		if x.GetState() == "missing" || x.GetFailed() != "" {
			level = theme.Broken
		} else if x.GetState() != "leader" && x.GetState() != "follower" {
			level = theme.Alarm
		}
		mark, style := th.Mark(level)
		l := cell.NewLine(b.Width).Put(style, mark+" ").Field(th.Bold, cell.Node(x.GetNode()), 6, false).Field(style, x.GetState(), state, false)
		if x.GetFailed() != "" {
			b.Add(l.Put(th.Bad, x.GetFailed()))
			continue
		}
		l.Field(th.Plain, num(x.GetTerm()), 6, true)
		if wide {
			l.Field(th.Dim, num(x.GetVote()), 6, true)
		}
		l.Field(th.Plain, num(x.GetCommit()), 11, true).Field(th.Plain, num(x.GetApplied()), 11, true).
			Field(th.Dim, num(x.GetFirstIndex())+".."+num(x.GetLastIndex()), log, true).Field(th.Dim, cell.Bytes(x.GetLogBytes()), 11, true)
		if wide {
			l.Field(th.Dim, num(x.GetGeneration()), 6, true)
		}
		b.Add(l)
	}
}

func (d *rangeDetail) placement(th *theme.Theme, b *cell.Block) {
	b.Add(section(th, b.Width, "placement", "where a replica may be"))
	switch {
	case d.errs[1] != nil:
		b.Text(th.Dim, refusal(d.errs[1]))
		return
	case d.place == nil:
		b.Text(th.Busy, th.Sym.Ellipsis+" asking the planner")
		return
	}
	if d.place.GetWhy() != "" {
		b.Wrap(th.Plain, d.place.GetWhy(), 0)
	}
	for _, x := range d.place.GetNodes() {
		l := cell.NewLine(b.Width)
		if x.GetMay() == "yes" {
			l.Put(th.OK, th.Sym.OK+" ")
		} else {
			l.Put(th.Dim, th.Sym.Off+" ")
		}
		l.Field(th.Bold, cell.Node(x.GetNode()), 6, false).Field(th.Plain, x.GetMay(), 5, false)
		if x.GetHolds() {
			l.Put(th.Info, "holds one  ")
		}
		l.Put(th.Plain, x.GetWhy())
		if x.GetWouldChange() != "" {
			l.Put(th.Dim, "  unless "+x.GetWouldChange())
		}
		b.Add(l)
	}
}

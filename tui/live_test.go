package tui

import (
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/page"
)

// screen is the text on the screen.
func (d *Dashboard) screen(t *testing.T) string {
	t.Helper()
	d.frame.dirty = true
	return ansi.Strip(d.View().Content)
}

// with is a snapshot with these operations, the newest first.
func with(s *feed.Snapshot, ops ...*adminpb.Operation) *feed.Snapshot {
	c := *s
	c.Revision++
	c.Operations = ops
	c.Status = proto.CloneOf(s.Status)
	c.Status.Running = nil
	for _, o := range ops {
		if o.GetState() == "running" {
			c.Status.Running = append(c.Status.Running, o)
		}
	}
	return &c
}

func operationOf(id, state string, node uint32) *adminpb.Operation {
	o := proto.CloneOf(decommissioning())
	o.Id, o.State, o.Spec.Nodes = id, state, []uint32{node}
	return o
}

// TestRunningOperationIsOnTheScreen: whatever was selected before, who comes to
// the view sees what is at work, and the footer speaks of it.
func TestRunningOperationIsOnTheScreen(t *testing.T) {
	d := testDashboard(t, newFixture(5, 64, true), "dark", 80, 24)
	var old []*adminpb.Operation
	for _, id := range []string{"op-0009", "op-0008", "op-0007", "op-0006", "op-0005", "op-0004", "op-0003", "op-0002", "op-0001"} {
		old = append(old, operationOf(id, "succeeded", 4))
	}
	d.Update(fromFeed{number: 1, msg: with(d.snap, old...)})
	press(d, "6", "G") // the oldest
	if foot := d.screen(t); strings.Contains(foot, "P pause") || strings.Contains(foot, "X cancel") {
		t.Errorf("what has ended can be paused or cancelled:\n%s", foot)
	}
	press(d, "1")
	d.Update(fromFeed{number: 1, msg: with(d.snap, append([]*adminpb.Operation{operationOf("op-00ff", "running", 5)}, old...)...)})
	press(d, "6")
	got := d.screen(t)
	for _, want := range []string{"op-00ff", "decommission n5", "P pause", "X cancel"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not on the screen:\n%s", want, got)
		}
	}
	press(d, "j") // now another one is chosen, and stays so
	chosen := d.screen(t)
	d.Update(fromFeed{number: 1, msg: with(d.snap, append([]*adminpb.Operation{operationOf("op-0100", "running", 3), operationOf("op-00ff", "running", 5)}, old...)...)})
	if after := d.screen(t); strings.Contains(chosen, "P pause") || strings.Contains(after, "P pause") || !strings.Contains(after, "op-0100") {
		t.Errorf("the selection was taken away, or what began is not on the screen:\n%s\n%s", chosen, after)
	}
}

// TestCancelledIsNotWell: a cancelled operation is not marked as one that went
// well, and none of its phases runs for ever.
func TestCancelledIsNotWell(t *testing.T) {
	d := testDashboard(t, newFixture(5, 64, true), "dark", 80, 24)
	o := operationOf("op-00ff", "cancelled", 5)
	for _, p := range o.Phases {
		if p.State == "running" {
			p.State = "cancelled"
		}
	}
	d.Update(fromFeed{number: 1, msg: with(d.snap, o)})
	press(d, "6")
	got := d.screen(t)
	if strings.Contains(got, "● op-00ff") || strings.Contains(got, "… move") || !strings.Contains(got, "○ op-00ff") || !strings.Contains(got, "cancelled here") {
		t.Errorf("a cancelled operation:\n%s", got)
	}
}

// TestRangeDetailIsAskedAgain: what the stream does not carry is asked for again
// while it is shown, one question at a time.
func TestRangeDetailIsAskedAgain(t *testing.T) {
	d := testDashboard(t, newFixture(5, 64, true), "dark", 80, 24)
	now := epoch
	d.cfg.now = func() time.Time { return now }
	press(d, "3", "t", "j", "enter")
	p, ok := d.page().(page.Asker)
	if !ok {
		t.Fatal("the view of ranges asks nothing again")
	}
	answer := func() {
		for _, name := range []string{"raft", "place"} {
			id := "2"
			d.Update(fromPage{number: 1, page: page.Ranges, result: page.Result{Name: name + id, Err: errUnreachable}})
		}
	}
	asked := 0
	for range 10 {
		now = now.Add(time.Second)
		if calls := page.AllCalls(p.Again(now)); len(calls) == 2 {
			asked++
		}
	}
	if asked > 0 {
		t.Errorf("asked %d times before the first answer came", asked)
	}
	answer()
	for range 10 {
		now = now.Add(time.Second)
		if calls := page.AllCalls(p.Again(now)); len(calls) == 2 {
			asked++
			answer()
		}
	}
	if asked != 5 {
		t.Errorf("asked %d times in 10 s, want each 2 s", asked)
	}
	press(d, "esc")
	if calls := page.AllCalls(p.Again(now.Add(time.Minute))); calls != nil {
		t.Error("asked though no range is shown")
	}
}

// TestPaletteSaysWhatEnterDoes: words of the user's own make a command that is
// listed, with what it does.
func TestPaletteSaysWhatEnterDoes(t *testing.T) {
	for typed, want := range map[string]string{
		"range r7":                            "nodedbctl ranges show r7",
		"lookup orders 1":                     "nodedbctl routing lookup orders 1",
		"op op-7f3a":                          "nodedbctl ops show op-7f3a",
		"drain n3 --shutdown --reason a disk": "nodedbctl drain n3 --shutdown --reason 'a disk'",
		"decommission n4 --rate 16MiB/s":      "nodedbctl decommission n4 --rate 16MiB/s",
		"drain n3 --rate 1":                   "options of a drain",
	} {
		d := testDashboard(t, newFixture(5, 64, true), "dark", 160, 48)
		press(d, ":")
		d.paste(typed)
		first, _, _ := strings.Cut(strings.SplitN(d.screen(t), ":"+typed, 2)[1], "\n")
		_, rest, _ := strings.Cut(d.screen(t), first)
		line, _, _ := strings.Cut(strings.TrimPrefix(rest, "\n"), "\n")
		if !strings.Contains(line, want[:min(len(want), 24)]) || strings.Contains(d.screen(t), "nothing is called so") {
			t.Errorf(":%s lists %q first, want %q", typed, line, want)
		}
	}
	d := testDashboard(t, newFixture(5, 64, true), "dark", 160, 48)
	press(d, ":")
	d.paste("range r7")
	press(d, "enter")
	if got := d.screen(t); !strings.Contains(got, "range r7") {
		t.Errorf("enter does not open r7:\n%s", got)
	}
}

// TestWrongNameIsSaid: enter after a wrong name does nothing, and says so.
func TestWrongNameIsSaid(t *testing.T) {
	d := testDashboard(t, newFixture(5, 64, true), "dark", 100, 40)
	s := newSimulated()
	d.c.admin = s
	press(d, "2", "j", "D")
	d.Update(d.redial())
	d.paste("n9")
	press(d, "enter")
	if got := d.screen(t); !strings.Contains(got, "nothing was done") || len(s.started) > 0 {
		t.Errorf("%v were started:\n%s", s.started, got)
	}
}

// TestEndOfAnOperationIsTold: in the footer of every view, until the next view.
func TestEndOfAnOperationIsTold(t *testing.T) {
	d := testDashboard(t, newFixture(5, 64, true), "dark", 100, 40)
	d.Update(fromFeed{number: 1, msg: with(d.snap, operationOf("op-00ff", "running", 5))})
	if strings.Contains(d.screen(t), "op-00ff decommission n5: succeeded") {
		t.Error("the end is told before it comes")
	}
	d.Update(fromFeed{number: 1, msg: with(d.snap, operationOf("op-00ff", "succeeded", 5))})
	if got := d.screen(t); !strings.Contains(got, "op-00ff decommission n5: succeeded") {
		t.Errorf("the end is not told:\n%s", got)
	}
	press(d, "3")
	if got := d.screen(t); strings.Contains(got, "op-00ff") {
		t.Errorf("it is still told over the keys of another view:\n%s", got)
	}
}

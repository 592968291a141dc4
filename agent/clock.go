package agent

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nodedb/nodedb/agent/internal/boottime"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/health"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

const (
	// stepPatience is how long most wall clocks must agree on a step before it is
	// taken: time to repair what set them wrong. A cluster that waits serves.
	stepPatience = 5 * time.Minute
	// startSilence is how long a start waits for peers to say what the time is, before
	// it goes on from where it was.
	startSilence = 5 * time.Second
)

// begun is what the monotonic clock of this process counts from.
var begun = time.Now()

// readClocks returns the machine's wall clock and a monotonic one.
func readClocks() (wall time.Time, mono time.Duration) {
	now := time.Now()
	return now.Round(0).Add(wallOffset()), now.Sub(begun)
}

func (n *Node) makeClock() {
	n.steady = hlc.NewSteady(hlc.SteadyConfig{
		Read: readClocks, Boot: boottime.Now, Bound: n.cfg.MaxClockOffset, Patience: stepPatience, Silence: startSilence,
	})
	n.clock = hlc.NewSteadyClock(n.steady)
}

// clockStatus says where this node's time stands.
func (n *Node) clockStatus() cluster.ClockStatus {
	st := n.steady.Standing()
	out := cluster.ClockStatus{Belief: st.Belief.String(), Step: st.Step.Seconds(), Taking: st.Taking, Due: st.Due.Seconds(), Limit: n.cfg.MaxClockOffset.Seconds()}
	if awake, wakes := n.store.Awake(); closed(awake) {
		out.Ahead = max(0, n.clock.Ahead().Seconds())
	} else if !wakes.IsZero() {
		out.Waits, out.Ahead = wakes.UTC(), max(0, wakes.Sub(st.Time).Seconds())
	}
	if n.peers != nil {
		offset, _ := n.peers.ClockOffset()
		out.Offset = offset.Seconds()
	}
	return out
}

// clockWatch is what was told of the clock last; it belongs to the goroutine that
// judges.
type clockWatch struct {
	stepped, ahead bool
}

// clockJudged says on the health board why this node's clock keeps it from serving,
// and leaves in the log and in the cluster's event log what began or ended.
func (n *Node) clockJudged() {
	st := n.clockStatus()
	n.judgeClock(&st)
	if stepped := st.Stepped(); stepped != n.clockTold.stepped {
		n.clockTold.stepped = stepped
		n.tellClock(stepped, fmt.Sprintf("the clock of %s's machine was set %s: the node goes on by the clock that counts from the machine's start", n.id.Node, direction(st.Step)),
			fmt.Sprintf("the clock of %s's machine is where the node's time is", n.id.Node), cluster.EventClockStepped, st.Step)
	}
	if ahead := st.IsAhead(); ahead != n.clockTold.ahead {
		n.clockTold.ahead = ahead
		n.tellClock(ahead, fmt.Sprintf("%s has given or used timestamps that are %s ahead of its time: others do not listen to it", n.id.Node, seconds(st.Ahead)),
			fmt.Sprintf("the time of %s has passed the timestamps that it used", n.id.Node), cluster.EventClockAhead, st.Ahead)
	}
}

func (n *Node) judgeClock(st *cluster.ClockStatus) {
	const component = "clock"
	offset, peers := n.peers.ClockOffset()
	switch awake, _ := n.store.Awake(); {
	case st.Belief == hlc.Asking.String():
		n.board.Set(health.Problem{Component: component, Code: "clock-asking", Detail: "this node asks its peers what the time is: too few have answered, or their times differ by more than " + n.cfg.MaxClockOffset.String()})
	case !closed(awake):
		n.board.Clear(component) // "clock ceiling" tells what it waits for
	case st.IsAhead():
		n.board.Set(health.Problem{Component: component, Code: "clock-ahead", Detail: fmt.Sprintf(
			"this node has used timestamps that are %s ahead of its time; others listen to it again at %s", seconds(st.Ahead), time.Now().Add(toDuration(st.Ahead)).UTC().Format(time.RFC3339))})
	case peers >= 2 && offset.Abs() > n.cfg.MaxClockOffset:
		n.board.Set(health.Problem{Component: component, Code: "clock-offset", Detail: fmt.Sprintf(
			"this node's time is %s from the median of %d peers, more than %s: check NTP", offset.Round(time.Millisecond), peers, n.cfg.MaxClockOffset)})
	default:
		n.board.Clear(component)
	}
}

// tellClock tells that something began, or is over.
func (n *Node) tellClock(began bool, begins, ends string, kind cluster.EventKind, by float64) {
	text, severity := begins, cluster.SeverityWarn
	if !began {
		text, severity = ends, cluster.SeverityInfo
		n.logger.Info(text)
	} else {
		n.logger.Warn(text, slog.String("advice", "check NTP"))
	}
	n.later(metastate.Command{By: n.id.Node.String(), Via: "agent", RecordEvents: &metastate.RecordEvents{Events: []cluster.Event{{
		Kind: kind, Severity: severity, Node: n.id.Node, Source: n.id.Node, Text: text,
		Data: map[string]string{"seconds": fmt.Sprintf("%.3f", by), "ended": fmt.Sprint(!began)},
	}}}})
}

func direction(step float64) string {
	if step < 0 {
		return seconds(-step) + " back"
	}
	return seconds(step) + " forward"
}

func toDuration(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// seconds writes a duration as people say it: 1h0m0s, 1.5s.
func seconds(s float64) string { return toDuration(s).Round(100 * time.Millisecond).String() }

// awaken waits until this node may use its clock: it is settled what the time is
// and, after a restart, the clock has passed what was used before. It says that the
// node waits as long as that time is to come only: a node may also wait for peers to
// say what the time is, and may learn from them that its wall clock is wrong.
func (n *Node) awaken(ctx context.Context) error {
	const component = "clock ceiling"
	awake, wakes := n.store.Awake()
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for told := false; !closed(awake); {
		if !told && wakes.After(n.clock.Physical()) {
			told = true
			n.board.Set(health.Problem{Component: component, Code: "clock-ahead", Detail: fmt.Sprintf(
				"before its restart this node used times that its clock has not reached yet: it waits until %s", wakes.UTC().Format(time.RFC3339))})
			n.logger.Info("node waits for its clock to pass what it used before", slog.Time("until", wakes.UTC()))
		}
		select {
		case <-awake:
		case <-again.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	n.board.Clear(component)
	return nil
}

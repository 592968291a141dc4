package metastate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// A run of a schedule is recorded here before it starts, and once for each time that is
// due, whoever asks. That it succeeded is recorded by its own transaction, as the part of
// that in the meta range (ChangeObjects.Run): so a run that is recorded otherwise, as lost
// for example, was not committed and never will be.

// StartRun begins the run of a time that is due. Result.Run is its number. Times up to that
// one are due no more.
type StartRun struct {
	Schedule cluster.ObjectID `json:"schedule"`
	Version  uint64           `json:"version"` // of the object
	Due      time.Time        `json:"due"`
	Node     cluster.NodeID   `json:"node"`
	// Missed is how many times were due before it that nobody has started, the last of
	// them LastMissed.
	Missed     int       `json:"missed,omitempty"`
	LastMissed time.Time `json:"lastMissed,omitzero"`
}

// RunNow begins a run that somebody asks for, whether the schedule is due or not, or is
// paused. Result.Run is its number. When it is due next does not change.
type RunNow struct {
	Schedule cluster.ObjectID `json:"schedule"`
	Version  uint64           `json:"version"` // of the object
	Node     cluster.NodeID   `json:"node"`
	Reason   string           `json:"reason,omitempty"`
}

// SwitchSchedule has a schedule run at its times, or not: what ALTER SCHEDULE ... ENABLE and
// DISABLE do, for operators. What it is already is no refusal.
type SwitchSchedule struct {
	Schedule cluster.ObjectID `json:"schedule"`
	Enabled  bool             `json:"enabled"`
	Reason   string           `json:"reason,omitempty"`
}

// EndRun says what became of a run that is running.
type EndRun struct {
	Schedule cluster.ObjectID `json:"schedule"`
	Run      uint64           `json:"run"`
	State    cluster.RunState `json:"state"` // succeeded, failed or lost
	Rows     int64            `json:"rows,omitempty"`
	Code     string           `json:"code,omitempty"`
	Error    string           `json:"error,omitempty"`
}

// same reports whether both end the same run.
func (in *EndRun) same(other *EndRun) bool {
	return in != nil && other != nil && in.Schedule == other.Schedule && in.Run == other.Run
}

// ScheduleState is how far a schedule has come.
type ScheduleState struct {
	ID   cluster.ObjectID `json:"id"`
	Last time.Time        `json:"last"` // times up to it are due no more
	Runs uint64           `json:"runs"` // that there were, and that were skipped or missed
}

const (
	// maxRuns is how many runs of a schedule are kept: the newest.
	maxRuns = 100
	// maxRunning is how many of a schedule may run at once.
	maxRunning = 10
	// maxRunError bounds the text of an error.
	maxRunError = 1000
)

func (c *change) startRun(in *StartRun) Result {
	o, state := c.view.Objects[in.Schedule], c.view.Schedules[in.Schedule]
	switch {
	case o == nil || o.Schedule == nil || state == nil:
		return refused(CodeNotFound, "the schedule was dropped (object %d)", in.Schedule)
	case o.Version != in.Version || o.Schedule.Disabled:
		return refused(CodeStale, "schedule %q was changed meanwhile", o.Name)
	case !in.Due.After(state.Last):
		return refused(CodeStale, "schedule %q was started for %s already", o.Name, in.Due.UTC().Format(time.RFC3339))
	case in.Missed < 0 || in.Missed > 0 && !in.LastMissed.Before(in.Due):
		return refused(CodeInvalid, "what was missed was due before")
	}
	next := ScheduleState{ID: in.Schedule, Last: in.Due.UTC(), Runs: state.Runs}
	if in.Missed > 0 {
		c.addRun(o, &next, cluster.ScheduleRun{Due: in.LastMissed, State: cluster.RunMissed, Count: in.Missed})
	}
	run, out := cluster.ScheduleRun{Due: in.Due, State: cluster.RunRunning, Node: in.Node}, Result{}
	if c.overlaps(o) {
		run.State, run.Node = cluster.RunSkipped, 0
	}
	c.addRun(o, &next, run)
	if run.State == cluster.RunRunning {
		out.Run = next.Runs
	}
	c.putScheduleState(next)
	return out
}

func (c *change) runNow(in *RunNow) Result {
	o, state := c.view.Objects[in.Schedule], c.view.Schedules[in.Schedule]
	switch {
	case o == nil || o.Schedule == nil || state == nil:
		return refused(CodeNotFound, "there is no schedule %d", in.Schedule)
	case o.Version != in.Version:
		return refused(CodeStale, "schedule %q was changed meanwhile", o.Name)
	case c.overlaps(o):
		return refused(CodeConflict, "schedule %q is running, and its runs do not overlap; or ten of them are running", o.Name)
	}
	next := *state
	c.addRun(o, &next, cluster.ScheduleRun{Due: c.now, State: cluster.RunRunning, Node: in.Node, By: c.by})
	c.putScheduleState(next)
	return Result{Run: next.Runs}
}

func (c *change) switchSchedule(in *SwitchSchedule) Result {
	o := c.view.Objects[in.Schedule]
	if o == nil || o.Schedule == nil {
		return refused(CodeNotFound, "there is no schedule %d", in.Schedule)
	}
	if o.Schedule.Disabled == !in.Enabled {
		return Result{}
	}
	next, made := *o, *o.Schedule
	made.Disabled = !in.Enabled
	next.Schedule = &made
	seen := []SeenObject{{o.ID, o.Version}}
	if schema := c.view.Objects[o.Parent]; schema != nil {
		seen = append(seen, SeenObject{schema.ID, schema.Version})
	}
	return c.changeObjects(&ChangeObjects{Seen: seen, Put: []cluster.Object{next}})
}

// overlaps reports whether a run of the schedule that began now would run beside others
// that it may not run beside.
func (c *change) overlaps(o *cluster.Object) bool {
	running := 0
	for _, r := range c.view.Runs[o.ID] {
		if r.State == cluster.RunRunning {
			running++
		}
	}
	return running > 0 && o.Schedule.Overlap == cluster.OverlapSkip || running >= maxRunning
}

// addRun gives a run its number, and stages it.
func (c *change) addRun(o *cluster.Object, next *ScheduleState, r cluster.ScheduleRun) {
	next.Runs++
	r.Schedule, r.Number, r.Due, r.Started = o.ID, next.Runs, r.Due.UTC(), c.now
	if r.State != cluster.RunRunning {
		r.Ended = c.now
	}
	c.tellRun(o, &r)
	c.putRun(r)
}

func (c *change) putScheduleState(state ScheduleState) {
	own(c, &c.view.Schedules)[state.ID] = stage(c, kindSchedule, idKey(uint64(state.ID)), &state)
}

// endRun is refused unless the run is running: who has lost it commits nothing of it.
func (c *change) endRun(in *EndRun) *Refusal {
	o := c.view.Objects[in.Schedule]
	runs := c.view.Runs[in.Schedule]
	i := slices.IndexFunc(runs, func(r *cluster.ScheduleRun) bool { return r.Number == in.Run })
	switch {
	case o == nil || o.Schedule == nil || i < 0 || runs[i].State != cluster.RunRunning:
		return refuse(CodeStale, "run %d of the schedule has ended, or the schedule was dropped (object %d)", in.Run, in.Schedule)
	case in.State != cluster.RunSucceeded && in.State != cluster.RunFailed && in.State != cluster.RunLost:
		return refuse(CodeInvalid, "a run does not end as %q", in.State)
	}
	for _, id := range sortedKeys(c.view.Pending) {
		if p := c.view.Pending[id]; in.same(p.Change.Run) {
			return &Refusal{Code: CodePending, Message: "the run is being committed", Txn: p.Txn, Record: p.Record}
		}
	}
	r := *runs[i]
	r.State, r.Ended, r.Rows, r.Code, r.Error = in.State, c.now, in.Rows, in.Code, in.Error
	r.Error = strings.ToValidUTF8(r.Error[:min(len(r.Error), maxRunError)], "")
	c.tellRun(o, &r)
	c.putRun(r)
	return nil
}

// tellRun records an event when runs begin to go wrong, and when they go well again: not of
// each, as there may be one each second.
func (c *change) tellRun(o *cluster.Object, r *cluster.ScheduleRun) {
	if r.State == cluster.RunRunning {
		return
	}
	var before cluster.RunState
	for _, b := range slices.Backward(c.view.Runs[o.ID]) {
		if b.State != cluster.RunRunning && b.Number != r.Number {
			before = b.State
			break
		}
	}
	switch wrong := r.State != cluster.RunSucceeded; {
	case wrong && r.State != before:
		text := fmt.Sprintf("run %d of schedule %q, due %s, is %s", r.Number, o.Name, r.Due.UTC().Format(time.RFC3339), r.State)
		if r.Code != "" {
			text += ": SQLSTATE " + r.Code // the message may hold values of rows
		}
		c.event(cluster.Event{Kind: cluster.EventScheduleFailed, Severity: cluster.SeverityWarn, Node: r.Node, Text: text})
	case !wrong && before != "" && before != cluster.RunSucceeded:
		c.event(cluster.Event{Kind: cluster.EventScheduleWell, Node: r.Node, Text: fmt.Sprintf("run %d of schedule %q has succeeded again", r.Number, o.Name)})
	}
}

// putRun stages a run, and takes away the oldest ones that are too many.
func (c *change) putRun(r cluster.ScheduleRun) {
	stored := stage(c, kindRun, runKey(r.Schedule, r.Number), &r)
	runs := slices.Clone(c.view.Runs[r.Schedule])
	if i := slices.IndexFunc(runs, func(x *cluster.ScheduleRun) bool { return x.Number == r.Number }); i >= 0 {
		runs[i] = stored
	} else {
		runs = append(runs, stored)
	}
	for len(runs) > maxRuns {
		i := slices.IndexFunc(runs, func(x *cluster.ScheduleRun) bool { return x.State != cluster.RunRunning })
		if i < 0 {
			break
		}
		c.erase(kindRun, runKey(r.Schedule, runs[i].Number))
		runs = slices.Delete(runs, i, i+1)
	}
	own(c, &c.view.Runs)[r.Schedule] = runs
}

// putSchedule has a schedule that is made, or gets other times, be due from now on.
func (c *change) putSchedule(id cluster.ObjectID, s *cluster.Schedule) {
	state := ScheduleState{ID: id}
	if old := c.view.Objects[id]; old != nil {
		if s.SameTimes(old.Schedule) {
			return
		}
		state = *c.view.Schedules[id]
	}
	state.Last = c.now.UTC()
	c.putScheduleState(state)
}

func (c *change) dropSchedule(id cluster.ObjectID) {
	delete(own(c, &c.view.Schedules), id)
	c.erase(kindSchedule, idKey(uint64(id)))
	for _, r := range c.view.Runs[id] {
		c.erase(kindRun, runKey(id, r.Number))
	}
	delete(own(c, &c.view.Runs), id)
}

func runKey(id cluster.ObjectID, number uint64) []byte {
	return append(idKey(uint64(id)), idKey(number)...)
}

// onlyEndsRun reports whether a change of objects is no more than the end of a run.
func (cmd *Command) onlyEndsRun() bool {
	in := cmd.ChangeObjects
	if cmd.PrepareObjects != nil {
		in = &cmd.PrepareObjects.Change
	}
	return in != nil && in.Run != nil && len(in.Put)+len(in.Drop) == 0 && cmd.Batch == nil
}

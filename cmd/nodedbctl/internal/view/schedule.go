package view

import (
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
)

// Schedule is the kind Schedule: what has statements run at times.
type Schedule struct {
	ID       uint32     `json:"id"` // one of a kind in the cluster
	Database string     `json:"database"`
	Schema   string     `json:"schema"`
	Name     string     `json:"name"`
	Owner    string     `json:"owner"` // in whose name it runs
	Cron     string     `json:"cron"`
	TimeZone string     `json:"timeZone"`
	Overlap  string     `json:"overlap"` // skip | allow
	Enabled  bool       `json:"enabled"` // false: it is paused
	NextDue  *time.Time `json:"nextDue"` // null: it is paused, or never due again
	// Last is the newest run; null: there was none.
	Last       *ScheduleRun `json:"last"`
	LastDue    *time.Time   `json:"lastDue"`   // of that
	LastState  string       `json:"lastState"` // of that; empty: there was none
	Running    uint32       `json:"running"`   // runs that have not ended
	Timeout    float64      `json:"timeoutSeconds"`
	Comment    string       `json:"comment"`
	Body       string       `json:"body"` // the statements; empty if hidden
	SearchPath string       `json:"searchPath"`
	Hidden     bool         `json:"hidden"` // body, and errors of runs, are not for the caller to see
}

// ScheduleRun is the kind ScheduleRun: one time that a schedule was due, or that somebody
// had it run.
type ScheduleRun struct {
	Number  uint64     `json:"number"` // of the schedule's runs, from 1
	Due     time.Time  `json:"due"`
	State   string     `json:"state"` // running | succeeded | failed | skipped | missed | lost
	Node    *uint32    `json:"node"`  // that runs it; null: none did
	By      string     `json:"by"`    // who asked for it; empty: it was due
	Started time.Time  `json:"started"`
	Ended   *time.Time `json:"ended"` // null: it is running
	Took    *float64   `json:"tookSeconds"`
	Rows    uint64     `json:"rows"`   // that its statements wrote or read
	Missed  uint32     `json:"missed"` // of missed: how many times that is
	Code    string     `json:"code"`   // SQLSTATE of the error
	Error   string     `json:"error"`  // empty if hidden
	Hidden  bool       `json:"hidden"` // the error is not for the caller to see
}

// NewSchedule makes a Schedule.
func NewSchedule(s *adminpb.Schedule) Schedule {
	out := Schedule{
		ID: s.GetId(), Database: s.GetDatabase(), Schema: s.GetSchema(), Name: s.GetName(), Owner: s.GetOwner(), Cron: s.GetCron(), TimeZone: s.GetTimeZone(),
		Overlap: s.GetOverlap(), Enabled: s.GetEnabled(), NextDue: moment(s.GetNextDue()), Running: s.GetRunning(), Timeout: s.GetTimeout(), Comment: s.GetComment(),
		Body: s.GetBody(), SearchPath: s.GetSearchPath(), Hidden: s.GetHidden(),
	}
	if s.GetLast() != nil {
		last := NewScheduleRun(s.GetLast())
		out.Last, out.LastDue, out.LastState = &last, &last.Due, last.State
	}
	return out
}

// NewScheduleRun makes a ScheduleRun.
func NewScheduleRun(r *adminpb.ScheduleRun) ScheduleRun {
	out := ScheduleRun{
		Number: r.GetNumber(), Due: r.GetDue().AsTime().UTC(), State: r.GetState(), Node: optionalNode(r.GetNode()), By: r.GetBy(), Started: r.GetStarted().AsTime().UTC(),
		Ended: moment(r.GetEnded()), Rows: r.GetRows(), Missed: r.GetMissed(), Code: r.GetCode(), Error: r.GetError(), Hidden: r.GetHidden(),
	}
	if out.Ended != nil && out.Node != nil {
		took := float64(out.Ended.Sub(out.Started).Milliseconds()) / 1000
		out.Took = &took
	}
	return out
}

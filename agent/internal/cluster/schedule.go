package cluster

import (
	"errors"
	"fmt"
	"time"
)

// Schedule is what an object says that has statements run at times.
type Schedule struct {
	Cron     string `json:"cron"`
	TimeZone string `json:"timeZone"`
	// Overlap says what becomes of a run that is due while one before still runs.
	Overlap  Overlap `json:"overlap"`
	Disabled bool    `json:"disabled,omitempty"`
	Body     string  `json:"body"` // SQL text of the statements
	// SearchPath and TimeoutMS are settings of the session that gave the body: where names
	// are looked for, and how long a run may take.
	SearchPath string `json:"searchPath"`
	TimeoutMS  int64  `json:"timeoutMs"`
}

// Overlap says what becomes of a run that is due while one before still runs.
type Overlap string

// The policies.
const (
	OverlapSkip  Overlap = "SKIP"
	OverlapAllow Overlap = "ALLOW"
)

// Timeout is how long a run may take.
func (s *Schedule) Timeout() time.Duration { return time.Duration(s.TimeoutMS) * time.Millisecond }

// SameTimes reports whether s is due when other is.
func (s *Schedule) SameTimes(other *Schedule) bool {
	return s.Cron == other.Cron && s.TimeZone == other.TimeZone && s.Disabled == other.Disabled
}

func (s *Schedule) validate() error {
	switch {
	case s.Cron == "" || s.TimeZone == "" || s.Body == "":
		return errors.New("a schedule has an expression, a time zone and a body")
	case s.Overlap != OverlapSkip && s.Overlap != OverlapAllow:
		return fmt.Errorf("there is no policy %q for runs that overlap", s.Overlap)
	case s.TimeoutMS < 1:
		return errors.New("a run takes time")
	}
	return nil
}

// RunState is how far a run of a schedule is.
type RunState string

// The states. Of all but RunSucceeded, and RunRunning, nothing was committed.
const (
	RunRunning   RunState = "running"
	RunSucceeded RunState = "succeeded"
	RunFailed    RunState = "failed"
	// RunSkipped: others of the schedule were running.
	RunSkipped RunState = "skipped"
	// RunMissed: nobody was there to start it, nor Count-1 before it.
	RunMissed RunState = "missed"
	// RunLost: the node that ran it ended, or gave up the transaction.
	RunLost RunState = "lost"
)

// ScheduleRun is one time that a schedule was due.
type ScheduleRun struct {
	Schedule ObjectID  `json:"schedule"`
	Number   uint64    `json:"number"` // of the schedule's runs, from 1
	Due      time.Time `json:"due"`
	State    RunState  `json:"state"`
	Node     NodeID    `json:"node,omitempty"` // that runs it
	By       string    `json:"by,omitempty"`   // who asked for it; "": it was due
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended,omitzero"`
	Rows     int64     `json:"rows,omitempty"`  // that its statements wrote or read
	Count    int       `json:"count,omitempty"` // of RunMissed: how many due times
	Code     string    `json:"code,omitempty"`  // SQLSTATE of the error
	Error    string    `json:"error,omitempty"`
}

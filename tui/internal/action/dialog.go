package action

import (
	"context"
	"strings"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
)

// stage is how far a dialog is.
type stage int

const (
	looking   stage = iota // the plan is being made
	shown                  // it can be read, and confirmed if it is allowed
	doing                  // it is being asked for
	following              // an operation carries it out
	finished               // done, or refused
)

// Dialog leads through one action.
type Dialog struct {
	Action *Action

	complete func(command string) string
	stage    stage
	verdict  *Verdict
	outcome  *Outcome
	err      *client.Error
	input    Input
	scroll   int
	wrong    bool               // another word than the one asked for was entered
	last     *adminpb.Operation // the newest that was seen
}

// Open begins a dialog. The caller makes the call that it returns. complete makes
// a command act on the cluster that is shown.
func Open(a *Action, complete func(command string) string) (*Dialog, Call) {
	d := &Dialog{Action: a, complete: complete}
	return d, d.look()
}

// Call is work for the caller to do elsewhere; its result goes to Receive.
type Call func(context.Context, adminpb.AdminClient) Result

// Result is what a call came to.
type Result struct {
	dialog  *Dialog
	verdict *Verdict
	outcome *Outcome
	err     error
}

// command is what nodedbctl calls it.
func (d *Dialog) command() string {
	if d.verdict != nil && d.verdict.Command != "" {
		return d.complete(d.verdict.Command)
	}
	return d.complete(d.Action.Command)
}

func (d *Dialog) look() Call {
	return func(ctx context.Context, c adminpb.AdminClient) Result {
		v, err := d.Action.Look(ctx, c)
		return Result{dialog: d, verdict: v, err: err}
	}
}

// Receive takes a result and reports whether it was of this dialog.
func (d *Dialog) Receive(r Result) bool {
	if r.dialog != d {
		return false
	}
	switch {
	case r.err != nil:
		d.err, d.stage = client.AsError(r.err), finished
	case r.verdict != nil:
		d.verdict, d.stage = r.verdict, shown
	case r.outcome != nil:
		d.outcome, d.stage = r.outcome, finished
		if r.outcome.Operation != "" {
			d.stage = following
		}
	}
	return true
}

// Answer is what a key in a dialog asks of the caller.
type Answer struct {
	Close bool
	Copy  string
	Call  Call
	Open  string // operation to show
}

// Press takes a key. Before anything is typed, y copies the command.
func (d *Dialog) Press(key, typed string) Answer {
	empty := d.input.Text() == ""
	switch {
	case key == "esc":
		return Answer{Close: true}
	case key == "ctrl+y" || (key == "y" && (d.stage != shown || empty && !strings.HasPrefix(d.Action.Word, "y"))):
		return Answer{Copy: d.command()}
	case key == "pgdown" || key == "down":
		d.scroll++
	case key == "pgup" || key == "up":
		d.scroll = max(0, d.scroll-1)
	case d.stage == shown && key == "enter":
		return d.confirm()
	case d.stage == shown && d.verdict.Allowed:
		d.wrong = false
		d.input.Press(key, typed)
	case d.stage == following && key == "enter":
		return Answer{Close: true, Open: d.outcome.Operation}
	case d.stage == finished && key == "enter":
		return Answer{Close: true}
	}
	return Answer{}
}

// Paste puts pasted text into the confirmation.
func (d *Dialog) Paste(text string) {
	if d.stage == shown && d.verdict.Allowed {
		d.input.Insert(strings.TrimSpace(text))
	}
}

func (d *Dialog) confirm() Answer {
	if !d.verdict.Allowed {
		return Answer{}
	}
	if d.input.Text() != d.Action.Word {
		d.wrong = true
		return Answer{}
	}
	d.stage = doing
	v := d.verdict
	return Answer{Call: func(ctx context.Context, c adminpb.AdminClient) Result {
		o, err := d.Action.Do(ctx, c, v)
		return Result{dialog: d, outcome: o, err: err}
	}}
}

// Operation is the id of the operation that carries the action out, if any.
func (d *Dialog) Operation() string {
	if d.outcome == nil {
		return ""
	}
	return d.outcome.Operation
}

// Follow takes the newest state of the dialog's operation.
func (d *Dialog) Follow(o *adminpb.Operation) {
	if o != nil && (d.last == nil || o.GetMetaIndex() >= d.last.GetMetaIndex()) {
		d.last = o
	}
}

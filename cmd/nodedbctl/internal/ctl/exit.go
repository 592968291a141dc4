package ctl

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
)

// Exit is an exit code. The numbers are a contract with scripts.
type Exit int

// The exit codes.
const (
	OK          Exit = 0
	Internal    Exit = 1
	Usage       Exit = 2
	NotFound    Exit = 3
	Denied      Exit = 4
	Unsafe      Exit = 5
	Timeout     Exit = 6
	Aborted     Exit = 7
	Conflict    Exit = 8
	Unavailable Exit = 9
	Changes     Exit = 10
	Failed      Exit = 11
	Partial     Exit = 12
	Interrupted Exit = 130
)

// ExitHelp is the table that every --help ends with.
const ExitHelp = `Exit codes:
    0 ok           done, condition true, or nothing to do
    1 internal     unexpected error
    2 usage        bad flags, ambiguous name
    3 not-found    node, range, operation or plan unknown
    4 denied       not authenticated, or the role does not allow it
    5 unsafe       a safety check refuses; nothing was changed
    6 timeout      --timeout ended; the operation continues
    7 aborted      the operation ended cancelled
    8 conflict     another operation holds the nodes or ranges, or the plan is stale
    9 unavailable  no quorum of the meta range, or no node reachable
   10 changes      the plan is not empty, or check found problems
   11 failed       the operation ended failed
   12 partial      --strict and some nodes did not answer
  130 interrupted  detached by Ctrl-C; the operation continues
`

// Error is an error with its exit code and what to do next.
type Error struct {
	Code    Exit
	Message string // one sentence; empty: all was said already
	Next    []string
	Err     error
}

func (e *Error) Error() string {
	if e.Message == "" && e.Err != nil {
		return e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Usagef is a mistake in the command line.
func Usagef(format string, args ...any) *Error {
	return &Error{Code: Usage, Message: fmt.Sprintf(format, args...)}
}

// Silent ends the command with a code; everything was said.
func Silent(code Exit) *Error { return &Error{Code: code} }

var exits = map[client.Kind]Exit{
	client.Internal: Internal, client.Invalid: Usage, client.NotFound: NotFound, client.Denied: Denied, client.Unsafe: Unsafe,
	client.Conflict: Conflict, client.StalePlan: Conflict, client.Unavailable: Unavailable, client.Timeout: Timeout, client.Cancelled: Interrupted,
}

// CodeOf is the exit code of what a verb returned.
func CodeOf(err error) Exit {
	if err == nil {
		return OK
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	var c *client.Error
	var o *render.OptionError
	switch {
	case errors.As(err, &o):
		return Usage
	case errors.As(err, &c):
		return exits[c.Kind]
	case errors.Is(err, context.Canceled):
		return Interrupted
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	case errors.Is(err, client.ErrNoContext):
		return Usage
	case isUsage(err):
		return Usage
	}
	return Internal
}

// isUsage recognises the errors of cobra's own, which have no type.
func isUsage(err error) bool {
	for _, p := range []string{"unknown flag", "unknown shorthand", "unknown command", "accepts ", "requires at least", "invalid argument", "required flag", "flag needs an argument", "if any flags in the group", "bad flag syntax", "no such flag"} {
		if strings.HasPrefix(err.Error(), p) {
			return true
		}
	}
	return false
}

// Refusal shows findings that refuse and the ways out.
func Refusal(s *term.Streams, code Exit, message string, findings []*adminpb.Finding, fixes []*adminpb.Fix) {
	s.Tell("refused (exit %d): %s", code, headline(message, findings))
	width := len("fix")
	for _, f := range findings {
		width = max(width, len(f.GetCode()))
	}
	for _, f := range findings {
		s.Tell("  %-*s  %s%s", width, f.GetCode(), f.GetText(), someRanges(f))
	}
	WriteFixes(s, width, fixes)
	s.Tell("nothing was changed")
}

// headlines say in a few words what a refusal comes to.
var headlines = map[string]string{
	"NO_TARGET": "cannot be completed", "DISK": "cannot be completed", "CONSTRAINT": "cannot be completed", "TOMBSTONED": "cannot be completed",
	"QUORUM_AT_RISK": "not safe", "META_QUORUM": "not safe", "CONFLICT": "another operation is in the way", "COLLECTING": "not known to be safe yet",
}

// headline is message, unless that only repeats the first finding.
func headline(message string, findings []*adminpb.Finding) string {
	if len(findings) == 0 || !strings.HasPrefix(message, findings[0].GetCode()) {
		return message
	}
	if h := headlines[findings[0].GetCode()]; h != "" {
		return h
	}
	return "the request cannot be carried out"
}

// WriteFixes lists ways out, what each does beside its command.
func WriteFixes(s *term.Streams, width int, fixes []*adminpb.Fix) {
	text := 0
	for _, f := range fixes {
		text = max(text, len(f.GetText()))
	}
	label := "fix"
	for _, f := range fixes {
		line := fmt.Sprintf("  %-*s  %-*s  %s", width, label, text+1, f.GetText()+":", f.GetCommand())
		if f.GetCommand() == "" {
			line = fmt.Sprintf("  %-*s  %s", width, label, f.GetText())
		}
		s.Tell("%s", strings.TrimRight(line, " "))
		label = ""
	}
}

// rangesShown is how many range ids a refusal names.
const rangesShown = 8

func someRanges(f *adminpb.Finding) string {
	ids := f.GetRanges()
	if len(ids) == 0 || len(ids) > rangesShown {
		return ""
	}
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = render.Range(id)
	}
	return " (" + strings.Join(names, ", ") + ")"
}

func fixText(f *adminpb.Fix) string {
	switch {
	case f.GetCommand() == "":
		return f.GetText()
	case f.GetText() == "":
		return f.GetCommand()
	}
	return f.GetText() + ": " + f.GetCommand()
}

package ctl

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// Report says on stderr what went wrong, why, and what to run next; with -o json
// as one document. path is the command that was run: "nodedbctl nodes show".
// Quiet or not, errors are said.
func (e *Env) Report(path string, err error) {
	if err == nil || !spoken(err) {
		return
	}
	if f := e.Flags.Output.Format; f == "json" || f == "jsonl" {
		e.reportJSON(path, err)
		return
	}
	s := e.Term
	var c *client.Error
	if errors.As(err, &c) && len(c.Findings) > 0 {
		Refusal(s, CodeOf(err), c.Message, c.Findings, c.Fixes)
		return
	}
	s.Tell("nodedbctl: %s", message(err))
	if c != nil && c.Kind == client.Timeout && c.MaybeApplied() {
		s.Tell("  it may have been done all the same")
	}
	for _, f := range nexts(path, err) {
		s.Tell("  try: %s", fixText(f))
	}
}

// spoken reports whether there is something to say of err: an interruption, and
// an answer that is only an exit code, were said already.
func spoken(err error) bool {
	var c *client.Error
	if errors.As(err, &c) {
		return c.Kind != client.Cancelled
	}
	var e *Error
	if errors.As(err, &e) && e.Message == "" && e.Err == nil {
		return false
	}
	return !errors.Is(err, context.Canceled)
}

func message(err error) string {
	var c *client.Error
	if errors.As(err, &c) {
		return c.Message
	}
	return numberError.ReplaceAllString(err.Error(), "")
}

// numberError is what strconv says of a flag's text before what is wrong with it.
var numberError = regexp.MustCompile(`strconv\.Parse[A-Z][a-z]+: parsing "[^"]*": `)

func (e *Env) reportJSON(path string, err error) {
	code := CodeOf(err)
	v := view.Error{Code: code.String(), Exit: int(code), Message: message(err), Ranges: []uint32{}, Findings: []view.Finding{}}
	var c *client.Error
	if errors.As(err, &c) {
		v.Findings = view.NewFindings(c.Findings)
		for _, f := range c.Findings {
			v.Ranges = append(v.Ranges, f.GetRanges()...)
		}
		if c.Operation != "" {
			v.Operation = &c.Operation
		}
		v.MaybeDone = c.MaybeApplied()
	}
	fixes := nexts(path, err)
	for _, f := range fixes {
		f.Command = e.Term.Complete(f.GetCommand())
	}
	v.Fixes = view.NewFixes(fixes)
	_ = render.Line(e.Term.Err, "Error", v) // nobody is left to be told
}

// nexts are the ways on: those of the cluster or of the error, else where such an
// error is looked into.
func nexts(path string, err error) []*adminpb.Fix {
	var out []*adminpb.Fix
	add := func(commands ...string) {
		for _, c := range commands {
			f := &adminpb.Fix{Text: c}
			if strings.HasPrefix(c, "nodedbctl ") {
				f = &adminpb.Fix{Command: c}
			}
			out = append(out, f)
		}
	}
	var e *Error
	if errors.As(err, &e) {
		add(e.Next...)
	}
	var c *client.Error
	if errors.As(err, &c) {
		if c.Operation != "" {
			add("nodedbctl ops show " + c.Operation)
		}
		out = append(out, c.Fixes...)
	}
	if len(out) == 0 {
		add(usual(CodeOf(err), message(err), path)...)
	}
	return out
}

// listed says where what is unknown is listed, by the noun in the message.
var listed = []struct{ noun, command string }{
	{"pool", "nodedbctl pools"}, {"node", "nodedbctl nodes --all"}, {"range", "nodedbctl ranges"}, {"operation", "nodedbctl ops ls --all"}, {"plan", "nodedbctl rebalance plans"},
	{"collection", `nodedbctl sql -e 'SHOW TABLES'`}, {"join token", "nodedbctl join-token ls"}, {"token", "nodedbctl token ls"},
	{"certificate", "nodedbctl cert show"}, {"context", "nodedbctl context ls"},
}

// usual is what one does after an error of this kind.
func usual(code Exit, message, path string) []string {
	switch code {
	case Usage:
		return []string{path + " --help"}
	case NotFound:
		for _, l := range listed {
			if strings.Contains(message, "no "+l.noun) {
				return []string{l.command}
			}
		}
		return []string{path + " --help"}
	case Denied:
		if strings.Contains(message, "token") {
			return []string{"nodedbctl whoami", "an administrator makes a new one by nodedbctl token create; then --token-file FILE"}
		}
		return []string{"nodedbctl whoami", "nodedbctl context show"}
	case Unsafe:
		return []string{"nodedbctl check"}
	case Conflict:
		if strings.HasPrefix(message, "pool ") && strings.Contains(message, "already exists") {
			return []string{"nodedbctl pools"}
		}
		return []string{"nodedbctl ops ls --all"}
	case Timeout:
		return []string{"nodedbctl ops ls --all"}
	case Unavailable:
		return []string{"nodedbctl context show", "another node: --addr HOST:PORT"}
	case Internal, Failed:
		return []string{"nodedbctl check", "nodedbctl debug bundle"}
	}
	return nil
}

// String is the code's name in the contract.
func (x Exit) String() string {
	if name, ok := exitNames[x]; ok {
		return name
	}
	return fmt.Sprint(int(x))
}

var exitNames = map[Exit]string{
	OK: "ok", Internal: "internal", Usage: "usage", NotFound: "not-found", Denied: "denied", Unsafe: "unsafe", Timeout: "timeout", Aborted: "aborted",
	Conflict: "conflict", Unavailable: "unavailable", Changes: "changes", Failed: "failed", Partial: "partial", Interrupted: "interrupted",
}

package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// client runs statements on a session and shows the answers as text.
type client struct {
	t       testing.TB
	session *Session
	told    map[string]string
	notices []string
}

func (f *fixture) open(options ...func(*SessionOptions)) *client {
	f.t.Helper()
	c := &client{t: f.t, told: map[string]string{}}
	o := SessionOptions{User: "alice", Database: "nodedb", PID: 7, Remote: "test",
		OnSettingChange: func(name, value string) { c.told[name] = value },
		OnNotice:        func(e *Error) { c.notices = append(c.notices, e.Severity+": "+e.Message) }}
	for _, change := range options {
		change(&o)
	}
	if f.meta.View().Users[o.User] == nil {
		if _, err := f.meta.Propose(f.t.Context(), metastate.Command{ChangeUser: &metastate.ChangeUser{Name: o.User, Create: true}}); err != nil {
			f.t.Fatal(err)
		}
	}
	var err error
	if c.session, err = f.server.Open(context.Background(), o); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(c.session.Close)
	return c
}

type textSink struct {
	columns []Column
	rows    []string
	after   func() error
}

func (s *textSink) Describe(columns []Column) error {
	s.columns = columns
	return nil
}

func (s *textSink) Row(row []datum.Datum) error {
	parts := make([]string, len(row))
	for i, d := range row {
		parts[i] = "NULL"
		if !d.Null {
			if t, ok := datum.TypeByOID(s.columns[i].OID); ok && t != d.Type {
				return fmt.Errorf("column %d is announced as %s, but a %s came", i+1, t, d.Type)
			}
			parts[i] = d.Text()
		}
	}
	s.rows = append(s.rows, strings.Join(parts, "|"))
	if s.after != nil {
		return s.after()
	}
	return nil
}

// run executes one statement with parameters given as text, and returns rows and
// tag, or the error, in one string.
func (c *client) run(text string, params ...string) string {
	c.t.Helper()
	return c.runContext(c.t.Context(), text, params...)
}

func (c *client) runContext(ctx context.Context, text string, params ...string) string {
	c.t.Helper()
	p, err := c.session.Prepare(ctx, text, nil)
	if err != nil {
		c.session.FailTx()
		return errorText(c.t, err)
	}
	var args []datum.Datum
	for i, oid := range p.ParamOIDs {
		t, _ := datum.TypeByOID(oid)
		if i >= len(params) {
			break
		}
		d := datum.MakeNull(t)
		if params[i] != "NULL" {
			if d, err = datum.ParseText(t, params[i], nil); err != nil {
				return errorText(c.t, AsError(err))
			}
		}
		args = append(args, d)
	}
	sink := &textSink{}
	tag, err := c.session.Execute(ctx, p, args, sink)
	if err != nil {
		return errorText(c.t, err)
	}
	return strings.Join(append(sink.rows, tag), "\n")
}

func errorText(t testing.TB, err error) string {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("error is no *Error: %v", err)
		return err.Error()
	}
	out := e.Code + " " + e.Message
	if e.Detail != "" {
		out += " / " + e.Detail
	}
	return out
}

// want runs statements and compares.
func (c *client) want(want, text string, params ...string) {
	c.t.Helper()
	if got := c.run(text, params...); got != want {
		c.t.Errorf("%s %q\n got: %s\nwant: %s", text, params, got, want)
	}
}

// sorted is run with the rows in order.
func (c *client) sorted(text string) string {
	c.t.Helper()
	lines := strings.Split(c.run(text), "\n")
	slices.Sort(lines[:len(lines)-1])
	return strings.Join(lines, "\n")
}

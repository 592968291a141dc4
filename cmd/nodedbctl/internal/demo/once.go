package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
)

const (
	operationWait = 5 * time.Minute
	quiet         = 2 * time.Second // load before, between and after the operations
)

// Report is the kind DemoReport.
type Report struct {
	Verdict string  `json:"verdict"` // pass | fail
	Nodes   int     `json:"nodes"`
	Steps   []Step  `json:"steps"`
	Ledger  *Ledger `json:"ledger"`
	Seconds float64 `json:"seconds"`
}

// Step is one part of the story.
type Step struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
	Detail  string  `json:"detail"`
}

// story runs the steps and keeps the report.
type story struct {
	e      *ctl.Env
	report Report
	c      *cluster
	w      *workload
}

// once runs the whole story and prints the verdict.
func once(ctx context.Context, e *ctl.Env, o *options, agent string) error {
	s := &story{e: e, report: Report{Verdict: "fail", Nodes: o.nodes}}
	began := e.Now()
	err := s.run(ctx, o, agent)
	if s.w != nil {
		s.w.stop()
	}
	if s.c != nil {
		if err != nil && ctx.Err() == nil {
			s.logs()
		}
		s.step(ctx, "clean up", func(context.Context) (string, error) {
			return "every process has ended, the directory is removed", s.c.close()
		})
	}
	if ctx.Err() != nil {
		return ctl.Silent(ctl.Interrupted)
	}
	s.report.Seconds = since(e, began).Seconds()
	pass := err == nil && s.report.Ledger != nil && s.report.Ledger.OK()
	for _, st := range s.report.Steps {
		pass = pass && st.OK
	}
	if pass {
		s.report.Verdict = "pass"
	}
	if perr := s.print(); perr != nil {
		return perr
	}
	if !pass {
		return ctl.Silent(ctl.Failed)
	}
	return nil
}

// step runs one part and books it. A failed part ends the story.
func (s *story) step(ctx context.Context, name string, do func(context.Context) (string, error)) bool {
	began := s.e.Now()
	detail, err := do(ctx)
	st := Step{Name: name, OK: err == nil, Seconds: since(s.e, began).Seconds(), Detail: detail}
	if err != nil {
		st.Detail = err.Error()
	}
	s.report.Steps = append(s.report.Steps, st)
	if ctx.Err() == nil || err == nil {
		s.e.Term.Say("%-4s %-22s %6.1fs  %s", mark(st.OK), name, st.Seconds, st.Detail)
	}
	return st.OK
}

func mark(ok bool) string {
	if ok {
		return "ok"
	}
	return "FAIL"
}

var errStep = errors.New("a step failed")

func (s *story) run(ctx context.Context, o *options, agent string) error {
	last := fmt.Sprintf("n%d", o.nodes)
	steps := []struct {
		name string
		do   func(context.Context) (string, error)
	}{
		{"start and load", func(ctx context.Context) (string, error) { return s.begin(ctx, o, agent) }},
		{"write", s.advance},
		{"drain n2", func(ctx context.Context) (string, error) { return s.drain(ctx, "n2") }},
		{"write while n2 drained", s.advance},
		{"undrain n2", func(ctx context.Context) (string, error) { return s.undrain(ctx, "n2") }},
		{"decommission " + last, func(ctx context.Context) (string, error) { return s.decommission(ctx, last) }},
		{last + " stops by itself", func(ctx context.Context) (string, error) { return s.stopped(ctx, last) }},
		{"write without " + last, s.advance},
		{"check every write", s.check},
	}
	for _, st := range steps {
		if !s.step(ctx, st.name, st.do) {
			return errStep
		}
	}
	return nil
}

func (s *story) begin(ctx context.Context, o *options, agent string) (string, error) {
	c, w, err := up(ctx, s.e, o, agent)
	s.c, s.w = c, w
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d secure nodes, %d rows, %d clients", o.nodes, accounts+orders, o.clients), nil
}

// advance lets the load run on for a while, and fails if it does not.
func (s *story) advance(ctx context.Context) (string, error) {
	before := s.w.total().writes
	select {
	case <-time.After(quiet):
	case <-ctx.Done():
		return "", ctx.Err()
	}
	n := s.w.total().writes - before
	if n == 0 {
		return "", fmt.Errorf("no write was acknowledged within %s; last error: %s", quiet, render.Or(s.w.total().lastError))
	}
	return fmt.Sprintf("%.0f writes/s acknowledged", float64(n)/quiet.Seconds()), nil
}

func (s *story) operate(ctx context.Context, spec *adminpb.OperationSpec) (*adminpb.Operation, error) {
	ctx, cancel := context.WithTimeout(ctx, operationWait)
	defer cancel()
	r, err := s.c.client.StartOperation(ctx, &adminpb.StartOperationRequest{Spec: spec, Reason: "demo"})
	if err != nil {
		return nil, withFindings(err)
	}
	id := r.GetOperation().GetId()
	progress := s.e.Term.NewProgress(s.e.Now)
	defer progress.Clear()
	o, err := s.c.client.WatchOperation(ctx, id, client.Watcher{Changed: func(o *adminpb.Operation) error {
		t, d := o.GetTotal(), o.GetDone()
		text := fmt.Sprintf("     %s %s %s: %d/%d replicas, %d/%d leaders %s", id, spec.GetKind(), o.GetPhase(), d.GetReplicas(), t.GetReplicas(),
			d.GetLeaders(), t.GetLeaders(), o.GetWhy())
		progress.Show([]string{text}, text, false)
		return nil
	}})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", id, err)
	}
	if o.GetState() != "succeeded" {
		return nil, fmt.Errorf("%s ended %s: %s", id, o.GetState(), o.GetWhy())
	}
	return o, nil
}

func withFindings(err error) error {
	e := client.AsError(err)
	text := e.Message
	for _, f := range e.Findings {
		text += "; " + f.GetCode() + " " + f.GetText()
	}
	return errors.New(text)
}

// leads waits a while until the node leads something: a drain that hands nothing
// over is no story. Leaders are spread within seconds; without, it is drained too.
func (s *story) leads(ctx context.Context, name string) {
	_ = s.c.poll(ctx, leadsWait, name+" leads no range", func() error {
		n, err := s.c.find(ctx, name)
		if err == nil && n.GetLeaders() == 0 {
			err = errors.New("it has no leadership yet")
		}
		return err
	})
}

func (s *story) drain(ctx context.Context, name string) (string, error) {
	s.leads(ctx, name)
	n, err := s.c.find(ctx, name)
	if err != nil {
		return "", err
	}
	o, err := s.operate(ctx, &adminpb.OperationSpec{Kind: "drain", Nodes: []uint32{n.GetId()}, TxnTimeout: 20, Deadline: 90, OnDeadline: "stop", Ttl: 3600})
	if err != nil {
		return "", err
	}
	if n, err = s.c.find(ctx, name); err != nil {
		return "", err
	}
	if n.GetService() != "drained" || n.GetLeaders() != 0 {
		return "", fmt.Errorf("%s is %s and leads %d ranges", name, n.GetService(), n.GetLeaders())
	}
	return fmt.Sprintf("%s handed over, leads nothing", render.Plural(int(o.GetDone().GetLeaders()), "leadership")), nil
}

func (s *story) undrain(ctx context.Context, name string) (string, error) {
	n, err := s.c.find(ctx, name)
	if err != nil {
		return "", err
	}
	if _, err := s.c.client.Undrain(ctx, &adminpb.UndrainRequest{Nodes: []uint32{n.GetId()}}); err != nil {
		return "", err
	}
	for _, x := range s.c.all() {
		if x.name == name {
			if err := s.c.waitReady(ctx, x); err != nil {
				return "", err
			}
		}
	}
	return name + " serves again", nil
}

func (s *story) decommission(ctx context.Context, name string) (string, error) {
	s.leads(ctx, name)
	n, err := s.c.find(ctx, name)
	if err != nil {
		return "", err
	}
	o, err := s.operate(ctx, &adminpb.OperationSpec{Kind: "decommission", Nodes: []uint32{n.GetId()}})
	if err != nil {
		return "", err
	}
	p := o.GetProof()
	if p == nil || p.GetReferences() != 0 || p.GetDescriptors() == 0 {
		return "", fmt.Errorf("%s succeeded without a proof: %v", o.GetId(), p)
	}
	return fmt.Sprintf("%d replicas moved; %d references to %s in %d descriptors", o.GetDone().GetReplicas(), p.GetReferences(), name, p.GetDescriptors()), nil
}

func (s *story) stopped(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, n := range s.c.all() {
		if n.name != name {
			continue
		}
		code, err := n.wait(ctx)
		if err != nil {
			return "", fmt.Errorf("its process still runs: %w", err)
		}
		if code != 0 {
			return "", fmt.Errorf("its process ended with exit code %d", code)
		}
	}
	return "exit code 0", nil
}

func (s *story) check(ctx context.Context) (string, error) {
	s.w.stop()
	l, err := s.w.check(ctx)
	if err != nil {
		return "", err
	}
	s.report.Ledger = l
	if !l.OK() {
		return "", errors.New(l.String())
	}
	return l.String(), nil
}

// logs shows the end of each node's log, for who must find out why.
func (s *story) logs() {
	for _, n := range s.c.all() {
		s.e.Term.Say("---- %s: the end of its log\n%s", n.name, n.logTail())
	}
}

func (s *story) print() error {
	r := &s.report
	one := render.One[Report]{
		Kind: "DemoReport", Item: *r, Name: r.Verdict,
		Meta: render.Meta{Cluster: "demo", Complete: true, Missing: []uint32{}, AsOf: render.AsOf{Time: s.e.Now().UTC()}},
		Text: func(w io.Writer) error { return writeReport(w, r) },
	}
	return one.Print(s.e.Term, s.e.Flags.Output)
}

func writeReport(w io.Writer, r *Report) error {
	if _, err := fmt.Fprintf(w, "%s after %.0fs\n", map[string]string{"pass": "PASS", "fail": "FAIL"}[r.Verdict], r.Seconds); err != nil {
		return err
	}
	for _, st := range r.Steps {
		if _, err := fmt.Fprintf(w, "  %-4s %-22s %6.1fs  %s\n", mark(st.OK), st.Name, st.Seconds, st.Detail); err != nil {
			return err
		}
	}
	return nil
}

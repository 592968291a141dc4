// Package action holds what an operator can do to the cluster from the dashboard:
// each action shows its plan or verdict, is confirmed by typing a name, runs, and
// can be left running.
//
// # Invariants
//
//  1. Nothing is changed before the plan or verdict was shown and the name typed.
//  2. What is confirmed is the plan that was shown: its id goes with the request,
//     and the cluster refuses it when the plan is no longer the same.
package action

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/cell"
)

// nodeTimeout is how long a node may take for its part of a plan, seconds.
const nodeTimeout = 3

// Defaults of a drain, as nodedbctl has them, in seconds.
const (
	lbWait     = 10
	txnTimeout = 60
	drainTTL   = 3600
)

// Verdict is what is known before anything is done.
type Verdict struct {
	AsOf     *adminpb.AsOf
	Plan     *adminpb.Plan // nil: the action has none
	Allowed  bool
	Text     []string // what will happen, for actions without a plan
	Command  string   // that does just this; empty: the action's
	Findings []*adminpb.Finding
	Fixes    []*adminpb.Fix
}

// Outcome is what came of it.
type Outcome struct {
	Operation string // that carries it out; empty: it is done
	Text      string
}

// Action is one thing that can be done.
type Action struct {
	Title   string // decommission n5
	Command string // nodedbctl decommission n5
	Word    string // what is typed to confirm
	Undo    string // how it is taken back; empty: it cannot be
	Reason  string // for the record; empty: that it was asked for from here
	Look    func(context.Context, adminpb.AdminClient) (*Verdict, error)
	Do      func(context.Context, adminpb.AdminClient, *Verdict) (*Outcome, error)
}

// operation makes an action of a spec: its plan is the cluster's own.
func operation(spec *adminpb.OperationSpec, a Action) *Action {
	a.Look = func(ctx context.Context, c adminpb.AdminClient) (*Verdict, error) {
		r, err := c.PlanOperation(ctx, &adminpb.PlanOperationRequest{Spec: spec, NodeTimeout: nodeTimeout})
		if err != nil {
			return nil, err
		}
		p := r.GetPlan()
		v := &Verdict{AsOf: r.GetAsOf(), Plan: p, Allowed: p.GetFeasible(), Findings: p.GetFindings(), Fixes: p.GetFixes()}
		if v.Allowed { // the command has the same options
			v.Command = a.Command + " --confirm " + p.GetId()
		}
		if spec.GetKind() == "decommission" && !spec.GetKeepRunning() || spec.GetShutdown() {
			v.Text = append(v.Text, "the process of "+cell.Nodes(spec.GetNodes(), ", ")+" stops at the end")
		}
		return v, nil
	}
	a.Do = func(ctx context.Context, c adminpb.AdminClient, v *Verdict) (*Outcome, error) {
		r, err := c.StartOperation(ctx, &adminpb.StartOperationRequest{Spec: spec, Confirm: v.Plan.GetId(), Reason: a.because()})
		if err != nil {
			return nil, err
		}
		o := &Outcome{Operation: r.GetOperation().GetId()}
		if r.GetAttached() {
			o.Text = "the same request was made before; this is its operation"
		}
		return o, nil
	}
	return &a
}

// because is the reason that was given, or that it was asked for from here.
func (a *Action) because() string {
	if a.Reason != "" {
		return a.Reason
	}
	return reason
}

// reason is what the cluster's record says of requests from here.
const reason = "from the dashboard"

// Drain makes a node's process safe to stop.
func Drain(node uint32) *Action {
	n := cell.Node(node)
	return operation(drainSpec(node),
		Action{Title: "drain " + n, Command: "nodedbctl drain " + n, Word: n, Undo: "nodedbctl undrain " + n})
}

func drainSpec(node uint32) *adminpb.OperationSpec {
	return &adminpb.OperationSpec{Kind: "drain", Nodes: []uint32{node}, LbWait: lbWait, TxnTimeout: txnTimeout, Ttl: drainTTL, OnDeadline: "stop"}
}

func decommissionSpec(node uint32) *adminpb.OperationSpec {
	return &adminpb.OperationSpec{Kind: "decommission", Nodes: []uint32{node}}
}

// Decommission moves every replica off a node and ends its membership.
func Decommission(node uint32) *Action {
	n := cell.Node(node)
	return operation(decommissionSpec(node),
		Action{Title: "decommission " + n, Command: "nodedbctl decommission " + n, Word: n, Undo: "nodedbctl recommission " + n + ", until the tombstone"})
}

// Move relocates one replica of a range.
func Move(rng, from, to uint32) *Action {
	r := cell.Range(rng)
	args := fmt.Sprintf("ranges move %s --from %s --to %s", r, cell.Node(from), cell.Node(to))
	return operation(&adminpb.OperationSpec{Kind: "move", Range: rng, From: from, To: to},
		Action{Title: fmt.Sprintf("move %s from %s to %s", r, cell.Node(from), cell.Node(to)), Command: "nodedbctl " + args, Word: r})
}

// Transfer hands the leadership of a range over.
func Transfer(rng, to uint32) *Action {
	r := cell.Range(rng)
	return operation(&adminpb.OperationSpec{Kind: "transfer", Range: rng, To: to},
		Action{Title: fmt.Sprintf("transfer %s to %s", r, cell.Node(to)), Command: fmt.Sprintf("nodedbctl ranges transfer %s --to %s", r, cell.Node(to)), Word: r})
}

// Rebalance plans moves that even the load out, and applies exactly those.
func Rebalance() *Action {
	a := operation(&adminpb.OperationSpec{Kind: "rebalance"},
		Action{Title: "rebalance", Command: "nodedbctl rebalance plan", Word: "rebalance"})
	a.Do = func(ctx context.Context, c adminpb.AdminClient, v *Verdict) (*Outcome, error) {
		spec := &adminpb.OperationSpec{Kind: "rebalance", Plan: v.Plan.GetId()}
		r, err := c.StartOperation(ctx, &adminpb.StartOperationRequest{Spec: spec, Confirm: v.Plan.GetId(), Reason: reason})
		if err != nil {
			return nil, err
		}
		return &Outcome{Operation: r.GetOperation().GetId()}, nil
	}
	a.Look = func(ctx context.Context, c adminpb.AdminClient) (*Verdict, error) {
		r, err := c.CreatePlan(ctx, &adminpb.CreatePlanRequest{Spec: &adminpb.OperationSpec{Kind: "rebalance"}, NodeTimeout: nodeTimeout})
		if err != nil {
			return nil, err
		}
		p := r.GetStored().GetPlan()
		v := &Verdict{AsOf: r.GetAsOf(), Plan: p, Allowed: p.GetFeasible() && len(p.GetMoves()) > 0, Findings: p.GetFindings(), Fixes: p.GetFixes()}
		if v.Allowed {
			v.Command = "nodedbctl rebalance apply " + p.GetId()
		} else if p.GetFeasible() {
			v.Text = []string{"nothing would be moved: the load is even enough, or no move would make it more even"}
		}
		return v, nil
	}
	return a
}

// verdict makes an action without a plan: it says what will happen, and how
// much the cluster could lose meanwhile.
func verdict(a Action, text ...string) *Action {
	a.Look = func(ctx context.Context, c adminpb.AdminClient) (*Verdict, error) {
		v := &Verdict{Allowed: true, Text: text}
		r, err := c.CheckSafe(ctx, &adminpb.CheckSafeRequest{Question: "survive", NodeTimeout: nodeTimeout})
		if err != nil {
			return nil, err
		}
		v.AsOf = r.GetAsOf()
		v.Text = append(slices.Clone(text), "the cluster survives the loss of any 1 node: "+yes(r.GetSurvivesOne()))
		return v, nil
	}
	return &a
}

func yes(s *adminpb.Survival) string {
	switch {
	case s.GetUnknown():
		return "not known"
	case s.GetYes():
		return "yes"
	}
	return "no (worst: " + cell.Nodes(s.GetWorst(), "+") + ")"
}

// Undrain ends the drain of a node.
func Undrain(node uint32) *Action {
	n := cell.Node(node)
	a := verdict(Action{Title: "undrain " + n, Command: "nodedbctl undrain " + n, Word: n, Undo: "nodedbctl drain " + n},
		n+" serves again: it takes sessions and leaderships at once")
	a.Do = func(ctx context.Context, c adminpb.AdminClient, _ *Verdict) (*Outcome, error) {
		if _, err := c.Undrain(ctx, &adminpb.UndrainRequest{Nodes: []uint32{node}, Reason: reason}); err != nil {
			return nil, err
		}
		return &Outcome{Text: n + " serves again"}, nil
	}
	return a
}

// Recommission cancels the decommission of a node.
func Recommission(node uint32) *Action {
	n := cell.Node(node)
	a := verdict(Action{Title: "recommission " + n, Command: "nodedbctl recommission " + n, Word: n, Undo: "nodedbctl decommission " + n},
		"the decommission of "+n+" is cancelled; replicas that moved already stay where they are")
	a.Do = func(ctx context.Context, c adminpb.AdminClient, _ *Verdict) (*Outcome, error) {
		r, err := c.Recommission(ctx, &adminpb.RecommissionRequest{Nodes: []uint32{node}, Reason: reason})
		if err != nil {
			return nil, err
		}
		o := &Outcome{Text: n + " stays"}
		if ops := r.GetOperations(); len(ops) > 0 {
			o.Operation = ops[0].GetId()
		}
		return o, nil
	}
	return a
}

// Cordon keeps new replicas and leaders off a node, or lets them in again.
func Cordon(node uint32, on bool) *Action {
	n, verb, undo, text := cell.Node(node), "cordon", "uncordon", "nothing new is placed on "+cell.Node(node)+"; what is there stays and is served"
	if !on {
		verb, undo, text = "uncordon", "cordon", cell.Node(node)+" takes replicas and leaderships again"
	}
	a := verdict(Action{Title: verb + " " + n, Command: "nodedbctl " + verb + " " + n, Word: n, Undo: "nodedbctl " + undo + " " + n}, text)
	a.Do = func(ctx context.Context, c adminpb.AdminClient, _ *Verdict) (*Outcome, error) {
		r, err := c.SetCordon(ctx, &adminpb.SetCordonRequest{Nodes: []uint32{node}, Cordon: on, Reason: reason})
		if err != nil {
			return nil, err
		}
		if len(r.GetChanged()) == 0 {
			return &Outcome{Text: "it was so already"}, nil
		}
		return &Outcome{Text: verb + " of " + n + " is done"}, nil
	}
	return a
}

// Pause stops an operation until it is resumed.
func Pause(id string) *Action {
	a := verdict(Action{Title: "pause " + id, Command: "nodedbctl ops pause " + id, Word: id, Undo: "nodedbctl ops resume " + id},
		"nothing new is begun; what is in flight ends")
	a.Do = func(ctx context.Context, c adminpb.AdminClient, _ *Verdict) (*Outcome, error) {
		if _, err := c.PauseOperation(ctx, &adminpb.PauseOperationRequest{Id: id, Reason: reason}); err != nil {
			return nil, err
		}
		return &Outcome{Operation: id, Text: id + " is paused"}, nil
	}
	return a
}

// Resume goes on with a paused operation.
func Resume(id string) *Action {
	a := verdict(Action{Title: "resume " + id, Command: "nodedbctl ops resume " + id, Word: id, Undo: "nodedbctl ops pause " + id}, id+" goes on where it stopped")
	a.Do = func(ctx context.Context, c adminpb.AdminClient, _ *Verdict) (*Outcome, error) {
		if _, err := c.ResumeOperation(ctx, &adminpb.ResumeOperationRequest{Id: id}); err != nil {
			return nil, err
		}
		return &Outcome{Operation: id, Text: id + " goes on"}, nil
	}
	return a
}

// Cancel ends an operation for good.
func Cancel(o *adminpb.Operation) *Action {
	id := o.GetId()
	text := []string{strings.TrimSpace(o.GetSpec().GetKind()+" "+cell.Nodes(o.GetSpec().GetNodes(), " ")) + " ends where it is; what was moved stays moved"}
	switch kind := o.GetSpec().GetKind(); {
	case kind == "drain":
		text[0] = "the drain ends and the node serves again"
	case kind == "pool-alter":
		text[0] = "pool " + o.GetSpec().GetPool() + " wants again what it wanted before; repair takes back what was added"
	case o.GetSpec().GetPool() != "":
		text[0] = strings.TrimSpace(kind + " " + o.GetSpec().GetPool() + " ends where it is")
	}
	a := verdict(Action{Title: "cancel " + id, Command: "nodedbctl ops cancel " + id, Word: id}, text...)
	a.Do = func(ctx context.Context, c adminpb.AdminClient, _ *Verdict) (*Outcome, error) {
		if _, err := c.CancelOperation(ctx, &adminpb.CancelOperationRequest{Id: id, Reason: reason}); err != nil {
			return nil, err
		}
		return &Outcome{Operation: id, Text: id + " is being cancelled"}, nil
	}
	return a
}

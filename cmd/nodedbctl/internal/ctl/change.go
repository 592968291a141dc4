package ctl

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// Change are the flags of everything that changes something; IdempotencyKey and what follows
// it are of operations.
type Change struct {
	DryRun         bool
	Yes            bool
	Confirm        string
	Reason         string
	IdempotencyKey string
	Detach         bool
	Queue          bool
	Deadline       time.Duration
}

// BindInstant adds the flags of what is done at once, without an operation.
func (c *Change) BindInstant(f *pflag.FlagSet) {
	f.BoolVar(&c.DryRun, "dry-run", false, "show what would be done, and do nothing")
	f.BoolVar(&c.Yes, "yes", false, "do not ask (refused in a protected context)")
	f.StringVar(&c.Confirm, "confirm", "", "do it if it is still this plan")
	f.StringVar(&c.Reason, "reason", "", "why; kept in the record")
}

// BindDetach adds the flag of what is waited for.
func (c *Change) BindDetach(f *pflag.FlagSet) {
	f.BoolVar(&c.Detach, "detach", false, "return once it has begun")
}

// Bind adds the flags of an operation.
func (c *Change) Bind(f *pflag.FlagSet) {
	c.BindInstant(f)
	c.BindDetach(f)
	f.StringVar(&c.IdempotencyKey, "idempotency-key", "", "the same key is the same request")
	f.BoolVar(&c.Queue, "queue", false, "wait for a conflicting operation instead of being refused")
	f.DurationVar(&c.Deadline, "deadline", 0, "how long the operation may take; then it is cancelled (a drain: --on-deadline)")
}

// Allow checks whether the change may be made in this context. needs is how the
// plan's id is learnt.
func (c *Change) Allow(e *Env, needs string) error {
	if c.DryRun {
		return nil
	}
	if err := e.Changing(); err != nil {
		return err
	}
	cx, err := e.Context()
	if err != nil {
		return err
	}
	if !cx.Protected {
		return nil
	}
	if c.Yes {
		return Usagef("--yes is refused in the protected context %q: use --confirm PLAN, from %s", cx.Name, needs)
	}
	if c.Confirm == "" && !e.Term.CanAsk() {
		return Usagef("context %q is protected: use --confirm PLAN, from %s", cx.Name, needs)
	}
	return nil
}

// Consent asks the person for a yes. Without it the command lacks what it needs,
// as it does without --confirm where nobody can be asked: that is Usage. No
// operation has begun that could be called aborted.
func (e *Env) Consent(ctx context.Context, question string) error {
	yes, err := e.Term.Ask(ctx, question)
	if err == nil && !yes {
		return Usagef("not confirmed; nothing was changed")
	}
	return err
}

// Done says what an instant change came to: to people on stderr, a line each, to
// programs as a verdict, or by the names of what was changed.
func (e *Env) Done(question string, nodes []uint32, names, lines []string) error {
	if nodes == nil {
		nodes = []uint32{}
	}
	one := render.One[view.Verdict]{
		Kind: "Verdict", Name: strings.Join(names, "\n"), Meta: e.Local(),
		Item: view.Verdict{
			Question: question, Nodes: nodes, OK: true, Message: strings.Join(lines, "; "), Findings: []view.Finding{}, Fixes: []view.Fix{}, LargestSafe: []uint32{},
		},
		Text: func(io.Writer) error {
			for _, line := range lines {
				e.Term.Say("%s", line)
			}
			return nil
		},
	}
	return one.Print(e.Term, e.Flags.Output)
}

// Instant is a change that is made at once, without an operation. Its plan's id
// stands for the cluster, what is asked with all options, and what that would do.
type Instant struct {
	Command string   // as it was typed, without flags: "cordon n2"
	Nodes   []uint32 // that it is about; may be empty
	Effects []string // what it would do, a line each
}

// Agree decides whether an instant change is made now. With --dry-run it prints
// the plan and says no; --confirm must be that plan's id; a protected context
// needs it, or a person's yes.
func (c *Change) Agree(ctx context.Context, e *Env, i Instant) (bool, error) {
	preview := e.Again(i.Command, "--dry-run")
	if err := c.Allow(e, preview); err != nil {
		return false, err
	}
	cx, err := e.Context()
	if err != nil {
		return false, err
	}
	if c.DryRun || c.Confirm != "" {
		cluster, err := e.clusterID(ctx)
		if err != nil {
			return false, err
		}
		id := instantID(cluster, e.asked(i.Command), i.Effects)
		switch c.Confirm {
		case "":
			return false, i.print(e, id)
		case id:
			return !c.DryRun, nil
		}
		return false, notNow(c.Confirm, id, preview, cmp.Or(cx.Name, cluster))
	}
	if cx.Protected {
		for _, line := range i.Effects {
			e.Term.Say("%s", line)
		}
		err := e.Consent(ctx, "context "+cx.Name+" is protected; go on?")
		return err == nil, err
	}
	return true, nil
}

func (i *Instant) print(e *Env, id string) error {
	kind, _, _ := strings.Cut(i.Command, " ")
	one := render.One[view.Plan]{
		Kind: "Plan", Meta: e.Local(), Name: id,
		Item: view.InstantPlan(id, kind, i.Nodes),
		Text: func(w io.Writer) error {
			var b strings.Builder
			fmt.Fprintf(&b, "Plan %s  %s\n", id, i.Command)
			for _, line := range i.Effects {
				fmt.Fprintf(&b, "  %s\n", line)
			}
			fmt.Fprintf(&b, "run it    %s\n", e.Again(i.Command, "--confirm", id))
			_, err := io.WriteString(w, b.String())
			return err
		},
	}
	return one.Print(e.Term, e.Flags.Output)
}

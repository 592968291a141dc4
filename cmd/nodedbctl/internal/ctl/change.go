package ctl

import (
	"time"

	"github.com/spf13/pflag"
)

// Change are the flags of everything that changes something.
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

// Bind adds the flags.
func (c *Change) Bind(f *pflag.FlagSet) {
	f.BoolVar(&c.DryRun, "dry-run", false, "show what would be done, and do nothing")
	f.BoolVar(&c.Yes, "yes", false, "do not ask (refused in a protected context)")
	f.StringVar(&c.Confirm, "confirm", "", "do it if it is still this plan")
	f.StringVar(&c.Reason, "reason", "", "why; kept in the record")
	f.StringVar(&c.IdempotencyKey, "idempotency-key", "", "the same key is the same request")
	f.BoolVar(&c.Detach, "detach", false, "return once it has begun")
	f.BoolVar(&c.Queue, "queue", false, "wait for a conflicting operation instead of being refused")
	f.DurationVar(&c.Deadline, "deadline", 0, "how long the operation may take")
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

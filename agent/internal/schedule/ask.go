package schedule

import (
	"context"
	"errors"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// Errors of RunNow.
var (
	// ErrNoSchedule says that there is no such schedule.
	ErrNoSchedule = errors.New("there is no such schedule")
	// ErrNotServing says that this node starts no runs now; another may.
	ErrNotServing = errors.New("this node starts no runs now")
)

// ask is a run that somebody asks for. The deciding goroutine takes it: a run that was
// recorded and is not known there would be taken for one of an earlier life.
type ask struct {
	ctx     context.Context //nolint:containedctx // of the call that the ask stands for
	wanted  metastate.RunNow
	propose Propose
	begun   chan begun // has room for one
}

type begun struct {
	run *cluster.ScheduleRun
	err error
}

// Propose has the meta range carry out a command in the name of who asks.
type Propose func(context.Context, metastate.Command) (metastate.Result, error)

// RunNow begins a run of a schedule on this node, whether it is due or not, and returns
// when it has begun. That it ends is seen in the view.
func (r *Runner) RunNow(ctx context.Context, id cluster.ObjectID, reason string, propose Propose) (*cluster.ScheduleRun, error) {
	a := &ask{ctx: ctx, wanted: metastate.RunNow{Schedule: id, Node: r.cfg.Node, Reason: reason}, propose: propose, begun: make(chan begun, 1)}
	select {
	case r.asks <- a:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	b := <-a.begun // within proposeTimeout
	return b.run, b.err
}

// answer begins the run that is asked for.
func (r *Runner) answer(ctx context.Context, a *ask) begun {
	o := r.cfg.Meta.View().Objects[a.wanted.Schedule]
	switch {
	case o == nil || o.Schedule == nil:
		return begun{err: ErrNoSchedule}
	case !r.cfg.Serves():
		return begun{err: ErrNotServing}
	}
	bounded, cancel := context.WithTimeout(a.ctx, proposeTimeout)
	defer cancel()
	a.wanted.Version = o.Version
	res, err := a.propose(bounded, metastate.Command{RunNow: &a.wanted})
	if err == nil {
		err = res.Err()
	}
	if err != nil {
		return begun{err: err} // if it was recorded all the same, lose finds it
	}
	at := res.TS.Time()
	run := &cluster.ScheduleRun{Schedule: o.ID, Number: res.Run, Due: at, State: cluster.RunRunning, Node: r.cfg.Node, Started: at}
	r.carryOut(ctx, o, run)
	return begun{run: run}
}

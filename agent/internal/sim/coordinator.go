package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	ops "github.com/nodedb/nodedb/agent/internal/operation" // here an operation is a client's
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/statusboard"
)

var (
	errLost = errors.New("no answer")
)

// coordinator is what package operation brings to a node: the real Controller,
// in a shell of events. It lives as long as the node's process.
type coordinator struct {
	n        *Node
	ctl      *ops.Controller
	reports  map[cluster.NodeID]ops.Report
	heard    map[cluster.NodeID]*statusboard.Copy
	source   *statusboard.Source
	done     []ops.Completion
	polled   time.Duration
	audited  time.Duration
	service  cluster.Service
	drain    string        // the operation that drains this node
	drainTTL time.Duration // until then
	down     map[cluster.NodeID]time.Duration
}

// operate starts the coordinator of a node that was started.
func (n *Node) operate() {
	cfg := ops.DefaultConfig()
	cfg.Planted = n.w.cfg.PlantedOps
	c := &coordinator{
		n: n, ctl: ops.NewController(cfg), reports: map[cluster.NodeID]ops.Report{},
		service: cluster.Ready, down: map[cluster.NodeID]time.Duration{}, heard: map[cluster.NodeID]*statusboard.Copy{},
	}
	c.source = &statusboard.Source{Head: c.figures, Ranges: n.board, Peers: statusboard.New[cluster.NodeID](statusboard.Peers())}
	n.coord = c
	n.core.OnDescriptor(func(d cluster.RangeDescriptor) { n.later(n.w.ms(1, 20), func() { c.publish(d, 5) }) })
	n.later(n.w.ms(50, 200), c.step)
}

// publish tells the meta range of a descriptor that changed.
func (c *coordinator) publish(d cluster.RangeDescriptor, tries int) {
	leader := c.metaLeader()
	if leader == 0 || tries == 0 {
		return // a later change, or the operation's proof, publishes it
	}
	c.call(leader, func(to *Node, reply func(ops.Completion)) {
		to.propose(metastate.Command{UpdateRanges: &metastate.UpdateRanges{Descriptors: []cluster.RangeDescriptor{d}}},
			func(_ metastate.Result, err error) { reply(ops.Completion{Err: err}) })
	}, func(done ops.Completion) {
		if done.Err != nil {
			c.n.later(c.n.w.ms(100, 300), func() { c.publish(d, tries-1) })
		}
	})
}

// audit publishes what the meta range lacks of the ranges that this node leads,
// as the real publisher does.
func (c *coordinator) audit() {
	if c.n.w.now-c.audited < 10*time.Second {
		return
	}
	c.audited = c.n.w.now
	v := c.n.machine.View()
	for _, st := range c.n.core.Status() {
		if known, ok := v.Range(st.Descriptor.ID); st.IsLeader() && (!ok || known.Generation < st.Descriptor.Generation) {
			c.publish(st.Descriptor, 5)
		}
	}
}

func (c *coordinator) metaLeader() cluster.NodeID {
	st, _ := c.n.core.RangeStatus(cluster.MetaRangeID)
	return st.Leader
}

// now is the node's own time.
func (c *coordinator) now() time.Time { return c.n.steady.Now().UTC() }

// step lets the Controller look, and the node see to its own drain.
func (c *coordinator) step() {
	n := c.n
	in := ops.Input{Now: c.now(), Self: n.id, View: n.machine.View(), Reports: c.reports, Liveness: c.liveness(), Done: c.done}
	c.done = nil
	if st, ok := n.core.RangeStatus(cluster.MetaRangeID); ok && st.IsLeader() {
		in.Term = st.Term
		if n.w.now-c.polled >= time.Second {
			c.polled = n.w.now
			c.poll()
		}
	}
	for _, a := range c.ctl.Step(in) {
		c.carryOut(a)
	}
	c.audit()
	c.seeToDrain()
	n.later(n.w.ms(150, 250), c.step)
}

// liveness is what gossip would say: late, and wrong about a node that is cut
// off in one direction only.
func (c *coordinator) liveness() map[cluster.NodeID]cluster.Liveness {
	w := c.n.w
	out := map[cluster.NodeID]cluster.Liveness{}
	for _, o := range w.nodes {
		if o.Up() && !w.cut[[2]cluster.NodeID{o.id, c.n.id}] {
			delete(c.down, o.id)
		} else if _, ok := c.down[o.id]; !ok {
			c.down[o.id] = w.now
		}
		since, down := c.down[o.id]
		switch {
		case !down || w.now-since < time.Second:
			out[o.id] = cluster.Alive
		case w.now-since < 3*time.Second:
			out[o.id] = cluster.Suspect
		default:
			out[o.id] = cluster.Dead
		}
	}
	return out
}

func (c *coordinator) figures() cluster.NodeStatus {
	n := c.n
	return cluster.NodeStatus{
		Node: n.id, BootNonce: fmt.Sprint(n.life), Service: c.service, Version: "v1", Active: n.versions.Active(),
		MetaIndex: n.machine.View().Index,
	}
}

// poll asks every node how it is: each tells what changed since it told last.
func (c *coordinator) poll() {
	for _, o := range c.n.w.nodes {
		if c.heard[o.id] == nil {
			c.heard[o.id] = &statusboard.Copy{}
		}
		have := c.heard[o.id].Have()
		var answer []byte
		c.call(o.id, func(to *Node, reply func(ops.Completion)) {
			a := to.coord.source.Answer(statusboard.Request{Have: have})
			var err error
			answer, err = a.Encode()
			reply(ops.Completion{Err: err})
		}, func(done ops.Completion) {
			if done.Err == nil {
				c.takeIn(o.id, answer)
			}
		})
	}
}

func (c *coordinator) takeIn(id cluster.NodeID, answer []byte) {
	a, err := statusboard.DecodeAnswer(answer)
	if err != nil {
		c.n.w.fail("%s: the status of %s: %v", c.n.id, id, err)
		return
	}
	st, _, err := c.heard[id].Apply(a)
	if err != nil {
		c.heard[id].Forget() // the node has restarted: it is asked for all the next time
		return
	}
	c.reports[id] = ops.Report{Status: st, At: c.now()}
}

// call has serve run on another node and gives its answer to done, or an error
// when none came in time. Requests and answers get lost as all messages do.
func (c *coordinator) call(to cluster.NodeID, serve func(to *Node, reply func(ops.Completion)), done func(ops.Completion)) {
	n, w := c.n, c.n.w
	dst := w.nodes[to-1]
	answered := false
	finish := func(o ops.Completion) {
		if !answered {
			answered = true
			done(o)
		}
	}
	n.later(4*time.Second, func() { finish(ops.Completion{Err: errLost}) })
	carry := func(from, to *Node, fn func()) {
		if w.chance(w.loss) {
			return
		}
		d := w.ms(0, 3)
		if w.chance(2) {
			d = w.ms(10, 1500)
		}
		w.After(d, func() {
			if from == to || !w.cut[[2]cluster.NodeID{from.id, to.id}] {
				fn()
			}
		})
	}
	carry(n, dst, func() {
		dst.do(func() {
			serve(dst, func(o ops.Completion) {
				life := n.life
				carry(dst, n, func() {
					if n.life == life {
						n.do(func() { finish(o) })
					}
				})
			})
		})
	})
}

// carryOut does an action of the Controller.
func (c *coordinator) carryOut(a ops.Action) {
	done := func(o ops.Completion) {
		o.Action, o.At = a, c.now()
		c.done = append(c.done, o)
	}
	if a.Kind == ops.ActCommand {
		c.n.propose(a.Command, func(r metastate.Result, err error) { done(ops.Completion{Result: r, Err: err}) })
		return
	}
	c.call(a.To, func(to *Node, reply func(ops.Completion)) { to.coord.serve(a, reply) }, done)
}

// serve answers an action at the node that it is for.
func (c *coordinator) serve(a ops.Action, reply func(ops.Completion)) {
	n, w := c.n, c.n.w
	plain := func(err error) { reply(ops.Completion{Err: err, Statuses: c.standing(a.Range)}) }
	switch a.Kind {
	case ops.ActCreate:
		c.create(a, plain)
	case ops.ActPrepare:
		n.core.PrepareReplica(a.Descriptor, a.Replica, plain)
	case ops.ActChange:
		w.Stats.Changes++
		n.core.ChangeReplicas(a.Range, a.Change, func(o replica.Outcome) {
			done := ops.Completion{Err: o.Err, Statuses: c.standing(a.Range)}
			if o.Descriptor != nil {
				w.noteVoters(o.Descriptor)
				done.Descriptors = []cluster.RangeDescriptor{*o.Descriptor.Clone()}
			}
			reply(done)
		})
	case ops.ActSplit:
		n.core.Split(a.Range, a.Split, func(o replica.Outcome) {
			w.noteSplit(o)
			done := ops.Completion{Err: o.Err, Statuses: c.standing(a.Range)}
			if o.Err == nil {
				done.Descriptors = []cluster.RangeDescriptor{*o.Descriptor.Clone(), *o.Child.Clone()}
			}
			reply(done)
		})
	case ops.ActVerify:
		n.core.Verify(a.Range, func(o replica.Outcome) { plain(o.Err) })
	case ops.ActTransfer:
		w.Stats.Transfers++
		n.core.Transfer(a.Range, a.Node, plain)
	case ops.ActDestroy:
		n.core.DestroyReplica(a.Range, a.Replica, plain)
	case ops.ActStatus:
		reply(ops.Completion{Statuses: c.standing(a.Ranges...)})
	case ops.ActProof:
		c.prove(a.Ranges, nil, reply)
	case ops.ActDrain:
		c.service = cluster.Drained // no sessions here
		plain(nil)
	case ops.ActUndrain:
		c.service = cluster.Ready
		plain(nil)
	case ops.ActStop:
		c.retire()
	case ops.ActCommand, ops.ActSchema:
	}
}

func (c *coordinator) standing(ids ...cluster.RangeID) []cluster.RangeStatus {
	var out []cluster.RangeStatus
	for _, id := range ids {
		if st, ok := c.n.board.Get(id); ok {
			out = append(out, *st)
		}
	}
	return out
}

// prove reads the descriptors of ranges one after the other.
func (c *coordinator) prove(ids []cluster.RangeID, found []cluster.RangeDescriptor, reply func(ops.Completion)) {
	if len(ids) == 0 {
		reply(ops.Completion{Descriptors: found})
		return
	}
	c.n.readDescriptor(ids[0], func(d *cluster.RangeDescriptor, err error) {
		if err != nil {
			reply(ops.Completion{Err: err})
			return
		}
		c.prove(ids[1:], append(found, *d), reply)
	})
}

// retire ends a node that was decommissioned, for ever.
func (c *coordinator) retire() {
	o := c.n.w.operators
	n, _, ok := c.n.w.Leader(cluster.MetaRangeID)
	if ok && n.machine.View().Nodes[c.n.id].Tombstone == nil && n.machine.View().Index >= c.n.machine.View().Index {
		c.n.w.fail("%s was told to stop without a tombstone", c.n.id)
	}
	o.retired[c.n.id] = true
	self := c.n
	self.life++
	self.w.After(0, self.close) // not from inside its own events
}

// seeToDrain is the Drainer's part: give the leaderships away, say when none is
// left, serve again when the time is up or the drain was cancelled.
func (c *coordinator) seeToDrain() {
	v := c.n.machine.View()
	if c.drain == "" {
		c.beginDrain(v)
		return
	}
	op := v.Operations[c.drain]
	ended := op == nil || op.State == cluster.OpFailed || op.State == cluster.OpCancelled
	if ended || op.State == cluster.OpCancelling || op.State == cluster.OpSucceeded && c.n.w.now > c.drainTTL {
		c.service = cluster.Ready
		if op != nil && op.State == cluster.OpCancelling {
			c.writeDrain(op, cluster.OpCancelled)
			return // until the record says so
		}
		c.drain = ""
		return
	}
	left := 0
	for _, st := range c.n.core.Status() {
		if st.IsLeader() {
			left++
			c.handOver(&st)
		}
	}
	if left == 0 && op.State == cluster.OpRunning {
		c.service = cluster.Drained
		c.writeDrain(op, cluster.OpSucceeded)
	}
}

func (c *coordinator) beginDrain(v *metastate.View) {
	for _, id := range v.OperationIDs() {
		op := v.Operations[id]
		if op.Spec.Kind != cluster.OpDrain || !slices.Contains(op.Spec.Nodes, c.n.id) {
			continue
		}
		switch {
		case op.State == cluster.OpRunning && op.Incarnations[c.n.id] == fmt.Sprint(c.n.life):
			c.drain, c.service, c.drainTTL = id, cluster.Draining, c.n.w.now+time.Duration(op.Spec.TTL)*time.Second
			c.n.w.Stats.Drains++
			return
		case op.State == cluster.OpCancelling:
			c.writeDrain(op, cluster.OpCancelled)
		}
	}
}

func (c *coordinator) handOver(st *cluster.RangeStatus) {
	voters := slices.DeleteFunc(st.Descriptor.Voters(), func(id cluster.NodeID) bool { return id == c.n.id })
	if len(voters) > 0 {
		c.n.core.Transfer(st.Descriptor.ID, voters[c.n.w.rng.IntN(len(voters))], func(error) {})
	}
}

// writeDrain records the end of a drain; tried again at the next step if need be.
func (c *coordinator) writeDrain(op *cluster.Operation, state cluster.OperationState) {
	leader := c.metaLeader()
	if leader == 0 {
		return
	}
	end := *op
	end.State = state
	c.call(leader, func(to *Node, reply func(ops.Completion)) {
		to.propose(metastate.Command{UpdateOperation: &metastate.UpdateOperation{Operation: end, Term: op.CoordinatorTerm}},
			func(_ metastate.Result, err error) { reply(ops.Completion{Err: err}) })
	}, func(ops.Completion) {})
}

package checker

import (
	"cmp"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest/history"
)

// Kinds of operations of queues and locks.
const (
	Put    = "put"    // of jobs: a Write step each
	Take   = "take"   // of jobs: a Count step with what was asked for, then a Take step each
	Hold   = "hold"   // of a lock: a Hold step
	Shared = "shared" // the same, beside others that share it
)

// leftBehind is for how long locks may stay of who ended without an answer: until its
// gateway has been silent for long enough, and longer than a fault lasts.
const leftBehind = 20 * time.Second

// Jobs wants each job of a queue to be taken once: by one operation of kind Take that is
// ok, or, unless somebody has, to be there at the end. Reads have a Read step of each job
// that waits. Who took fewer than were asked for must not have passed over one that was
// free: that is judged where nobody else took any at that time.
func Jobs(ops []history.Op) []Finding {
	var found findings
	put, taken := map[int]history.Op{}, map[int]history.Op{}
	for _, o := range ops {
		if o.Kind == Put && o.Outcome != history.Fail {
			for _, s := range o.Steps {
				put[s.Key] = o
			}
		}
	}
	lost := int64(0) // may have gone with takes of unknown outcome
	for _, o := range ops {
		if o.Kind != Take || len(o.Steps) == 0 || o.Outcome == history.Fail {
			continue
		}
		if o.Outcome == history.Unknown {
			lost += o.Steps[0].Arg
			continue
		}
		for _, s := range o.Steps[1:] {
			if other, ok := taken[s.Key]; ok {
				found.add("job taken twice", []history.Op{other, o}, "T%d and T%d both took job %d", other.ID, o.ID, s.Key)
			}
			if _, ok := put[s.Key]; !ok {
				found.add("job of nobody", []history.Op{o}, "T%d took job %d, which nobody has put", o.ID, s.Key)
			}
			taken[s.Key] = o
		}
	}
	jobsLeft(&found, ops, put, taken, lost)
	passedOver(&found, ops, put, taken)
	return found
}

// jobsLeft compares what waits with what was put and taken.
func jobsLeft(found *findings, ops []history.Op, put, taken map[int]history.Op, unknown int64) {
	for _, read := range ops {
		if read.Kind != history.Read || read.Outcome != history.OK {
			continue
		}
		waits := map[int]bool{}
		for _, s := range read.Steps {
			waits[s.Key] = true
			if by, ok := taken[s.Key]; ok && by.Return < read.Call {
				found.add("job came back", []history.Op{by, read}, "T%d took job %d, and T%d found it waiting", by.ID, s.Key, read.ID)
			}
		}
		var gone []history.Op
		for job, o := range put {
			if _, ok := taken[job]; !ok && !waits[job] && o.Outcome == history.OK && o.Return < read.Call {
				gone = append(gone, o)
			}
		}
		if int64(len(gone)) > unknown {
			found.add("job lost", gone[:min(len(gone), most)], "%d jobs were neither taken nor wait when T%d looked; %d may have gone with operations of unknown outcome", len(gone), read.ID, unknown)
		}
	}
}

// passedOver looks for jobs that were free while somebody found too few.
func passedOver(found *findings, ops []history.Op, put, taken map[int]history.Op) {
	type free struct {
		job     int
		put, by history.Op
	}
	var jobs []free // that were free from one operation to another
	for job, by := range taken {
		if p := put[job]; p.Outcome == history.OK {
			jobs = append(jobs, free{job, p, by})
		}
	}
	slices.SortFunc(jobs, func(a, b free) int { return cmp.Compare(a.put.Return, b.put.Return) })
	for i, f := range jobs[min(1, len(jobs)):] { // of those that were put by then, the one that was taken last
		if before := jobs[i]; before.by.Call > f.by.Call {
			jobs[i+1].job, jobs[i+1].by = before.job, before.by
		}
	}
	for _, o := range alone(ops) {
		if int64(len(o.Steps)-1) >= o.Steps[0].Arg {
			continue
		}
		n, _ := slices.BinarySearchFunc(jobs, o.Call, func(f free, call time.Duration) int { return cmp.Compare(f.put.Return, call) })
		if n > 0 && jobs[n-1].by.Call > o.Return {
			f := jobs[n-1]
			p := put[f.job]
			found.add("job passed over", []history.Op{p, o, f.by}, "T%d found %d jobs of %d, nobody else was taking any, and job %d waited: T%d took it later", o.ID, len(o.Steps)-1, o.Steps[0].Arg, f.job, f.by.ID)
		}
	}
}

// alone returns the takes that are ok and during which nobody else can have had locks.
func alone(ops []history.Op) (out []history.Op) {
	takes := slices.DeleteFunc(slices.Clone(ops), func(o history.Op) bool { return o.Kind != Take })
	until := time.Duration(-1) // somebody may have had locks
	for i, o := range takes {
		if o.Outcome == history.OK && len(o.Steps) > 0 && until < o.Call && (i == len(takes)-1 || takes[i+1].Call > o.Return) {
			out = append(out, o)
		}
		switch o.Outcome {
		case history.OK:
			until = max(until, o.Return)
		case history.Fail:
			until = max(until, o.Return+leftBehind)
		case history.Unknown:
			until = max(until, o.Call+2*leftBehind)
		}
	}
	return out
}

// Holds wants no two operations to have held a lock at the same time, unless both shared
// it. A Hold step has the times from when until when an operation held it for sure: from
// the answer to its lock to its call to unlock, which was answered that it had it.
func Holds(ops []history.Op) []Finding {
	byKey := map[int][]history.Op{}
	for _, o := range ops {
		if o.Outcome == history.OK && (o.Kind == Hold || o.Kind == Shared) && len(o.Steps) == 1 {
			byKey[o.Steps[0].Key] = append(byKey[o.Steps[0].Key], o)
		}
	}
	var found findings
	for key, held := range byKey {
		slices.SortFunc(held, func(a, b history.Op) int { return cmp.Compare(a.Steps[0].List[0], b.Steps[0].List[0]) })
		last := map[string]history.Op{} // of each kind: who held it until latest
		for _, o := range held {
			for kind, other := range last {
				if (kind == Hold || o.Kind == Hold) && other.Steps[0].List[1] > o.Steps[0].List[0] {
					found.add("held by two", []history.Op{other, o}, "lock %d: T%d held it until %s and T%d from %s", key, other.ID, time.Duration(other.Steps[0].List[1]), o.ID, time.Duration(o.Steps[0].List[0]))
				}
			}
			if l, ok := last[o.Kind]; !ok || l.Steps[0].List[1] < o.Steps[0].List[1] {
				last[o.Kind] = o
			}
		}
	}
	return found
}

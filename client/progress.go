package client

import (
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
)

// Share is how much of an operation is done, 0 to 1: by bytes if it has any, else
// by replicas, else by leaders, else by phases. A drain counts by phases: the
// leaderships are only one of the things that it hands over.
func Share(o *adminpb.Operation) float64 {
	if o.GetState() == "succeeded" {
		return 1
	}
	if o.GetSpec().GetKind() == "drain" {
		return byPhases(o)
	}
	t, d := o.GetTotal(), o.GetDone()
	for _, c := range [...][2]uint64{
		{t.GetBytes(), d.GetBytes()},
		{uint64(t.GetReplicas()), uint64(d.GetReplicas())},
		{uint64(t.GetLeaders()), uint64(d.GetLeaders())},
	} {
		if c[0] > 0 {
			return part(c[1], c[0])
		}
	}
	return byPhases(o)
}

// byPhases counts the phases that have ended, and of the one that hands over
// leaderships the part that is done.
func byPhases(o *adminpb.Operation) float64 {
	done := 0.0
	for _, p := range o.GetPhases() {
		switch {
		case p.GetState() == "done" || p.GetState() == "skipped":
			done++
		case p.GetState() == "running" && p.GetName() == "leaders" && o.GetTotal().GetLeaders() > 0:
			done += part(uint64(o.GetDone().GetLeaders()), uint64(o.GetTotal().GetLeaders()))
		}
	}
	return done / float64(max(1, len(o.GetPhases())))
}

func part(done, total uint64) float64 { return min(1, float64(done)/float64(total)) }

// ItemShare is how much of an item's bytes has been copied, 0 to 1; ok is false
// where there is nothing to say: nothing is being copied, or nothing is known.
func ItemShare(it *adminpb.Item) (share float64, ok bool) {
	if it.GetStep() != "snapshot" || it.GetBytes() == 0 {
		return 0, false
	}
	return part(it.GetBytesDone(), it.GetBytes()), true
}

// Blocked reports whether an item cannot go on by itself for now. One that is
// being copied, or waits its turn, is not blocked, whatever it says of itself.
func Blocked(it *adminpb.Item) bool {
	if itemOver(it) {
		return false
	}
	return it.GetStep() == "blocked" || it.GetNeeds() != "" || it.GetError() != ""
}

// InFlight reports whether an item is at work now.
func InFlight(it *adminpb.Item) bool {
	return !Blocked(it) && !itemOver(it) && it.GetStep() != "pending"
}

func itemOver(it *adminpb.Item) bool { return it.GetStep() == "done" || it.GetStep() == "dropped" }

// late is from which part of the planned time on an operation is late.
const late = 1.2

// Late reports whether an operation takes longer than was planned, by what it has
// taken and what is left: both must be counted, or nothing is late before it is
// over. ok is false if nothing was planned.
func Late(o *adminpb.Operation, now time.Time) (is, ok bool) {
	planned, began := o.GetPlannedSeconds(), o.GetStartedAt()
	if planned <= 0 || began == nil || o.GetSpec().GetKind() == "drain" {
		return false, false // a drain waits for clients: no model foresees that
	}
	if o.GetEndedAt() != nil {
		now = o.GetEndedAt().AsTime()
	}
	return now.Sub(began.AsTime()).Seconds()+o.GetEtaSeconds() > planned*late, true
}

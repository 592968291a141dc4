package agent

import (
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// TestADiskIsJudged goes through a life of a disk, second by second.
func TestADiskIsJudged(t *testing.T) {
	j := diskJudge{stall: time.Second, state: cluster.DiskWell}
	ms := time.Millisecond
	for _, step := range []struct {
		at, age, median time.Duration
		want            cluster.DiskState
		why             string
	}{
		{1 * time.Second, 0, 5 * ms, cluster.DiskWell, "it works"},
		{2 * time.Second, 900 * ms, 5 * ms, cluster.DiskWell, "a sync takes long, and may end"},
		{3 * time.Second, 1100 * ms, 5 * ms, cluster.DiskHung, "it did not"},
		{4 * time.Second, 100 * ms, 5 * ms, cluster.DiskSlow, "it answers again, but is not trusted yet"},
		{20 * time.Second, 0, 5 * ms, cluster.DiskSlow, "not yet"},
		{25 * time.Second, 1 * time.Second, 5 * ms, cluster.DiskHung, "rightly so"},
		{26 * time.Second, 0, 5 * ms, cluster.DiskSlow, "again"},
		{54 * time.Second, 0, 5 * ms, cluster.DiskSlow, "29 s of calm"},
		{56 * time.Second, 0, 5 * ms, cluster.DiskWell, "31 s of calm"},
		{57 * time.Second, 0, 99 * ms, cluster.DiskWell, "slow, but not too slow"},
		{58 * time.Second, 0, 200 * ms, cluster.DiskSlow, "each sync takes 200 ms"},
		{59 * time.Second, 0, 60 * ms, cluster.DiskSlow, "between the two bounds nothing changes"},
		{99 * time.Second, 0, 60 * ms, cluster.DiskSlow, "however long"},
		{100 * time.Second, 0, 40 * ms, cluster.DiskSlow, "the calm begins"},
		{130 * time.Second, 0, 40 * ms, cluster.DiskWell, "and lasts"},
	} {
		was := j.state
		if changed := j.look(step.at, step.age, storage.Syncs{Median: step.median}); j.state != step.want || changed != (was != step.want) {
			t.Errorf("at %s (%s): %s (changed %t), want %s", step.at, step.why, j.state, changed, step.want)
		}
	}
}

// TestADiskIsLookedAtInTime has an operation begin at any moment, and the node look
// when the judge says so: it is seen to hang as soon as by looks each 100 ms, and a
// disk of which nothing takes long is looked at about once a second.
func TestADiskIsLookedAtInTime(t *testing.T) {
	const ms = time.Millisecond
	for _, stall := range []time.Duration{300 * ms, time.Second, 5 * time.Second} {
		for begins := time.Duration(0); begins < 3*time.Second; begins += 7 * ms {
			j := diskJudge{stall: stall, state: cluster.DiskWell}
			last, looks := time.Duration(0), 0
			for now := time.Duration(0); ; looks++ {
				seen := max(now-begins, 0)
				age := seen
				if now-last > stall/2 {
					age = 0
				}
				if last = now; j.look(now, age, storage.Syncs{}) {
					if late := now - begins - stall; j.state != cluster.DiskHung || late < 0 || late > diskLook+ms {
						t.Fatalf("stall %s: what began at %s: %s at %s", stall, begins, j.state, now)
					}
					break
				}
				now += j.pause(seen)
			}
			if most := int((begins+stall)/min(diskRest, max(stall-diskLook, diskLook))) + 13; looks > most {
				t.Fatalf("stall %s: %d looks until %s, want at most %d", stall, looks, begins+stall, most)
			}
		}
	}
}

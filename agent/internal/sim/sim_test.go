package sim

import (
	"flag"
	"testing"
	"time"
)

var (
	firstSeed = flag.Uint64("seed", 1, "the first seed")
	seedCount = flag.Uint64("seeds", 0, "how many seeds; 0 is what the suite wants")
)

func runSeeds(t *testing.T, count uint64, tune func(*Config)) (sum Stats) {
	if *seedCount > 0 {
		count = *seedCount
	}
	begun := time.Now()
	var simulated time.Duration
	for seed := *firstSeed; seed < *firstSeed+count; seed++ {
		cfg := DefaultConfig(seed)
		tune(&cfg)
		simulated += cfg.Duration
		w, errs := Run(t, cfg)
		for _, e := range errs {
			t.Errorf("seed %d: %s", seed, e)
		}
		if w.Stats.Even > 0 {
			t.Errorf("seed %d: %d changes left an even number of voters", seed, w.Stats.Even)
		}
		sum.add(&w.Stats)
		if t.Failed() && *seedCount == 0 {
			break
		}
	}
	t.Logf("%d seeds from %d: %s simulated in %s: %+v", count, *firstSeed, simulated, time.Since(begun).Round(time.Millisecond), sum)
	return sum
}

func (s *Stats) add(o *Stats) {
	s.Ops += o.Ops
	s.Unknown += o.Unknown
	s.Failed += o.Failed
	s.Messages += o.Messages
	s.Snapshots += o.Snapshots
	s.Changes += o.Changes
	s.Crashes += o.Crashes
	s.TornCrashes += o.TornCrashes
	s.Pauses += o.Pauses
	s.Partitions += o.Partitions
	s.ClockJumps += o.ClockJumps
	s.MassJumps += o.MassJumps
	s.Sleeps += o.Sleeps
	s.Lowered += o.Lowered
	s.NotLowered += o.NotLowered
	s.Transfers += o.Transfers
	s.Moves += o.Moves
	s.Rereads += o.Rereads
	s.SlowDisks += o.SlowDisks
	s.Blackouts += o.Blackouts
	s.Damaged += o.Damaged
	s.Operations += o.Operations
	s.Drains += o.Drains
	s.Succeeded += o.Succeeded
	s.Splits += o.Splits
	s.Rounds += o.Rounds
	s.Divided += o.Divided
	s.Echoes += o.Echoes
	s.Scans += o.Scans
	s.Missed += o.Missed
	s.Rerouted += o.Rerouted
	s.Strayed += o.Strayed
	s.Late += o.Late
	s.WentBack += o.WentBack
	s.Refused += o.Refused
	s.Resets += o.Resets
	s.Restores += o.Restores
	s.Counts += o.Counts
	s.Evaluations += o.Evaluations
	s.Checksums += o.Checksums
	s.Collections += o.Collections
	s.Collected += o.Collected
	s.TooOld += o.TooOld
	s.Tables += o.Tables
	s.Freed += o.Freed
	s.Barred += o.Barred
	s.Compared += o.Compared
	s.Joined += o.Joined
	s.Lost += o.Lost
	s.Even += o.Even
	s.Pools += o.Pools
	s.Altered += o.Altered
	s.Dropped += o.Dropped
	s.Rolled += o.Rolled
	s.Unfit += o.Unfit
	s.Raised += o.Raised
	s.NewWrites += o.NewWrites
	s.Hangs += o.Hangs
	s.Served += o.Served
	s.Flooded += o.Flooded
	s.Commands += o.Commands
	s.Found += o.Found
	s.Filled += o.Filled
	s.Spent += o.Spent
	s.LeaseReads += o.LeaseReads
	s.LeasesLost += o.LeasesLost
	s.PastReads += o.PastReads
	s.Words = max(s.Words, o.Words)
	s.Fives += o.Fives
	s.Noisy += o.Noisy
	s.Added += o.Added
	s.Unsure += o.Unsure
	s.Turns += o.Turns
	s.Transferred += o.Transferred
	s.TransfersUnsure += o.TransfersUnsure
	s.JobsTaken += o.JobsTaken
	s.PastIntents += o.PastIntents
	s.TransfersFailed += o.TransfersFailed
	s.Conflicts += o.Conflicts
	s.Deadlocks += o.Deadlocks
	s.GatewaysDied += o.GatewaysDied
	s.Audits += o.Audits
	s.IntentsMet += o.IntentsMet
	s.GuardsChanged += o.GuardsChanged
	s.Left += o.Left
	s.Probes += o.Probes
	s.Wakes += o.Wakes
	s.IdleBatches += o.IdleBatches
}

// TestLeases has many read under leases while their promises are put to the test.
func TestLeases(t *testing.T) {
	if sum := runSeeds(t, 20, leased); sum.PastReads < 1000 || sum.Words < 10 {
		t.Errorf("%d reads of followers, %d words closed time", sum.PastReads, sum.Words)
	}
}

// TestAHotRow has gateways, near and far from its leader, add to one row: the sum is
// what they were told, and each has its turn.
func TestAHotRow(t *testing.T) {
	if sum := runSeeds(t, 10, hotRow); sum.Added < 1000 || sum.Turns < 100 {
		t.Errorf("%d additions, %d of which lost first", sum.Added, sum.Turns)
	}
}

// TestFloods asks for one range more than cores can do: leases of other ranges and the
// meta range do not notice.
func TestFloods(t *testing.T) {
	if sum := runSeeds(t, 2, crowded); sum.Flooded < 4000 || sum.Commands < 60 {
		t.Errorf("%d requests were answered, %d commands", sum.Flooded, sum.Commands)
	}
}

// TestEchoes has requests come late and twice, so that attempts of one meet each other.
func TestEchoes(t *testing.T) { runSeeds(t, 4, echoes) }

func TestSeeds(t *testing.T) {
	if sum := runSeeds(t, 20, func(*Config) {}); sum.Compared == 0 {
		t.Errorf("of %d replicas that were read none were compared", sum.Checksums)
	}
}

// TestOperations has people drain and decommission nodes under the same faults,
// through the real coordinators.
func TestOperations(t *testing.T) { runSeeds(t, 8, operated) }

// TestGrowth has nodes join one after the other, the disk of the newest be lost at
// any moment, and nodes leave when all are there. No range ever has an even number
// of voters.
func TestGrowth(t *testing.T) {
	runSeeds(t, 8, grown)
}

// TestAllDisksGoBack puts all disks back to one instant: nobody knows better, so
// the cluster is as it was then, and consistent.
func TestAllDisksGoBack(t *testing.T) {
	runSeeds(t, 6, func(c *Config) {
		c.Extra = func(w *World) { w.After(w.ms(3000, 8000), w.backAll) }
	})
}

// TestANewNodeBesideAnOldDisk has a node begin anew whenever the disk of another
// goes back and the rest, who know, are down.
func TestANewNodeBesideAnOldDisk(t *testing.T) {
	runSeeds(t, 6, func(c *Config) { c.Extra = (*World).wipeBeside })
}

// TestADiskGoesBackBesideHeldRanges puts disks back to moments at which some
// ranges of their node still waited.
func TestADiskGoesBackBesideHeldRanges(t *testing.T) {
	runSeeds(t, 6, func(c *Config) { c.Extra = (*World).backWhileHeld })
}

// TestPools has people make a pool, put keys into it, alter its replicas from one to
// three, five and three elsewhere, and drop it, while what can go wrong does.
func TestPools(t *testing.T) { runSeeds(t, 6, pooled) }

// echoes has the attempts of few clients meet each other.
func echoes(c *Config) {
	c.Echoes, c.Steady, c.Nodes, c.Ranges, c.Keys, c.Clients = true, true, 3, 1, 1, 12
}

func pooled(c *Config) {
	c.Operate, c.Pools, c.Duration, c.Nodes, c.Ranges, c.Clients = true, true, 120*time.Second, 7, 2, 4
}

// TestADiskGoesBackUnheard puts disks back into nodes whose questions get lost.
func TestADiskGoesBackUnheard(t *testing.T) {
	runSeeds(t, 6, func(c *Config) { c.Extra = (*World).unheard })
}

// TestDisksHang has one disk after another hang, and nothing else go wrong: what the
// node led is served elsewhere in bounded time, and it takes no leadership.
func TestDisksHang(t *testing.T) { runSeeds(t, 8, hung) }

// TestDisksFill has one disk after another be full: the process ends in the middle of a
// write of the log, or takes no entries while even its reserve is used up.
func TestDisksFill(t *testing.T) { runSeeds(t, 8, filled) }

func filled(c *Config) {
	c.Duration, c.Steady, c.Extra = 45*time.Second, true, (*World).fillDisks
}

// TestOneSlowDisk wants writes to be as fast as the disks of a majority are: hardly
// slower than with three good disks, although the third takes 110 ms for each write.
func TestOneSlowDisk(t *testing.T) {
	for seed := *firstSeed; seed < *firstSeed+3; seed++ {
		var medians []time.Duration
		for _, extra := range []func(*World){nil, (*World).slowDisk} {
			cfg := DefaultConfig(seed)
			cfg.Nodes, cfg.Steady, cfg.Extra = 3, true, extra
			w, errs := Run(t, cfg)
			for _, e := range errs {
				t.Errorf("seed %d: %s", seed, e)
			}
			median, count := w.writesTook(8*time.Second, 3)
			t.Logf("seed %d: %d writes took %s in the median", seed, count, median)
			if count < 50 {
				t.Errorf("seed %d: only %d writes", seed, count)
			}
			medians = append(medians, median)
		}
		if medians[1] > 2*medians[0] {
			t.Errorf("seed %d: the slow disk of one voter is waited for: writes take %s", seed, medians)
		}
	}
}

// TestReplicasAreDamaged finds that disks do not give back what leaders stored: another
// leads then, and nothing else changes.
func TestReplicasAreDamaged(t *testing.T) { runSeeds(t, 4, damagedOnes) }

func damagedOnes(c *Config) {
	c.Duration, c.Steady, c.Extra = 50*time.Second, true, func(w *World) {
		w.damageReplicas()
		w.watchDamaged()
	}
}

func hung(c *Config) {
	c.Duration, c.Nodes, c.Steady, c.Extra = 60*time.Second, 5, true, (*World).hangDisks
}

func operated(c *Config) {
	c.Operate, c.Duration, c.Nodes, c.Ranges, c.Clients = true, 80*time.Second, 6, 3, 4
}

func grown(c *Config) {
	c.Operate, c.Grow, c.Duration, c.Nodes, c.Ranges, c.Clients = true, true, 100*time.Second, 5, 2, 4
}

// TestCollectionsAreDropped has collections dropped among splits, moves, drains and
// decommissions, and written to by gateways that have not heard of it.
func TestCollectionsAreDropped(t *testing.T) {
	sum := runSeeds(t, 2, dropping)
	if sum.Freed == 0 || sum.Barred == 0 || sum.Tables == 0 {
		t.Errorf("%d collections dropped, %d cleared, %d late writes refused", sum.Tables, sum.Freed, sum.Barred)
	}
}

// TestReplay holds the promise that a seed is a run: without it a failing seed
// would be worth nothing.
func TestReplay(t *testing.T) {
	for seed := *firstSeed; seed < *firstSeed+3; seed++ {
		a, _ := Run(t, DefaultConfig(seed))
		b, _ := Run(t, DefaultConfig(seed))
		if a.Hash() != b.Hash() || a.Stats != b.Stats {
			t.Errorf("seed %d: trace %x, then %x; %+v, then %+v", seed, a.Hash(), b.Hash(), a.Stats, b.Stats)
		}
	}
}

func leased(c *Config) { *c = LeaseConfig(c.Seed) }

// TestTransactions has a bank's transactions go over several ranges, and readers add
// everything up.
func TestTransactions(t *testing.T) {
	sum := runSeeds(t, 5, banked)
	if sum.Transferred < 60 || sum.Audits < 200 || sum.IntentsMet < 50 || sum.GatewaysDied < 5 || sum.Left == 0 || sum.JobsTaken < 60 || sum.PastIntents < 20 {
		t.Errorf("too little happened: %+v", sum)
	}
}

// TestIndexes has rows be changed with their entries in indexes, in other ranges, and readers
// compare them.
func TestIndexes(t *testing.T) {
	sum := runSeeds(t, 3, indexes)
	if sum.Transferred < 25 || sum.Audits < 60 || sum.IntentsMet < 50 || sum.GatewaysDied < 3 || sum.Left == 0 {
		t.Errorf("too little happened: %+v", sum)
	}
}

// TestRowLocks has transactions lock rows in the memory of leaders that hand over and of
// ranges that are split: none loses its lock, each has its turn, and a row is free for who
// does not wait as soon as the one who had it has ended.
func TestRowLocks(t *testing.T) {
	sum := runSeeds(t, 4, lockedRows)
	if sum.Transferred < 200 || sum.Transfers < 40 || sum.Splits < 4 || sum.Added < 40 || sum.Probes < 100 {
		t.Errorf("too little happened: %+v", sum)
	}
}

//go:build planted

package sim

import (
	"slices"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/garbage"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	ops "github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/placement"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// TestPlantedBugsAreFound proves that the simulation is worth its time: each
// fault, planted in the code under test, must be found within some seeds.
func TestPlantedBugsAreFound(t *testing.T) {
	const seeds = 60
	// An old disk is found by what it says or, when its node only listens, by the
	// leader that remembers.
	const votes, listens = "takes part with a disk that went back", "its log lost entries that it had acknowledged"
	// An old disk that was believed, and said so in a ping, has the right one refused.
	// By the scan at the end, or by a sum that cannot be.
	const counts, impossible = "live and", "broken invariant: r"
	const turn, unfair = "waits for its turn at a row", "at one row, although it came again at once"
	const linear = "is not linearizable"
	const wasRead = "and is now"
	const diverged = "has diverged: ["
	const entries, uniques = "and has an entry under", "and the unique index says"
	const bankrupt, changed = "the bank at", "and is now"
	const wrongTime, wrongCeiling = "although most clocks are right", "although most clocks were right"
	const condemned = "has an honest disk and is refused"
	for name, bug := range map[string]struct {
		replica.Planted
		ops     ops.Planted
		scan    kv.Planted
		data    datastate.Planted
		garbage garbage.Planted
		clock   hlc.Planted
		txn     txn.Planted
		tune    func(*Config)
		says    []string // of the error that finds it, one of them; empty: any
		extra   func(*World)
	}{
		"log without sync":                      {Planted: replica.Planted{SkipSync: true}},
		"one lane for all":                      {Planted: replica.Planted{OneLane: true}, tune: crowded, says: []string{"into a flood", "in a flood", "of a flood"}},
		"read without quorum":                   {Planted: replica.Planted{LocalRead: true}},
		"messages sent before the write":        {Planted: replica.Planted{SendFirst: true}},
		"what is late is called lost":           {Planted: replica.Planted{DropLate: true}},
		"no latches":                            {Planted: replica.Planted{NoLatch: true}, says: []string{linear, counts, impossible}},
		"a latch is free before its time":       {Planted: replica.Planted{FreeLatchEarly: true}, says: []string{linear, counts, impossible}},
		"a new leader evaluates too early":      {Planted: replica.Planted{EvaluateUnready: true}, says: []string{linear, counts, impossible}},
		"what a former leader evaluated counts": {Planted: replica.Planted{ProposeVoid: true}, tune: func(c *Config) { c.Forgetful = true }},
		"a leader goes by what it once knew":    {Planted: replica.Planted{Remember: true}, says: []string{linear, counts, impossible}},
		"a refusal is not confirmed":            {Planted: replica.Planted{RefuseUnconfirmed: true}, tune: echoes, says: []string{linear}},
		"nobody keeps a place":                  {Planted: replica.Planted{NoPlace: true}, tune: hotRow, says: []string{unfair}},
		"a place never ends":                    {Planted: replica.Planted{EndlessPlace: true}, tune: hotRow, says: []string{turn, "it is used"}},
		"a place is taken after its end":        {Planted: replica.Planted{TakeEnded: true}, tune: hotRow, says: []string{"was added", unfair}},
		"a retry joins and is not recorded":     {Planted: replica.Planted{JoinUnrecorded: true}, tune: func(c *Config) { echoes(c); c.Forgetful = true }, says: []string{linear}},
		"counts are left out of commands":       {data: datastate.Planted{CountsLeftOut: true}, says: []string{counts, impossible}},
		"retry applied twice":                   {Planted: replica.Planted{DupApply: true}},
		"told before its round":                 {Planted: replica.Planted{ApplyEarly: true}},
		"a split does not wait for its round":   {Planted: replica.Planted{SplitAtOnce: true}},
		"an applied state ahead of its round":   {Planted: replica.Planted{StateAhead: true}},
		"the log ends before raft knows":        {Planted: replica.Planted{TruncateUntold: true}, says: []string{"raft was told that it is applied"}},
		"a start knows no commands":             {Planted: replica.Planted{OpenBlank: true}},
		"a snapshot brings no commands":         {Planted: replica.Planted{SnapshotBlank: true}},
		"a split leaves the commands behind":    {Planted: replica.Planted{ChildBlank: true}},
		"commands are forgotten early":          {Planted: replica.Planted{ForgetEarly: true}},
		"counts stored before what they count":  {Planted: replica.Planted{CountFirst: true}, says: []string{counts, impossible}},
		"a count forgets what came meanwhile":   {Planted: replica.Planted{RecountFromView: true}, says: []string{counts, impossible}},
		"halves are not counted":                {Planted: replica.Planted{GuessCounts: true}, says: []string{counts, impossible}},
		"a split at a row takes the vshard":     {Planted: replica.Planted{WideChild: true}},
		"a replica is removed by whole vshards": {Planted: replica.Planted{WideDestroy: true}},
		"a scan reads the whole of a vshard":    {scan: kv.Planted{WideScan: true}, says: []string{"a scan of ["}},
		"rows that were added up are again":     {scan: kv.Planted{ReadAgain: true}, says: []string{"a scan of ["}},
		"a scan waits for its first vshard":     {scan: kv.Planted{NarrowScope: true}, tune: leasedWide, says: []string{"a scan of ["}},
		"a return asks nobody":                  {Planted: replica.Planted{AskNobody: true}, says: []string{votes, listens}},
		"what is made in a return is free":      {Planted: replica.Planted{FreeMade: true}, says: []string{votes, listens}, extra: (*World).unheard},
		"a return trusts itself":                {Planted: replica.Planted{TrustSelf: true}, says: []string{votes, listens}, extra: (*World).backWhileHeld},
		"the raised boot is presented":          {Planted: replica.Planted{PresentRaised: true}, says: []string{votes, listens}},
		"peers forget":                          {Planted: replica.Planted{PeersForget: true}, says: []string{votes, listens}},
		"a number told before its sync":         {Planted: replica.Planted{TellEarly: true}, says: []string{condemned}},
		"nothing counts until all are free":     {Planted: replica.Planted{CountLate: true}, says: []string{votes, listens, condemned}, extra: (*World).backWhileHeld},
		"a new peer's ignorance counts":         {Planted: replica.Planted{FreshCounts: true}, says: []string{votes, listens, condemned, "has no leader at the end"}, extra: (*World).wipeBeside},
		"a node without anything to do ticks":   {Planted: replica.Planted{TickAsleep: true}, tune: func(c *Config) { idling(c, 2) }, says: []string{"woke up"}},
		"a hung disk keeps its leaderships":     {Planted: replica.Planted{KeepHung: true}, tune: hung, says: []string{"and its disk hangs"}},
		"a hung disk's node calls elections":    {Planted: replica.Planted{CampaignHung: true}, tune: hung, says: []string{"asks for votes, and knows that its disk hangs"}},
		"a damaged replica goes on leading":     {Planted: replica.Planted{LeadDamaged: true}, tune: damagedOnes, says: []string{"and its replica is damaged"}},
		"a full disk takes entries":             {Planted: replica.Planted{IgnoreSpent: true}, tune: filled, says: []string{"and has no room for them"}},
		"who has no room is not heard of":       {Planted: replica.Planted{IgnoreRoom: true}, tune: filled, says: []string{"voters have no room"}},
		"a write without room counts":           {Planted: replica.Planted{AckFull: true}, tune: filled},
		"a write that hangs is taken for done":  {Planted: replica.Planted{AckHung: true}, tune: hung},
		"a range is made again where it was":    {Planted: replica.Planted{MakeAgain: true}, tune: pooled, says: []string{"before"}},
		"a range is made again elsewhere":       {ops: ops.Planted{SeedAgain: true}, tune: pooled, says: []string{"before"}},
		"a step of a clock is taken at once":    {clock: hlc.Planted{StepAtOnce: true}, says: []string{wrongTime, wrongCeiling}},
		"a start believes its clock":            {clock: hlc.Planted{TrustStart: true}, extra: (*World).startWrong, says: []string{wrongTime, wrongCeiling}},
		"a sleep is a step":                     {clock: hlc.Planted{SleepIsStep: true}, extra: (*World).sleepOften, says: []string{wrongTime}},
		"the ceiling goes ahead of the vote":    {Planted: replica.Planted{CeilingFirst: true}, says: []string{wrongCeiling, "stays silent for"}},
		"a proof passes over the log":           {Planted: replica.Planted{ProveWithoutLog: true}, extra: (*World).lowerOften, says: []string{"was lowered to"}},
		"one voter becomes two":                 {ops: ops.Planted{Plan: placement.Planted{EvenVoters: true}}, tune: grown, says: []string{"has no leader at the end", "whose disk is lost", "has the voters"}},
		"a checksum takes in what came later":   {Planted: replica.Planted{SumLate: true}, says: []string{diverged}},
		"garbage goes without a threshold":      {data: datastate.Planted{ThresholdKept: true}, tune: collects, says: []string{wasRead}},
		"garbage goes though it is being read":  {garbage: garbage.Planted{IgnoreReaders: true}, tune: collects, says: []string{"is too old"}},
		"the newest version is garbage":         {data: datastate.Planted{NewestGoes: true}, tune: collects, says: []string{wasRead, linear, counts, impossible}},
		"rows come to a dropped collection":     {data: datastate.Planted{FenceOpen: true}, tune: dropping, says: []string{"which was dropped", counts, impossible}},
		"a half does not know what is no more":  {data: datastate.Planted{FenceKept: true}, tune: dropping, says: []string{"which was dropped"}},
		"another collection is cleared":         {data: datastate.Planted{ClearOther: true}, tune: dropping, says: []string{linear, counts, impossible, "which was dropped"}},
		"a drop is forgotten after one range":   {ops: ops.Planted{ForgetEarly: true}, tune: dropping, says: []string{"which was dropped"}},
		"a range is not asked before a commit":  {txn: txn.Planted{SkipPrewrite: true}, tune: banked, says: []string{bankrupt, "holds"}},
		"a commit before its ranges agree":      {txn: txn.Planted{CommitEarly: true}, tune: banked, says: []string{bankrupt, "holds", "have counted"}},
		"intents resolved before the record":    {txn: txn.Planted{ResolveEarly: true}, tune: banked, says: []string{bankrupt, changed}},
		"an open transaction is called aborted": {txn: txn.Planted{AbortOpen: true}, tune: banked, says: []string{bankrupt, changed}},
		"a reader passes over intents":          {txn: txn.Planted{IgnoreIntents: true}, tune: banked, says: []string{bankrupt, changed, "holds"}},
		"a span is said to be resolved":         {data: datastate.Planted{SpanCutShort: true}, tune: banked, says: []string{bankrupt, changed, "holds", "are left"}},
		"what was read is not looked at again":  {txn: txn.Planted{SkipRefresh: true}, tune: banked, says: []string{"nobody guards the bank"}},
		"a lock that was lost is not missed":    {txn: txn.Planted{ForgetSeen: true}, tune: banked, says: []string{"was taken twice"}},
		"a follower passes over intents":        {Planted: replica.Planted{PassIntents: true}, tune: banked, says: []string{"as a follower on"}},
		"an entry comes ahead of its row":       {txn: txn.Planted{BlindAside: true}, tune: indexes, says: []string{entries}},
		"an index is not asked before a commit": {txn: txn.Planted{SkipPrewrite: true}, tune: indexes, says: []string{entries, uniques}},
		"who reads an index passes intents":     {txn: txn.Planted{IgnoreIntents: true}, tune: indexes, says: []string{entries, uniques, "the table at"}},
		"entries become versions too early":     {txn: txn.Planted{ResolveEarly: true}, tune: indexes, says: []string{entries, uniques, "the table at"}},
		"a bit of a stored row flips":           {says: []string{diverged}, extra: (*World).flipBit},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= seeds; seed++ {
				cfg := DefaultConfig(seed)
				cfg.GCTTL = 0 // what is to be found, in what ever was
				if bug.tune != nil {
					bug.tune(&cfg)
				}
				cfg.Planted, cfg.PlantedOps, cfg.PlantedScan, cfg.PlantedData, cfg.PlantedGarbage, cfg.PlantedClock = bug.Planted, bug.ops, bug.scan, bug.data, bug.garbage, bug.clock
				cfg.PlantedTxn = bug.txn
				if bug.extra != nil {
					cfg.Extra = bug.extra
				}
				_, errs := Run(t, cfg)
				if len(errs) == 0 {
					continue
				}
				t.Logf("found by seed %d: %s", seed, errs[0])
				if len(bug.says) > 0 && !slices.ContainsFunc(bug.says, func(s string) bool { return strings.Contains(errs[0], s) }) {
					t.Errorf("found by another check than %q", bug.says)
				}
				return
			}
			t.Errorf("not found in %d seeds", seeds)
		})
	}
}

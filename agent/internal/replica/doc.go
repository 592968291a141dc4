// Package replica runs one copy of one range.
//
// A Replica owns a raft.RawNode, its log (package raftlog) and the range's state
// machine. It is a step function: messages, ticks, proposals, completed appends and
// evaluations go in; messages, appends, evaluations and snapshot requests come out.
// Package store runs all replicas of a node.
//
// # Concurrency
//
// A Replica belongs to the goroutine of the store's core. It starts none,
// and reads no clock but the one handed in.
//
// # Invariants
//
//  1. A proposal has exactly one fate: applied, certainly lost, or, only when
//     this replica cannot learn it, ambiguous.
//
//  2. Timestamps of commands rise strictly with the log, and are above the
//     timestamp of every read that was served before they were proposed.
//
//  3. A command id is applied at most once, however often it is retried, while
//     it is remembered: for IDAge of log time, through starts, by who gets a
//     snapshot, by both halves of a split. Later it is refused. Which ids are
//     remembered depends on timestamps in the log alone. A leader lets no id into
//     its log twice.
//
//  4. Descriptor and raft configuration change together, in an entry that is applied
//     alone, after all before it are committed: so the descriptor is always that of
//     applied.
//
//  5. A message that raft ties to persistence leaves after the append it depends
//     on is durable.
//
//  6. The log starts after index 10, term 5: an empty log is never mistaken for
//     a range's log, and a new replica always needs a snapshot.
//
//  7. State on disk is the prefix of the log up to the applied index that is
//     stored in the same batch, a Round. decoded is what the rounds under way will
//     leave; applied is what is committed to the engine, and all that is told, read,
//     sent or truncated goes by that.
//
//  8. What a range holds is in one record with the applied index, so that a replay
//     counts nothing twice. It is Counted, then it is exact and equal on all replicas
//     at that index, or a guess, until a job has counted it off this goroutine.
//
//  9. Of an Evaluator's range: a request is evaluated after the leader has applied an
//     entry of its term, in the order of its rows' lines, over all that was decided
//     before it; what was evaluated in another leadership is never proposed. A command
//     that a leader proposes is never rejected where it is applied.
//
//  10. A refusal is answered after what it was decided on is applied and leadership is
//     confirmed; if an earlier attempt may still arrive, it is refused by an entry.
//
//  11. Who takes over the place of a refused request is evaluated under a latch that was
//     held since before that was refused. No place is kept for longer than placeTicks,
//     nor through a change of leadership or bounds.
//
//  12. Replicas that read what they hold for the same verification, at the same
//     generation, hold the same: whenever each reads. What they cannot know any more
//     is void, and is compared with nothing.
//
// # What is not here
//
// Which replica should exist where: packages placement and operation.
package replica

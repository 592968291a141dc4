// Package tui is the operator's screen: a dashboard of one cluster that shows how
// it is, says what mends it, and carries out operations.
//
// Everything is drawn from snapshots that a feed keeps of one streamed
// subscription (tui/internal/feed) by views that do no I/O (tui/internal/page).
// Run is the way in.
//
// # Concurrency
//
// One goroutine, bubbletea's, owns the Dashboard. Calls to the cluster run in
// commands, each with a time limit, and come back as messages. The feed runs
// beside and sends messages too.
//
// # Invariants
//
//  1. A frame has exactly the window's lines, none wider than it (TestFrameFits).
//  2. Nothing is drawn unless something that is shown changed: an idle screen
//     costs no CPU (TestIdleDrawsNothing).
//  3. Nothing changes the cluster without a plan or verdict and a typed name.
//  4. What is no longer known to be true is grey, with its age.
package tui

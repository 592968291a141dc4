// Package page holds the views of the dashboard: plain values that take a
// snapshot, take keys, and draw themselves.
//
// Pages do no I/O. What a key asks for beyond the page itself is an Effect, which
// the dashboard carries out.
//
// # Invariants
//
//  1. A page draws exactly what fits: never more lines or wider ones than asked
//     for (TestFrameFits in package tui).
//  2. Lists are ordered worst first where they are cut.
package page

// Package cell builds lines and blocks of terminal cells. A line knows its width
// while it is built, so that nothing measures a finished string again: measuring
// text with escape sequences costs more than building it.
//
// # Invariants
//
//  1. A Line is never wider than its limit.
//  2. A Block's lines are never wider than the block.
package cell

// Package figures keeps what a benchmark measured: tables for people, lines of
// JSON for comparing runs.
//
// # The file
//
// A file is JSON lines, appended to as the figures are made, so that a run that
// was broken off keeps what it has. Each line has "format" (1) and "kind":
//
//   - run, the first: when, on what machine, which versions, which settings;
//   - step: a part of the run, with its title and what to know of its figures;
//   - figure: one number, see [Figure];
//   - skipped: what could not be measured, and why;
//   - end, the last: how long the run took.
//
// A reader passes over fields that it does not know. A change of what a field
// means raises the format, and [Read] refuses formats that it does not know.
//
// # Invariants
//
//  1. Figures are compared by step, case, system and metric; no two of a run
//     have all four in common.
//  2. A ratio is the median of the ratios of each round, in which both sides
//     were measured seconds apart: the machine drifts by more than that between
//     rounds.
package figures

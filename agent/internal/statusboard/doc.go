// Package statusboard keeps statuses, and what changed since when.
//
// A Board numbers changes: its generation rises with each value that differs from
// the one before. Who holds generation G of a board asks for what changed since,
// and is told that, whatever the board holds besides. A Copy is what the asker
// keeps: it takes the changes in and is whole again.
//
// Invariants:
//
//  1. A value that was handed out is never changed: another state is another
//     pointer, and the same pointer is the same state. Readers compare pointers.
//  2. A board's generations are of one incarnation of one process. A base of
//     another incarnation, of a generation that the board has not reached, or from
//     before something that it has forgotten, gets everything.
//  3. The work for one change does not grow with what has not changed, but for a
//     copy of the list of pointers.
package statusboard

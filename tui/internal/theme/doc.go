// Package theme holds the looks of the dashboard: styles and symbols.
//
// # Invariants
//
//  1. Nothing is said by colour alone: every state has a shape and a word of its
//     own, in Unicode and in ASCII (TestSymbolsDiffer).
//  2. A colour names its own value for 24-bit, 256 and 16 colours: automatic
//     conversion turns tuned greys green and breaks the order of a ramp.
package theme

// Package regex is PostgreSQL's regular expressions: what they find.
//
// Which of the texts that match is found, and what its groups are, depends on whether each
// part prefers the longest or the shortest. A pattern (ARE) is parsed here, and its parts
// become programs of package regexp/syntax, which are run here: that package's own rules of
// preference are others. What it has not (back references, lookaround) is refused.
package regex

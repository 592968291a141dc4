package replica

import (
	"bytes"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// Scope is which rows a read is of. The zero value is all of them.
type Scope struct {
	Rows [][]byte              // these
	Span func(row []byte) bool // or those that it is true of
}

// maxCompared is how many pairs of rows are compared for one read: 4096 take some 30 us,
// in which nothing is proposed. To wait is cheaper than to find out more.
const maxCompared = 4096

// pairs is how many comparisons it takes to say whether rows are touched.
func (s *Scope) pairs(rows int) int { return rows * max(len(s.Rows), 1) }

// touches reports whether any of rows may be read.
func (s *Scope) touches(rows [][]byte) bool {
	switch {
	case s.Span != nil:
		return slices.ContainsFunc(rows, s.Span)
	case s.Rows == nil:
		return true
	}
	return slices.ContainsFunc(rows, func(row []byte) bool {
		return slices.ContainsFunc(s.Rows, func(x []byte) bool { return bytes.Equal(x, row) })
	})
}

// underWay is what raft has of a range and the engine does not yet, in the order of
// the log.
type underWay struct {
	commands []underCommand
}

type underCommand struct {
	index uint64
	ts    hlc.Timestamp
	rows  [][]byte // that it may write
}

func (u *underWay) push(c underCommand) { u.commands = append(u.commands, c) }

// pop forgets what is applied.
func (u *underWay) pop(applied uint64) {
	n := 0
	for n < len(u.commands) && u.commands[n].index <= applied {
		n++
	}
	u.commands = slices.Delete(u.commands, 0, n)
}

// last is the index of the last command that may write something in scope at or below
// ts; 0: there is none. first is a planted fault: the first one.
func (u *underWay) last(ts hlc.Timestamp, scope *Scope, first bool) uint64 {
	compared := 0
	from := slices.Backward(u.commands)
	if first {
		from = slices.All(u.commands)
	}
	for _, c := range from {
		if c.ts > ts {
			continue
		}
		if compared += scope.pairs(len(c.rows)); compared > maxCompared || scope.touches(c.rows) {
			return c.index
		}
	}
	return 0
}

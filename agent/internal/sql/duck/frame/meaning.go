package frame

import (
	"strconv"
	"strings"
)

// Meaning is what a function that writes values as PostgreSQL does is told of one, beside
// its type in the engine.
type Meaning struct {
	Zone string // in which timestamps with time zone are shown
	// Types are the numbers of PostgreSQL's types (package datum's) and their modifiers: one
	// of a value, or of each column of a row; 0: what the engine says.
	Types     []uint64
	Modifiers []int32
}

// Text is the meaning as an argument.
func (m *Meaning) Text() string {
	var b strings.Builder
	b.WriteString(m.Zone)
	for i, t := range m.Types {
		b.WriteByte('|')
		b.WriteString(strconv.FormatUint(t, 10))
		b.WriteByte(' ')
		b.WriteString(strconv.Itoa(int(m.Modifiers[i])))
	}
	return b.String()
}

// MeaningOf reads what Text has written.
func MeaningOf(s string) Meaning {
	parts := strings.Split(s, "|")
	m := Meaning{Zone: parts[0]}
	for _, p := range parts[1:] {
		number, modifier, _ := strings.Cut(p, " ")
		t, _ := strconv.ParseUint(number, 10, 64)
		n, _ := strconv.ParseInt(modifier, 10, 32)
		m.Types, m.Modifiers = append(m.Types, t), append(m.Modifiers, int32(n))
	}
	return m
}

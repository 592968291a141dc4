package oracle

import (
	"fmt"
	"os"
	"strings"
)

// The last lines of cases that NodeDB does not answer as PostgreSQL.
const (
	refusedMark = "! 0A000"
	differsMark = "! differs"
)

// Case is a statement with PostgreSQL's answer.
type Case struct {
	Comment   []string // the lines before it
	Statement string
	Answer    Answer
	// Mark says what NodeDB does instead: refusedMark, differsMark or nothing.
	Mark string
}

// Topic is one file of the corpus.
type Topic struct {
	Cases []*Case
	tail  []string // comments behind the last case
}

// Read reads a topic.
func Read(path string) (*Topic, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read a topic: %w", err)
	}
	t := &Topic{}
	var last *Case
	for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n") {
		answer, indented := strings.CutPrefix(line, "    ")
		switch {
		case strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "":
			t.tail = append(t.tail, line)
		case indented && last == nil:
			return nil, fmt.Errorf("%s: an answer without a statement: %q", path, line)
		case indented && (answer == refusedMark || answer == differsMark):
			last.Mark = answer
		case indented:
			last.Answer = append(last.Answer, answer)
		default:
			last = &Case{Comment: t.tail, Statement: line}
			t.Cases, t.tail = append(t.Cases, last), nil
		}
	}
	return t, nil
}

// Write writes a topic.
func (t *Topic) Write(path string) error {
	var b strings.Builder
	for _, c := range t.Cases {
		for _, line := range append(c.Comment, c.Statement) {
			b.WriteString(line + "\n")
		}
		for _, line := range c.Answer {
			b.WriteString("    " + line + "\n")
		}
		if c.Mark != "" {
			b.WriteString("    " + c.Mark + "\n")
		}
	}
	for _, line := range t.tail {
		b.WriteString(line + "\n")
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil { //nolint:gosec // a source file
		return fmt.Errorf("write a topic: %w", err)
	}
	return nil
}

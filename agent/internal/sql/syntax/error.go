package syntax

import (
	"fmt"
	"unicode/utf8"
)

// Error is what is wrong with a statement: it cannot be read, is not offered, or
// (from the packages above) cannot be planned or run.
type Error struct {
	Code       string // SQLSTATE
	Message    string
	Detail     string
	Hint       string
	Position   int // 1-based character, 0: unknown
	Table      string
	Column     string
	Constraint string
}

func (e *Error) Error() string { return e.Message }

const (
	codeSyntax       = "42601"
	codeTooComplex   = "54001"
	codeTooLarge     = "54000"
	codeNotSupported = "0A000"
)

// Position converts a byte offset of text to a 1-based character position.
func Position(text string, offset int) int {
	if offset < 0 || offset > len(text) {
		return 0
	}
	return utf8.RuneCountInString(text[:offset]) + 1
}

// near is PostgreSQL's syntax error at a token.
func near(text string, t token) *Error {
	if t.kind == tokenEnd {
		return &Error{Code: codeSyntax, Message: "syntax error at end of input", Position: Position(text, t.start)}
	}
	return &Error{Code: codeSyntax, Message: fmt.Sprintf("syntax error at or near %q", text[t.start:t.end]),
		Position: Position(text, t.start)}
}

// Unsupported is the error for what NodeDB does not have.
func Unsupported(what, hint string) *Error {
	return &Error{Code: codeNotSupported, Message: what + " is not supported", Hint: hint}
}

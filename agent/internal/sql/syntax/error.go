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
	Position   int // 1-based byte of the text, 0: unknown
	Schema     string
	Table      string
	Column     string
	Constraint string
	DataType   string // a domain
}

func (e *Error) Error() string { return e.Message }

const (
	codeSyntax       = "42601"
	codeTooComplex   = "54001"
	codeTooLarge     = "54000"
	codeNotSupported = "0A000"
)

// Position is the position of what PostgreSQL's tree says to be at location.
func Position(location int32) int { return max(int(location), -1) + 1 }

// Character makes a position, which counts bytes, one that counts characters, as
// clients are told. It reads the text from its beginning: only the error that is
// told may pay for it, not everything that could go wrong.
func Character(text string, position int) int {
	if position < 1 || position > len(text)+1 {
		return 0
	}
	return utf8.RuneCountInString(text[:position-1]) + 1
}

// bytePosition is the inverse of Character.
func bytePosition(text string, character int) int {
	if character < 1 {
		return 0
	}
	for i := range text {
		if character--; character == 0 {
			return i + 1
		}
	}
	return len(text) + 1
}

// near is PostgreSQL's syntax error at a token.
func near(text string, t token) *Error {
	if t.kind == tokenEnd {
		return &Error{Code: codeSyntax, Message: "syntax error at end of input", Position: t.start + 1}
	}
	return &Error{Code: codeSyntax, Message: fmt.Sprintf("syntax error at or near %q", text[t.start:t.end]), Position: t.start + 1}
}

// Unsupported is the error for what NodeDB does not have.
func Unsupported(what, hint string) *Error {
	return &Error{Code: codeNotSupported, Message: what + " is not supported", Hint: hint}
}

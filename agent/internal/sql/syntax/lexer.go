package syntax

import (
	"strings"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokenEnd    tokenKind = iota
	tokenWord             // identifier or keyword, unquoted
	tokenQuoted           // "identifier"
	tokenString           // 'text' in any of its forms
	tokenNumber
	tokenParam // $1
	tokenSemicolon
	tokenComma
	tokenOpen  // ( or [
	tokenClose // ) or ]
	tokenOperator
	tokenBad // an unterminated string, identifier or comment
)

// token is a piece of text[start:end].
type token struct {
	kind       tokenKind
	start, end int
}

// lexer splits text as PostgreSQL's scanner does, as far as it takes to find
// words, strings and statement ends. It never fails: what cannot be a token is
// tokenBad or tokenOperator, and the parser proper says what is wrong.
type lexer struct {
	text string
	pos  int
	run  operatorRun // the last one
	// braces is how many documents are open: strings in them are those of JSON.
	braces int
}

// next returns the next token, skipping white space and comments.
func (l *lexer) next() token {
	if !l.skip() {
		return token{tokenBad, l.pos, len(l.text)}
	}
	t := token{start: l.pos}
	if l.pos >= len(l.text) {
		t.end = len(l.text)
		return t
	}
	t.kind = l.scan()
	t.end = l.pos
	return t
}

// skip passes over white space and comments; false: a comment does not end.
func (l *lexer) skip() bool {
	for l.pos < len(l.text) {
		switch c := l.text[l.pos]; {
		case isSpace(c):
			l.pos++
		case strings.HasPrefix(l.text[l.pos:], "--"):
			if i := strings.IndexAny(l.text[l.pos:], "\r\n"); i >= 0 {
				l.pos += i
			} else {
				l.pos = len(l.text)
			}
		case strings.HasPrefix(l.text[l.pos:], "/*"):
			end := commentEnd(l.text[l.pos:])
			if end < 0 {
				return false
			}
			l.pos += end
		default:
			return true
		}
	}
	return true
}

// commentEnd returns the length of the (nested) comment that s begins with, or -1.
func commentEnd(s string) int {
	depth := 0
	for i := 0; i+1 < len(s); {
		switch s[i : i+2] {
		case "/*":
			depth++
			i += 2
		case "*/":
			i += 2
			if depth--; depth == 0 {
				return i
			}
		default:
			i++
		}
	}
	return -1
}

// scan consumes one token that starts at pos.
func (l *lexer) scan() tokenKind {
	c := l.text[l.pos]
	switch {
	case c == ';':
		l.pos++
		return tokenSemicolon
	case c == ',':
		l.pos++
		return tokenComma
	case c == '(' || c == '[':
		l.pos++
		return tokenOpen
	case c == ')' || c == ']':
		l.pos++
		return tokenClose
	case c == '\'':
		return l.quoted('\'', false, tokenString)
	case c == '"':
		return l.quoted('"', l.braces > 0, tokenQuoted)
	case c == '{':
		l.pos++
		l.braces++
		return tokenOperator
	case c == '}':
		l.pos++
		l.braces = max(l.braces-1, 0)
		return tokenOperator
	case c == '$':
		return l.dollar()
	case isDigit(c) || c == '.' && l.pos+1 < len(l.text) && isDigit(l.text[l.pos+1]):
		return l.number()
	case isWordStart(c):
		return l.word()
	case strings.IndexByte(operatorChars, c) >= 0:
		return l.operator()
	default:
		l.pos++
		return tokenOperator
	}
}

const operatorChars = "+-*/<>=~!@#%^&|`?"

// operator consumes an operator. Of a run of their characters the end, and what decides
// how it is cut, is found once: a statement may be one run.
func (l *lexer) operator() tokenKind {
	start := l.pos
	if start >= l.run.end {
		l.run = l.findRun()
	}
	switch {
	case l.run.whole:
		l.pos = l.run.end
	case start <= l.run.hard:
		l.pos = l.run.hard + 1
	default:
		l.pos = start + 1
	}
	return tokenOperator
}

// operatorRun is a run of characters of operators.
type operatorRun struct {
	end int
	// whole says that it is one operator. Else, as in PostgreSQL, + and - end an operator
	// only if they are all of it: hard is the offset of the last other character, -1: none.
	whole bool
	hard  int
}

func (l *lexer) findRun() operatorRun {
	out := operatorRun{end: l.pos, hard: -1}
	for ; out.end < len(l.text) && strings.IndexByte(operatorChars, l.text[out.end]) >= 0; out.end++ {
		if rest := l.text[out.end:]; strings.HasPrefix(rest, "--") || strings.HasPrefix(rest, "/*") {
			break
		}
		switch c := l.text[out.end]; {
		case strings.IndexByte("~!@#%^&|`?", c) >= 0:
			out.whole = true
		case c != '+' && c != '-':
			out.hard = out.end
		}
	}
	return out
}

// quoted consumes from the quote at pos to its end; doubled quotes stay inside.
func (l *lexer) quoted(quote byte, backslash bool, kind tokenKind) tokenKind {
	for i := l.pos + 1; i < len(l.text); i++ {
		switch {
		case backslash && l.text[i] == '\\':
			i++
		case l.text[i] != quote:
		case i+1 < len(l.text) && l.text[i+1] == quote:
			i++
		default:
			l.pos = i + 1
			return kind
		}
	}
	l.pos = len(l.text)
	return tokenBad
}

// dollar consumes $1 or $tag$ ... $tag$.
func (l *lexer) dollar() tokenKind {
	rest := l.text[l.pos+1:]
	n := 0
	for n < len(rest) && isDigit(rest[n]) {
		n++
	}
	if n > 0 {
		l.pos += 1 + n
		return tokenParam
	}
	for n < len(rest) && (isWordStart(rest[n]) || n > 0 && isDigit(rest[n])) {
		n++
	}
	if n == len(rest) || rest[n] != '$' {
		l.pos++
		return tokenOperator
	}
	tag := l.text[l.pos : l.pos+n+2]
	body := l.pos + len(tag)
	end := strings.Index(l.text[body:], tag)
	if end < 0 {
		l.pos = len(l.text)
		return tokenBad
	}
	l.pos = body + end + len(tag)
	return tokenString
}

func (l *lexer) number() tokenKind {
	for l.pos < len(l.text) {
		c := l.text[l.pos]
		exponentSign := (c == '+' || c == '-') && (l.text[l.pos-1] == 'e' || l.text[l.pos-1] == 'E')
		if !isDigit(c) && !isWordStart(c) && c != '.' && !exponentSign {
			break
		}
		l.pos++
	}
	return tokenNumber
}

// word consumes an identifier, or a string with a letter in front: E” B” X”
// N” U&”.
func (l *lexer) word() tokenKind {
	start := l.pos
	for l.pos < len(l.text) && (isWordStart(l.text[l.pos]) || isDigit(l.text[l.pos]) || l.text[l.pos] == '$') {
		_, n := utf8.DecodeRuneInString(l.text[l.pos:])
		l.pos += n
	}
	if l.pos >= len(l.text) {
		return tokenWord
	}
	word := l.text[start:l.pos]
	switch next := l.text[l.pos]; {
	case next == '\'' && len(word) == 1 && strings.ContainsAny(word, "eE"):
		return l.quoted('\'', true, tokenString)
	case next == '\'' && len(word) == 1 && strings.ContainsAny(word, "bBxXnN"):
		return l.quoted('\'', false, tokenString)
	case next == '&' && len(word) == 1 && strings.ContainsAny(word, "uU") && l.pos+1 < len(l.text):
		switch l.text[l.pos+1] {
		case '\'':
			l.pos++
			return l.quoted('\'', false, tokenString)
		case '"':
			l.pos++
			return l.quoted('"', false, tokenQuoted)
		}
	}
	return tokenWord
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'
}
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isWordStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

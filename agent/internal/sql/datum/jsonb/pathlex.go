package jsonb

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

type pathToken struct {
	kind pathTokenKind
	text string // of a string, a name, a variable, a number, an operator
	end  int
}

type pathTokenKind uint8

const (
	pathEnd pathTokenKind = iota
	pathName
	pathString
	pathVariable
	pathNumber
	pathOperator
)

// pathLexer splits the text of a jsonpath as PostgreSQL does.
type pathLexer struct {
	text string
	at   int
}

const pathSpecial = "?%$.[]{}()|&!=<>@#,*:-+/\\\" \t\n\r\f"

func (l *pathLexer) fail(near string) error {
	if near == "" {
		return fail("42601", "syntax error at end of jsonpath input")
	}
	return fail("42601", fmt.Sprintf("syntax error at or near %q of jsonpath input", near))
}

func (l *pathLexer) next() (pathToken, error) {
	if err := l.skip(); err != nil {
		return pathToken{}, err
	}
	if l.at >= len(l.text) {
		return pathToken{end: l.at}, nil
	}
	rest := l.text[l.at:]
	c := rest[0]
	switch {
	case c == '"':
		return l.quoted(pathString)
	case c == '$' && len(rest) > 1 && rest[1] == '"':
		l.at++
		return l.quoted(pathVariable)
	case c == '$' && len(rest) > 1 && strings.IndexByte(pathSpecial, rest[1]) < 0:
		l.at++
		t, err := l.name()
		t.kind = pathVariable
		return t, err
	case c >= '0' && c <= '9', c == '.' && len(rest) > 1 && rest[1] >= '0' && rest[1] <= '9':
		return l.number()
	case strings.IndexByte(pathSpecial, c) >= 0 && c != '\\':
		for _, op := range []string{"**", "&&", "||", "==", "!=", "<>", "<=", ">="} {
			if strings.HasPrefix(rest, op) {
				return l.operator(op)
			}
		}
		return l.operator(rest[:1])
	default:
		return l.name()
	}
}

func (l *pathLexer) operator(op string) (pathToken, error) {
	l.at += len(op)
	return pathToken{pathOperator, op, l.at}, nil
}

// skip passes over blanks and comments.
func (l *pathLexer) skip() error {
	for l.at < len(l.text) {
		switch {
		case strings.IndexByte(" \t\n\r\f", l.text[l.at]) >= 0:
			l.at++
		case strings.HasPrefix(l.text[l.at:], "/*"):
			end := strings.Index(l.text[l.at+2:], "*/")
			if end < 0 {
				return fail("42601", "unexpected end of comment at end of jsonpath input")
			}
			l.at += end + 4
		default:
			return nil
		}
	}
	return nil
}

// number reads a number; letters may not follow it.
func (l *pathLexer) number() (pathToken, error) {
	start := l.at
	digits := func() {
		for l.at < len(l.text) && l.text[l.at] >= '0' && l.text[l.at] <= '9' {
			l.at++
		}
	}
	digits()
	whole := l.text[start:l.at]
	if l.at < len(l.text) && l.text[l.at] == '.' {
		l.at++
		digits()
	}
	if l.at < len(l.text) && (l.text[l.at] == 'e' || l.text[l.at] == 'E') {
		l.at++
		if l.at < len(l.text) && (l.text[l.at] == '+' || l.text[l.at] == '-') {
			l.at++
		}
		from := l.at
		if digits(); l.at == from {
			return pathToken{}, fail("42601", fmt.Sprintf("invalid numeric literal at or near %q of jsonpath input", l.text[start:l.at]))
		}
	}
	text := l.text[start:l.at]
	if l.at < len(l.text) && strings.IndexByte(pathSpecial, l.text[l.at]) < 0 || len(whole) > 1 && whole[0] == '0' {
		_, n := utf8.DecodeRuneInString(l.text[min(l.at, len(l.text)):])
		return pathToken{}, fail("42601", fmt.Sprintf("trailing junk after numeric literal at or near %q of jsonpath input", l.text[start:min(l.at+n, len(l.text))]))
	}
	return pathToken{pathNumber, text, l.at}, nil
}

// name reads letters up to what is special; a backslash takes that away.
func (l *pathLexer) name() (pathToken, error) {
	var b strings.Builder
	for l.at < len(l.text) {
		c := l.text[l.at]
		if c == '\\' {
			if err := l.escape(&b); err != nil {
				return pathToken{}, err
			}
			continue
		}
		if strings.IndexByte(pathSpecial, c) >= 0 {
			break
		}
		b.WriteByte(c)
		l.at++
	}
	return pathToken{pathName, b.String(), l.at}, nil
}

func (l *pathLexer) quoted(kind pathTokenKind) (pathToken, error) {
	start := l.at
	var b strings.Builder
	for l.at++; l.at < len(l.text); {
		switch c := l.text[l.at]; c {
		case '"':
			l.at++
			return pathToken{kind, b.String(), l.at}, nil
		case '\\':
			if err := l.escape(&b); err != nil {
				return pathToken{}, err
			}
		default:
			b.WriteByte(c)
			l.at++
		}
	}
	return pathToken{}, fail("42601", fmt.Sprintf("unterminated quoted string at or near %q of jsonpath input", l.text[start:]))
}

// escape reads what a backslash says, as in JavaScript.
func (l *pathLexer) escape(b *strings.Builder) error {
	rest := l.text[l.at+1:]
	if rest == "" {
		return fail("42601", `unexpected end after backslash at or near "\" of jsonpath input`)
	}
	switch c := rest[0]; c {
	case 'b', 'f', 'n', 'r', 't', 'v':
		b.WriteByte("\b\f\n\r\t\v"[strings.IndexByte("bfnrtv", c)])
		l.at += 2
	case 'x':
		return l.code(b, rest, 1, 2, "invalid hex character sequence")
	case 'u':
		if strings.HasPrefix(rest, "u{") {
			end := strings.IndexByte(rest, '}')
			if end < 3 || end > 8 {
				return fail("42601", `invalid Unicode escape sequence at or near "\u" of jsonpath input`)
			}
			if err := l.code(b, rest[:end], 2, end-2, "invalid Unicode escape sequence"); err != nil {
				return err
			}
			l.at++
			return nil
		}
		return l.surrogates(b, rest)
	default:
		_, n := utf8.DecodeRuneInString(rest)
		b.WriteString(rest[:n])
		l.at += 1 + n
	}
	return nil
}

// code reads n hexadecimal digits of rest from i on.
func (l *pathLexer) code(b *strings.Builder, rest string, i, n int, what string) error {
	r, err := hexCode(rest, i, n)
	if err != nil {
		return fail("42601", what+fmt.Sprintf(" at or near %q of jsonpath input", `\`+rest[:min(i+n, len(rest))]))
	}
	l.at += 1 + i + n
	return writeRune(b, r)
}

func hexCode(s string, i, n int) (rune, error) {
	if i+n > len(s) {
		return 0, strconv.ErrSyntax
	}
	v, err := strconv.ParseUint(s[i:i+n], 16, 32)
	return rune(v), err
}

func writeRune(b *strings.Builder, r rune) error {
	if r == 0 {
		e := &datum.Error{Code: "22P05", Message: "unsupported Unicode escape sequence", Detail: `\u0000 cannot be converted to text.`}
		return e
	}
	b.WriteRune(r)
	return nil
}

// surrogates reads \uXXXX, or two of them that are one character.
func (l *pathLexer) surrogates(b *strings.Builder, rest string) error {
	const digits = 4
	high, err := hexCode(rest, 1, digits)
	if err != nil {
		return fail("42601", `invalid Unicode escape sequence at or near "\u" of jsonpath input`)
	}
	l.at += 2 + digits
	if !utf16.IsSurrogate(high) {
		return writeRune(b, high)
	}
	rest = l.text[l.at:]
	if strings.HasPrefix(rest, `\u`) {
		if low, err := hexCode(rest, 2, digits); err == nil {
			if r := utf16.DecodeRune(high, low); r != utf8.RuneError {
				l.at += 2 + digits
				return writeRune(b, r)
			}
		}
	}
	return &datum.Error{Code: "22P02", Message: "invalid input syntax for type jsonpath", Detail: "Unicode low surrogate must follow a high surrogate."}
}

package regex

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What classes are, within brackets of regexp/syntax.
const (
	digits = `0-9`
	words  = `\p{L}\p{N}_`
	spaces = `\t\n\v\f\r \x{85}\x{1680}\x{2000}-\x{2006}\x{2008}-\x{200a}\x{2028}\x{2029}\x{205f}\x{3000}`
)

//nolint:gochecknoglobals // a constant table
var classes = map[string]string{
	"alpha": `\p{L}`, "digit": digits, "alnum": `\p{L}\p{N}`, "upper": `\p{Lu}`, "lower": `\p{Ll}`, "space": spaces, "blank": ` \t`,
	"punct": `\p{P}\p{S}`, "xdigit": `0-9a-fA-F`, "cntrl": `\x00-\x1f\x7f-\x{9f}`, "graph": `\p{L}\p{M}\p{N}\p{P}\p{S}`,
	"print": `\p{L}\p{M}\p{N}\p{P}\p{S} `, "word": words,
}

// assertion is one about words: it is a group with a name, which a program's run knows.
func (p *parser) assertion(what byte) *node {
	p.words++
	p.bound = true
	return &node{source: fmt.Sprintf("(?P<%c%d>)", what, p.words), empty: true}
}

// escape reads what follows a backslash.
func (p *parser) escape() (n *node, repeats bool, err error) {
	if p.i >= len(p.s) {
		return nil, false, fail(`invalid escape \ sequence`)
	}
	c := p.s[p.i]
	switch c {
	case 'd', 'w', 's', 'D', 'W', 'S':
		p.i++
		set := map[rune]string{'d': digits, 'w': words, 's': spaces}[c|0x20]
		if c < 'a' {
			set = "^" + set
		}
		return &node{source: "[" + set + "]"}, true, nil
	case 'm', 'M', 'y', 'Y':
		p.i++
		return p.assertion(byte(c)), false, nil
	case 'A', 'Z':
		p.i++
		p.bound = true
		return &node{source: map[rune]string{'A': `\A`, 'Z': `\z`}[c], empty: true}, false, nil
	}
	if c >= '1' && c <= '9' {
		return nil, false, unsupported("a back reference")
	}
	r, err := p.escaped()
	return char(r), true, err
}

// escaped reads the escape of one character.
func (p *parser) escaped() (rune, error) {
	if p.i >= len(p.s) {
		return 0, fail(`invalid escape \ sequence`)
	}
	c := p.s[p.i]
	p.i++
	switch c {
	case 'a':
		return '\a', nil
	case 'b':
		return '\b', nil
	case 'B':
		return '\\', nil
	case 'c':
		if p.i < len(p.s) {
			p.i++
			return p.s[p.i-1] & 0x1f, nil
		}
	case 'e':
		return 0x1b, nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'v':
		return '\v', nil
	case 'u':
		return p.hex(4, 4)
	case 'U':
		return p.hex(8, 8)
	case 'x':
		return p.hex(1, 255)
	case '0':
		return 0, nil
	default:
		if !isLetter(c) && !isDigit(c) {
			return c, nil
		}
	}
	return 0, fail(`invalid escape \ sequence`)
}

// hex reads so many hexadecimal digits.
func (p *parser) hex(least, most int) (rune, error) {
	from := p.i
	for p.i < len(p.s) && p.i-from < most && strings.ContainsRune("0123456789abcdefABCDEF", p.s[p.i]) {
		p.i++
	}
	if p.i-from < least {
		return 0, fail(`invalid escape \ sequence`)
	}
	v, err := strconv.ParseUint(string(p.s[from:p.i]), 16, 32)
	if err != nil || !utf8.ValidRune(rune(v)) {
		return 0, fail(`invalid escape \ sequence`)
	}
	return rune(v), nil
}

// bracket reads [...].
func (p *parser) bracket() (n *node, repeats bool, err error) {
	for _, w := range []struct {
		text string
		what byte
	}{{"[:<:]]", 'm'}, {"[:>:]]", 'M'}} {
		if p.ahead(w.text) {
			p.i += len(w.text)
			return p.assertion(w.what), false, nil
		}
	}
	var b strings.Builder
	b.WriteByte('[')
	if p.peek() == '^' {
		p.i++
		b.WriteByte('^')
		if p.flags.stops {
			b.WriteString(`\n`)
		}
	}
	for first := true; ; first = false {
		switch {
		case p.i >= len(p.s):
			return nil, false, fail("brackets [] not balanced")
		case p.s[p.i] == ']' && !first:
			p.i++
			b.WriteByte(']')
			return &node{source: b.String()}, true, nil
		}
		if err := p.element(&b); err != nil {
			return nil, false, err
		}
	}
}

// element reads a class, a character or a range of them.
func (p *parser) element(b *strings.Builder) error {
	if p.ahead("[:") {
		name, ok := p.named(":]")
		class, known := classes[name]
		if !ok {
			return fail("brackets [] not balanced")
		}
		if !known {
			return fail("invalid character class")
		}
		b.WriteString(class)
		return nil
	}
	if p.ahead(`\d`) || p.ahead(`\w`) || p.ahead(`\s`) {
		b.WriteString(map[rune]string{'d': digits, 'w': words, 's': spaces}[p.s[p.i+1]])
		p.i += 2
		return nil
	}
	from, err := p.member()
	if err != nil {
		return err
	}
	to := from
	if p.peek() == '-' && p.i+1 < len(p.s) && p.s[p.i+1] != ']' {
		p.i++
		if to, err = p.member(); err != nil {
			return err
		}
		if to < from {
			return fail("invalid character range")
		}
	}
	fmt.Fprintf(b, `\x{%x}-\x{%x}`, from, to)
	return nil
}

// member reads one character within brackets.
func (p *parser) member() (rune, error) {
	for _, open := range []string{".", "="} {
		if p.ahead("[" + open) {
			name, ok := p.named(open + "]")
			if r := []rune(name); ok && len(r) == 1 {
				return r[0], nil
			}
			return 0, fail("invalid collating element")
		}
	}
	c := p.s[p.i]
	p.i++
	if c == '\\' {
		return p.escaped()
	}
	return c, nil
}

// named reads [:name:] and its like.
func (p *parser) named(end string) (string, bool) {
	name, _, ok := strings.Cut(string(p.s[p.i+2:]), end)
	if ok {
		p.i += 2 + len([]rune(name)) + len(end)
	}
	return name, ok
}

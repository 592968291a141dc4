package syntax

import "strings"

// loop reads LOOP, WHILE, FOR and FOREACH.
func (b *bodyParser) loop(label string, pos int) (BodyStatement, *Error) {
	out := &BodyLoop{Label: label, Position: pos}
	var err *Error
	switch word := b.word(); word {
	case "while":
		b.advance()
		var e Expr
		e, err = b.expr("loop")
		out.While = &e
	case "for", "foreach":
		b.advance()
		err = b.over(out, word == "foreach")
	}
	if err != nil {
		return nil, err
	}
	if err := b.expect("loop"); err != nil {
		return nil, err
	}
	if out.Statements, err = b.statements(); err != nil {
		return nil, err
	}
	if err := b.expect("end"); err != nil {
		return nil, err
	}
	if err := b.expect("loop"); err != nil {
		return nil, err
	}
	return out, b.endLabel(label)
}

// over reads what stands between FOR and LOOP.
func (b *bodyParser) over(out *BodyLoop, array bool) *Error {
	var err *Error
	if out.Targets, err = b.targets(); err != nil {
		return err
	}
	if b.word() == "slice" {
		return unsupportedAt("SLICE", "", b.token.start+1)
	}
	if err := b.expect("in"); err != nil {
		return err
	}
	if array {
		if err := b.expect("array"); err != nil {
			return err
		}
		e, err := b.expr("loop")
		out.Array = &e
		return err
	}
	if b.word() == "execute" {
		statement, err := b.execute("loop")
		out.Execute = statement
		return err
	}
	if b.word() == "reverse" {
		out.Reverse = true
		b.advance()
	}
	start := b.token.start
	probe := *b.cursor
	_, end, err := b.span("loop")
	if err != nil {
		return err
	}
	if dots := rangeDots(b.text[start:end]); dots >= 0 {
		return b.numbers(out, start, start+dots, end)
	}
	*b.cursor = probe
	q, err := b.queryUntil("loop")
	if err != nil {
		return err
	}
	query, ok := q.(*BodyQuery)
	if !ok || query.Into != nil {
		return &Error{Code: codeSyntax, Message: "syntax error at or near \"" + b.raw() + "\"", Position: start + 1}
	}
	out.Query = query
	return nil
}

// rangeDots finds .. outside of strings and parentheses; -1: there is none.
func rangeDots(text string) int {
	parens := 0
	var quote byte
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '(' || c == '[':
			parens++
		case c == ')' || c == ']':
			parens--
		case parens == 0 && strings.HasPrefix(text[i:], ".."):
			return i
		}
	}
	return -1
}

// numbers reads from .. to [BY step].
func (b *bodyParser) numbers(out *BodyLoop, start, dots, end int) *Error {
	to, by := b.text[dots+2:end], ""
	at := dots + 2
	in := &cursor{text: b.text[:end], lexer: lexer{text: b.text[:end], pos: at}}
	for in.advance(); in.token.kind != tokenEnd && in.token.kind != tokenBad; in.advance() {
		if in.word() == "by" {
			to, by = b.text[at:in.token.start], b.text[in.token.end:end]
			break
		}
	}
	for _, e := range []struct {
		to   **Expr
		text string
		at   int
	}{{&out.From, b.text[start:dots], start}, {&out.To, to, at}, {&out.By, by, end - len(by)}} {
		if e.text == "" {
			continue
		}
		expr, err := b.exprOf(e.text, e.at)
		if err != nil {
			return err
		}
		*e.to = &expr
	}
	return nil
}

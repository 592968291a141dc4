package syntax

import "strings"

// raiseLevels are the words that may follow RAISE.
var raiseLevels = map[string]bool{"debug": true, "log": true, "info": true, "notice": true, "warning": true, "exception": true}

func (b *bodyParser) raise() (BodyStatement, *Error) {
	out := &BodyRaise{Level: "EXCEPTION", Position: b.token.start + 1}
	b.advance()
	word := b.word()
	if raiseLevels[word] {
		out.Level = strings.ToUpper(word)
		b.advance()
	}
	var err *Error
	switch {
	case b.token.kind == tokenSemicolon || b.token.kind == tokenEnd:
		if raiseLevels[word] {
			return nil, near(b.text, b.token)
		}
		out.Again = true
		return out, nil
	case b.token.kind == tokenString:
		if err := b.message(out); err != nil {
			return nil, err
		}
	case b.word() != "using":
		if out.Condition, err = b.condition(); err != nil {
			return nil, err
		}
	}
	if b.word() == "using" {
		err = b.using(out)
	}
	return out, err
}

// message reads the message of RAISE, and what stands for its %.
func (b *bodyParser) message(out *BodyRaise) (err *Error) {
	if out.Message, err = b.quoted(); err != nil {
		return err
	}
	for b.token.kind == tokenComma {
		b.advance()
		arg, err := b.expr(",", "using")
		if err != nil {
			return err
		}
		out.Args = append(out.Args, arg)
	}
	switch n := strings.Count(strings.ReplaceAll(out.Message, "%%", ""), "%"); {
	case n > len(out.Args):
		err = &Error{Code: codeSyntax, Message: "too few parameters specified for RAISE", Position: out.Position}
	case n < len(out.Args):
		err = &Error{Code: codeSyntax, Message: "too many parameters specified for RAISE", Position: out.Position}
	}
	return err
}

// raiseOptions are those of USING.
var raiseOptions = map[string]bool{"errcode": true, "message": true, "detail": true, "hint": true, "column": true, "constraint": true, "datatype": true, "table": true, "schema": true}

// using reads USING option = expr, ...
func (b *bodyParser) using(out *BodyRaise) *Error {
	out.Options = map[string]Expr{}
	for {
		b.advance()
		name := b.word()
		if !raiseOptions[name] {
			return &Error{Code: codeSyntax, Message: "unrecognized RAISE statement option at or near \"" + b.raw() + "\"", Position: b.token.start + 1}
		}
		b.advance()
		if err := b.becomes(); err != nil {
			return err
		}
		e, err := b.expr(",")
		if err != nil {
			return err
		}
		if out.Options[name] = e; b.token.kind != tokenComma {
			return nil
		}
	}
}

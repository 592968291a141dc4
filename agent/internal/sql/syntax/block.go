package syntax

import (
	"slices"
	"strings"
)

// What a body has beside statements: blocks, loops, and what is done with results.
type (
	// BodyBlock is [<<label>>] [DECLARE ...] BEGIN ... [EXCEPTION ...] END.
	BodyBlock struct {
		Label      string         `json:",omitempty"`
		Declare    []BodyVariable `json:",omitempty"`
		Statements []BodyStatement
		Handlers   []BodyHandler `json:",omitempty"`
		Position   int
	}
	// BodyVariable is declared. Type is as it was written; Alias is what ALIAS FOR names.
	BodyVariable struct {
		Name, Type, Alias string
		Constant, NotNull bool
		Default           *Expr
		Position          int
	}
	// BodyHandler is WHEN condition [OR ...] THEN; conditions are names of PostgreSQL's, in
	// lower case, or SQLSTATEs.
	BodyHandler struct {
		Conditions []string
		Statements []BodyStatement
	}
	// BodyTarget is what is assigned to: a variable, or Row.Name, a field of one; with Index
	// an element of that.
	BodyTarget struct {
		Row, Name string
		Index     []Expr `json:",omitempty"`
		Position  int
	}
	// BodyInto has the first row of a result be assigned; Strict: there has to be one.
	BodyInto struct {
		Targets []BodyTarget
		Strict  bool
	}
	// BodyCommand is a statement that is no query.
	BodyCommand struct {
		SQL      string
		Position int
	}
	// BodyExecute is EXECUTE.
	BodyExecute struct {
		SQL      Expr
		Into     *BodyInto
		Using    []Expr
		Position int
	}
	// BodyCase is CASE operand WHEN; the arms of CASE WHEN are those of a BodyIf.
	BodyCase struct {
		Operand  *Expr
		Arms     []BodyWhen
		Else     []BodyStatement
		HasElse  bool
		Position int
	}
	// BodyWhen is one arm of a BodyCase.
	BodyWhen struct {
		Values     []Expr
		Statements []BodyStatement
	}
	// BodyLoop is LOOP, WHILE or FOR.
	BodyLoop struct {
		Label      string
		While      *Expr
		Targets    []BodyTarget // of FOR
		From, To   *Expr        // of FOR i IN from .. to
		By         *Expr
		Reverse    bool
		Query      *BodyQuery   // of FOR row IN query
		Execute    *BodyExecute // of FOR row IN EXECUTE
		Array      *Expr        // of FOREACH
		Statements []BodyStatement
		Position   int
	}
	// BodyExit is EXIT or CONTINUE.
	BodyExit struct {
		Continue bool
		Label    string
		When     *Expr
		Position int
	}
	// BodyDiagnostics is GET [STACKED] DIAGNOSTICS.
	BodyDiagnostics struct {
		Stacked  bool
		Targets  []BodyTarget
		Items    []string // in lower case
		Position int
	}
	// BodyAssert is ASSERT.
	BodyAssert struct {
		Condition Expr
		Message   *Expr `json:",omitempty"`
		Position  int
	}
	// BodyNull is NULL, which does nothing.
	BodyNull struct{ Position int }
)

func (*BodyBlock) bodyStatement()       {}
func (*BodyCommand) bodyStatement()     {}
func (*BodyExecute) bodyStatement()     {}
func (*BodyCase) bodyStatement()        {}
func (*BodyLoop) bodyStatement()        {}
func (*BodyExit) bodyStatement()        {}
func (*BodyDiagnostics) bodyStatement() {}
func (*BodyAssert) bodyStatement()      {}
func (*BodyNull) bodyStatement()        {}

// raw is the text of the current token.
func (p *cursor) raw() string { return p.text[p.token.start:p.token.end] }

// begins reports whether a block begins here.
func (p *cursor) begins() bool {
	return p.word() == "begin" || p.word() == "declare" || strings.HasPrefix(p.text[p.token.start:], "<<")
}

// label reads <<name>>, if it is there.
func (b *bodyParser) label() (string, *Error) {
	if !strings.HasPrefix(b.text[b.token.start:], "<<") {
		return "", nil
	}
	b.lexer.pos = b.token.start + len("<<")
	b.lexer.run = operatorRun{}
	b.advance()
	name, err := b.identifier()
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(b.text[b.token.start:], ">>") {
		return "", near(b.text, b.token)
	}
	b.lexer.pos = b.token.start + len(">>")
	b.lexer.run = operatorRun{}
	b.advance()
	return name, nil
}

// labelled reads a statement that may have a label.
func (b *bodyParser) labelled() (BodyStatement, *Error) {
	pos := b.token.start + 1
	label, err := b.label()
	if err != nil {
		return nil, err
	}
	switch b.word() {
	case "declare", "begin":
		return b.block(label, pos)
	case "loop", "while", "for", "foreach":
		return b.loop(label, pos)
	}
	return nil, near(b.text, b.token)
}

// block reads from DECLARE or BEGIN to END.
func (b *bodyParser) block(label string, pos int) (*BodyBlock, *Error) {
	out := &BodyBlock{Label: label, Position: pos}
	var err *Error
	for b.word() == "declare" {
		b.advance()
		if out.Declare, err = b.variables(out.Declare); err != nil {
			return nil, err
		}
	}
	if err := b.expect("begin"); err != nil {
		return nil, err
	}
	if out.Statements, err = b.statements(); err != nil {
		return nil, err
	}
	if b.word() == "exception" {
		b.advance()
		if out.Handlers, err = b.handlers(); err != nil {
			return nil, err
		}
	}
	if b.word() != "end" {
		return nil, near(b.text, b.token)
	}
	b.last = b.token.end
	b.advance()
	return out, b.endLabel(label)
}

// endLabel passes the label that may stand behind END.
func (b *bodyParser) endLabel(label string) *Error {
	if b.token.kind != tokenWord && b.token.kind != tokenQuoted || label == "" {
		return nil
	}
	at := b.token
	name, err := b.identifier()
	if err == nil && name != label {
		err = &Error{Code: codeSyntax, Message: "end label \"" + name + "\" differs from block's label \"" + label + "\"", Position: at.start + 1}
	}
	return err
}

// variables reads declarations up to BEGIN.
func (b *bodyParser) variables(out []BodyVariable) ([]BodyVariable, *Error) {
	for b.word() != "begin" && b.word() != "declare" {
		v := BodyVariable{Position: b.token.start + 1}
		var err *Error
		if v.Name, err = b.identifier(); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(o BodyVariable) bool { return o.Name == v.Name }) {
			return nil, &Error{Code: codeSyntax, Message: "duplicate declaration at or near \"" + v.Name + "\"", Position: v.Position}
		}
		if b.word() == "alias" {
			b.advance()
			if err := b.expect("for"); err != nil {
				return nil, err
			}
			if v.Alias = b.raw(); b.token.kind != tokenParam {
				if v.Alias, err = b.identifier(); err != nil {
					return nil, err
				}
			} else {
				b.advance()
			}
		} else if err := b.declared(&v); err != nil {
			return nil, err
		}
		if b.token.kind != tokenSemicolon {
			return nil, near(b.text, b.token)
		}
		b.advance()
		out = append(out, v)
	}
	return out, nil
}

// declared reads [CONSTANT] type [NOT NULL] [:= expr].
func (b *bodyParser) declared(v *BodyVariable) *Error {
	if b.word() == "constant" {
		v.Constant = true
		b.advance()
	}
	start, end := b.token.start, b.token.start
	for b.token.kind != tokenSemicolon && b.word() != "not" && b.word() != "default" && b.word() != "collate" && b.raw() != "=" && b.raw() != ":" && b.raw() != ":=" {
		if b.token.kind == tokenEnd || b.token.kind == tokenBad {
			return near(b.text, b.token)
		}
		if b.word() == "cursor" {
			return unsupportedAt("a cursor in a body", "Write FOR row IN query LOOP.", b.token.start+1)
		}
		end = b.token.end
		b.advance()
	}
	if v.Type = b.text[start:end]; v.Type == "" {
		return near(b.text, b.token)
	}
	if b.word() == "not" {
		b.advance()
		if err := b.expect("null"); err != nil {
			return err
		}
		v.NotNull = true
	}
	if b.token.kind == tokenSemicolon {
		return nil
	}
	if b.word() == "default" {
		b.advance()
	} else if err := b.becomes(); err != nil {
		return err
	}
	e, err := b.expr()
	v.Default = &e
	return err
}

// becomes reads := or =.
func (b *bodyParser) becomes() *Error {
	switch b.raw() {
	case ":":
		b.advance()
		if b.raw() != "=" {
			return near(b.text, b.token)
		}
	case "=", ":=":
	default:
		return near(b.text, b.token)
	}
	b.advance()
	return nil
}

// handlers reads WHEN condition THEN statements, up to END.
func (b *bodyParser) handlers() ([]BodyHandler, *Error) {
	var out []BodyHandler
	for b.word() == "when" {
		var h BodyHandler
		for {
			b.advance()
			condition, err := b.condition()
			if err != nil {
				return nil, err
			}
			if h.Conditions = append(h.Conditions, condition); b.word() != "or" {
				break
			}
		}
		if err := b.expect("then"); err != nil {
			return nil, err
		}
		var err *Error
		if h.Statements, err = b.statements(); err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	if len(out) == 0 {
		return nil, near(b.text, b.token)
	}
	return out, nil
}

// condition reads the name of a condition, or SQLSTATE 'code'.
func (b *bodyParser) condition() (string, *Error) {
	at := b.token
	name, err := b.identifier()
	if err != nil {
		return "", err
	}
	if name == "sqlstate" {
		code, err := b.quoted()
		if err == nil && len(code) != 5 {
			err = &Error{Code: codeSyntax, Message: "invalid SQLSTATE code", Position: at.start + 1}
		}
		return code, err
	}
	if name != "others" && conditions[name] == "" {
		return "", &Error{Code: "42704", Message: "unrecognized exception condition \"" + name + "\"", Position: at.start + 1}
	}
	return name, nil
}

// targets reads what is assigned to, with commas between.
func (b *bodyParser) targets() ([]BodyTarget, *Error) {
	var out []BodyTarget
	for {
		t, err := b.target()
		if err != nil {
			return nil, err
		}
		if out = append(out, t); b.token.kind != tokenComma {
			return out, nil
		}
		b.advance()
	}
}

func (b *bodyParser) target() (BodyTarget, *Error) {
	out := BodyTarget{Position: b.token.start + 1}
	var err *Error
	if out.Name, err = b.identifier(); err != nil {
		return out, err
	}
	if b.raw() == "." {
		b.advance()
		out.Row = out.Name
		out.Name, err = b.identifier()
	}
	if err == nil && b.raw() == "[" {
		err = b.element(&out)
	}
	return out, err
}

// element reads [index][index] behind what is assigned to.
func (b *bodyParser) element(out *BodyTarget) *Error {
	b.advance()
	start, end, open := b.token.start, b.token.start, 0
	for ; open > 0 || b.raw() != "]"; b.advance() {
		switch {
		case b.token.kind == tokenEnd || b.token.kind == tokenBad || b.token.kind == tokenSemicolon:
			return near(b.text, b.token)
		case b.raw() == "[":
			open++
		case b.raw() == "]":
			open--
		}
		end = b.token.end
	}
	e, err := b.exprOf(b.text[start:end], start)
	if err != nil {
		return err
	}
	out.Index = append(out.Index, e)
	if b.advance(); b.raw() == "[" {
		return b.element(out)
	}
	return nil
}

// assert reads ASSERT condition [, message].
func (b *bodyParser) assert() (BodyStatement, *Error) {
	out := &BodyAssert{Position: b.token.start + 1}
	b.advance()
	var err *Error
	if out.Condition, err = b.expr(","); err != nil || b.token.kind != tokenComma {
		return out, err
	}
	b.advance()
	message, err := b.expr()
	out.Message = &message
	return out, err
}

// execute reads EXECUTE expr [INTO ...] [USING ...], up to a semicolon or one of until.
func (b *bodyParser) execute(until ...string) (*BodyExecute, *Error) {
	out := &BodyExecute{Position: b.token.start + 1}
	b.advance()
	var err *Error
	if out.SQL, err = b.expr(append([]string{"into", "using"}, until...)...); err != nil {
		return nil, err
	}
	for {
		switch b.word() {
		case "into":
			b.advance()
			into := &BodyInto{}
			if b.word() == "strict" {
				into.Strict = true
				b.advance()
			}
			if into.Targets, err = b.targets(); err != nil {
				return nil, err
			}
			out.Into = into
		case "using":
			for {
				b.advance()
				e, err := b.expr(append([]string{",", "into"}, until...)...)
				if err != nil {
					return nil, err
				}
				if out.Using = append(out.Using, e); b.token.kind != tokenComma {
					break
				}
			}
		default:
			return out, nil
		}
	}
}

// caseStatement reads CASE.
func (b *bodyParser) caseStatement() (BodyStatement, *Error) {
	out := &BodyCase{Position: b.token.start + 1}
	b.advance()
	if b.word() != "when" {
		e, err := b.expr("when")
		if err != nil {
			return nil, err
		}
		out.Operand = &e
	}
	for b.word() == "when" {
		var w BodyWhen
		b.advance()
		for {
			until := []string{"then"}
			if out.Operand != nil {
				until = append(until, ",")
			}
			e, err := b.expr(until...)
			if err != nil {
				return nil, err
			}
			if w.Values = append(w.Values, e); b.token.kind != tokenComma {
				break
			}
			b.advance()
		}
		if err := b.expect("then"); err != nil {
			return nil, err
		}
		var err *Error
		if w.Statements, err = b.statements(); err != nil {
			return nil, err
		}
		out.Arms = append(out.Arms, w)
	}
	if b.word() == "else" {
		b.advance()
		var err *Error
		if out.Else, err = b.statements(); err != nil {
			return nil, err
		}
		out.HasElse = true
	}
	if err := b.expect("end"); err != nil {
		return nil, err
	}
	return out, b.expect("case")
}

// exit reads EXIT and CONTINUE.
func (b *bodyParser) exit() (BodyStatement, *Error) {
	out := &BodyExit{Continue: b.word() == "continue", Position: b.token.start + 1}
	b.advance()
	var err *Error
	if (b.token.kind == tokenWord || b.token.kind == tokenQuoted) && b.word() != "when" {
		if out.Label, err = b.identifier(); err != nil {
			return nil, err
		}
	}
	if b.word() == "when" {
		b.advance()
		e, err := b.expr()
		out.When = &e
		return out, err
	}
	return out, nil
}

// diagnosed are what GET DIAGNOSTICS tells, and GET STACKED DIAGNOSTICS.
var diagnosed = map[string]bool{"row_count": false, "pg_context": false, "returned_sqlstate": true, "message_text": true, "pg_exception_detail": true, "pg_exception_hint": true,
	"pg_exception_context": true, "column_name": true, "constraint_name": true, "pg_datatype_name": true, "table_name": true, "schema_name": true}

// diagnostics reads GET [CURRENT | STACKED] DIAGNOSTICS target = item, ...
func (b *bodyParser) diagnostics() (BodyStatement, *Error) {
	out := &BodyDiagnostics{Position: b.token.start + 1}
	b.advance()
	if word := b.word(); word == "stacked" || word == "current" {
		out.Stacked = word == "stacked"
		b.advance()
	}
	if err := b.expect("diagnostics"); err != nil {
		return nil, err
	}
	for {
		t, err := b.target()
		if err != nil {
			return nil, err
		}
		if err := b.becomes(); err != nil {
			return nil, err
		}
		item := b.word()
		stacked, known := diagnosed[item]
		if !known {
			return nil, &Error{Code: codeSyntax, Message: "unrecognized GET DIAGNOSTICS item at or near \"" + b.raw() + "\"", Position: b.token.start + 1}
		}
		if stacked != out.Stacked {
			word := map[bool]string{false: "GET CURRENT DIAGNOSTICS", true: "GET STACKED DIAGNOSTICS"}[out.Stacked]
			return nil, &Error{Code: codeSyntax, Message: "diagnostics item " + strings.ToUpper(item) + " is not allowed in " + word, Position: b.token.start + 1}
		}
		b.advance()
		out.Targets, out.Items = append(out.Targets, t), append(out.Items, item)
		if b.token.kind != tokenComma {
			return out, nil
		}
		b.advance()
	}
}

// cutInto takes INTO [STRICT] targets out of a query, leaving blanks.
func (b *bodyParser) cutInto(text string, start int) (string, *BodyInto, *Error) {
	in := &bodyParser{cursor: &cursor{text: text, lexer: lexer{text: text}}}
	parens, last := 0, ""
	for in.advance(); in.token.kind != tokenEnd && in.token.kind != tokenBad; in.advance() {
		switch in.token.kind {
		case tokenOpen:
			parens++
		case tokenClose:
			parens--
		}
		word := in.word()
		if word != "into" || parens != 0 || last == "insert" || last == "merge" {
			last = word
			continue
		}
		from := in.token.start
		in.advance()
		into := &BodyInto{}
		if in.word() == "strict" {
			into.Strict = true
			in.advance()
		}
		var err *Error
		if into.Targets, err = in.targets(); err != nil {
			err.Position += start
			return "", nil, err
		}
		for i := range into.Targets {
			into.Targets[i].Position += start
		}
		return text[:from] + strings.Repeat(" ", in.token.start-from) + text[in.token.start:], into, nil
	}
	return text, nil, nil
}

package syntax

import "strings"

// Body is what a trigger or a schedule does, in NodeDB's own form:
//
//	BEGIN statement; ... END
//
// It is the language of PL/pgSQL, in which functions are written, too: statements of SQL,
// IF, CASE, loops, assignments, RAISE, RETURN, and blocks with DECLARE and EXCEPTION. As AS
// 'text' the same may stand in a string, where BEGIN and END may be left out.
type Body struct {
	Statements []BodyStatement
	// Text is what was written, to be kept: from BEGIN to END, or the string. If quotes are
	// doubled in it, the positions of the statements are those in Text.
	Text     string
	Position int
}

// BodyStatement is a statement of a Body: one of the types below. Expressions are SQL text.
type BodyStatement interface{ bodyStatement() }

type (
	// BodyQuery is a statement that is planned.
	BodyQuery struct {
		SQL string
		// Query is what SQL says; its positions count from Position on.
		Query    *Query    `json:"-"`
		Into     *BodyInto `json:",omitempty"`
		Perform  bool      `json:",omitempty"` // PERFORM: nobody takes the rows
		Position int
	}
	// BodyIf is IF: the first arm whose condition is true is carried out.
	BodyIf struct {
		Arms     []BodyArm
		Else     []BodyStatement `json:",omitempty"`
		Position int
	}
	// BodyArm is one of a BodyIf.
	BodyArm struct {
		Condition  Expr
		Statements []BodyStatement
	}
	// BodyAssign is target := expr.
	BodyAssign struct {
		Target   BodyTarget
		Value    Expr
		Position int
	}
	// BodyRaise is RAISE. Each % of Message stands for one of Args.
	BodyRaise struct {
		Level     string // DEBUG, LOG, INFO, NOTICE, WARNING or EXCEPTION
		Message   string
		Args      []Expr          `json:",omitempty"`
		Condition string          `json:",omitempty"` // its name, or an SQLSTATE
		Options   map[string]Expr `json:",omitempty"` // of USING, by names in lower case
		Again     bool            `json:",omitempty"` // the error that is being handled
		Position  int
	}
	// BodyReturn is RETURN.
	BodyReturn struct {
		Value    string       `json:",omitempty"` // NEW, OLD or NULL, alone; "": something else
		Expr     *Expr        `json:",omitempty"`
		Next     bool         `json:",omitempty"` // RETURN NEXT
		Query    *BodyQuery   `json:",omitempty"` // of RETURN QUERY
		Execute  *BodyExecute `json:",omitempty"` // of RETURN QUERY EXECUTE
		Position int
	}
)

// Expr is an expression as it was written.
type Expr struct {
	SQL      string
	Position int
}

func (*BodyQuery) bodyStatement()  {}
func (*BodyIf) bodyStatement()     {}
func (*BodyAssign) bodyStatement() {}
func (*BodyRaise) bodyStatement()  {}
func (*BodyReturn) bodyStatement() {}

// maxBodyDepth bounds IF in IF, which is read by recursion.
const maxBodyDepth = 100

// bodyParser reads a body. Its positions are wrong, and put right by at, if the text is
// that of a string with escapes.
type bodyParser struct {
	*cursor
	depth int
	last  int // where the last END of a block ended
}

// body reads BEGIN ... END or AS 'text', at which p stands.
func (p *cursor) body() (*Body, *Error) {
	if p.word() != "as" {
		return p.bodyUntilEnd(p.token.start)
	}
	p.advance()
	t := p.token
	from, to, plain := stringContent(p.text[t.start:t.end])
	if t.kind != tokenString || to < from {
		return nil, near(p.text, t)
	}
	start, end := t.start+from, t.start+to
	var out *Body
	var err *Error
	if plain { // every position is that of the text
		in := &cursor{text: p.text[:end], lexer: lexer{text: p.text[:end], pos: start}}
		in.advance()
		if out, err = in.bodyUntilEnd(start); err == nil {
			err = in.end()
		}
	} else {
		in := &cursor{text: strings.ReplaceAll(p.text[start:end], "''", "'")}
		in.lexer.text = in.text
		in.advance()
		if out, err = in.bodyUntilEnd(0); err == nil {
			out.Position = t.start + 1
			err = in.end()
		}
	}
	if err != nil {
		if !plain {
			err.Position = t.start + 1
		}
		return nil, err
	}
	p.advance()
	return out, nil
}

// ParseBody reads a body that was kept as its text.
func ParseBody(text string) (*Body, *Error) {
	p := &cursor{text: text, lexer: lexer{text: text}}
	p.advance()
	out, err := p.bodyUntilEnd(0)
	if err != nil {
		return nil, err
	}
	return out, p.end()
}

// stringContent finds what is between the quotes; to < from: it is of a form that is not
// taken. plain says that it is what the string says.
func stringContent(s string) (from, to int, plain bool) {
	switch {
	case len(s) >= 2 && s[0] == '\'':
		return 1, len(s) - 1, !strings.Contains(s[1:len(s)-1], "'")
	case len(s) >= 2 && s[0] == '$':
		n := strings.IndexByte(s[1:], '$') + 2
		return n, len(s) - n, true
	default:
		return 1, 0, false
	}
}

// bodyUntilEnd reads [BEGIN] statements [END]; without BEGIN up to the end of the text.
func (p *cursor) bodyUntilEnd(start int) (*Body, *Error) {
	b := &bodyParser{cursor: p}
	var list []BodyStatement
	var err *Error
	var end int
	begin := p.begins()
	if begin {
		var whole BodyStatement
		if whole, err = b.labelled(); err != nil {
			return nil, err
		}
		list, end = []BodyStatement{whole}, b.last
		if block, ok := whole.(*BodyBlock); ok && block.Label == "" && len(block.Declare)+len(block.Handlers) == 0 {
			list = block.Statements
		}
	} else if list, err = b.statements(); err != nil {
		return nil, err
	} else {
		end = p.token.start
	}
	if !begin && p.token.kind != tokenEnd {
		return nil, near(p.text, p.token)
	}
	if len(list) == 0 && !begin {
		return nil, &Error{Code: codeSyntax, Message: "a body needs a statement", Position: start + 1}
	}
	return &Body{Statements: list, Text: strings.TrimSpace(p.text[start:end]), Position: start + 1}, nil
}

// statements reads statements up to END, ELSE, ELSIF or the end of the text.
func (b *bodyParser) statements() ([]BodyStatement, *Error) {
	if b.depth++; b.depth > maxBodyDepth {
		return nil, &Error{Code: codeTooComplex, Message: "statement is too complex", Hint: "IF is nested too deeply.", Position: b.token.start + 1}
	}
	defer func() { b.depth-- }()
	var out []BodyStatement
	for {
		switch b.word() {
		case "end", "else", "elsif", "elseif", "when", "exception":
			return out, nil
		}
		if b.token.kind == tokenEnd {
			return out, nil
		}
		s, err := b.statement()
		if err != nil {
			return nil, err
		}
		out = append(out, s)
		switch {
		case b.token.kind == tokenSemicolon:
			b.advance()
		case b.token.kind == tokenEnd: // the last of a string
		default:
			return nil, near(b.text, b.token)
		}
	}
}

func (b *bodyParser) statement() (BodyStatement, *Error) {
	if b.assigns() {
		return b.assign()
	}
	pos := b.token.start + 1
	if strings.HasPrefix(b.text[b.token.start:], "<<") {
		return b.labelled()
	}
	switch b.word() {
	case "declare", "begin":
		return b.block("", pos)
	case "loop", "while", "for", "foreach":
		return b.loop("", pos)
	case "if":
		return b.ifStatement()
	case "case":
		return b.caseStatement()
	case "exit", "continue":
		return b.exit()
	case "raise":
		return b.raise()
	case "return":
		return b.returns()
	case "get":
		return b.diagnostics()
	case "execute":
		return b.execute()
	case "null":
		b.advance()
		return &BodyNull{pos}, nil
	case "assert":
		return b.assert()
	case "open", "fetch", "move", "close", "commit", "rollback":
		return nil, unsupportedAt(strings.ToUpper(b.word())+" in a body", "", pos)
	default:
		return b.queryUntil()
	}
}

// assigns reports whether an assignment stands here.
func (b *bodyParser) assigns() bool {
	if b.token.kind != tokenWord && b.token.kind != tokenQuoted {
		return false
	}
	probe := *b.cursor
	probe.advance()
	for probe.raw() == "." {
		probe.advance()
		probe.advance()
	}
	return probe.raw() == "=" || probe.raw() == ":=" || probe.raw() == ":" && probe.token.end < len(probe.text) && probe.text[probe.token.end] == '=' ||
		probe.raw() == "[" && b.word() != "select" && b.word() != "perform" && b.word() != "return"
}

// returns reads RETURN.
func (b *bodyParser) returns() (BodyStatement, *Error) {
	out := &BodyReturn{Position: b.token.start + 1}
	b.advance()
	if b.token.kind == tokenSemicolon || b.token.kind == tokenEnd {
		return out, nil
	}
	probe := *b.cursor
	switch word := b.word(); word {
	case "new", "old", "null":
		if b.advance(); b.token.kind == tokenSemicolon || b.token.kind == tokenEnd {
			out.Value = strings.ToUpper(word)
			return out, nil
		}
		*b.cursor = probe
	case "next":
		out.Next = true
		if b.advance(); b.token.kind == tokenSemicolon {
			return out, nil
		}
	case "query":
		if b.advance(); b.word() == "execute" {
			var err *Error
			out.Execute, err = b.execute()
			return out, err
		}
		q, err := b.queryUntil()
		if err != nil {
			return nil, err
		}
		query, ok := q.(*BodyQuery)
		if !ok {
			return nil, &Error{Code: codeSyntax, Message: "RETURN QUERY needs a query", Position: out.Position}
		}
		out.Query = query
		return out, nil
	}
	e, err := b.expr()
	out.Expr = &e
	return out, err
}

// queryUntil reads a statement of SQL.
func (b *bodyParser) queryUntil(until ...string) (BodyStatement, *Error) {
	perform := b.word() == "perform"
	start, end, err := b.span(until...)
	if err != nil {
		return nil, err
	}
	text := b.text[start:end]
	if perform {
		text = "SELECT " + text[len("perform"):]
	}
	text, into, err := b.cutInto(text, start)
	if err != nil {
		return nil, err
	}
	node, err := b.parse(text, start)
	if err != nil {
		return nil, err
	}
	q, ok := node.(*Query)
	switch {
	case !ok && into == nil && !perform:
		return &BodyCommand{SQL: text, Position: start + 1}, nil
	case !ok || q.Explain != nil:
		return nil, &Error{Code: codeNotSupported, Message: "this statement in a body is not supported", Hint: "EXPLAIN and INTO of such a statement are for clients.", Position: start + 1}
	}
	return &BodyQuery{SQL: text, Query: q, Into: into, Perform: perform, Position: start + 1}, nil
}

// parse runs PostgreSQL's parser over a part of the text that begins at start, and is
// ended by the current token.
func (b *bodyParser) parse(text string, start int) (Node, *Error) {
	deep, err := guard(text)
	if err != nil {
		return nil, err
	}
	node, err := parsePostgres(text, "TABLE", deep)
	switch {
	case err == nil:
		return node, nil
	case err.Position == 0:
		err.Position = start + 1
	case err.Position > len(text):
		return nil, near(b.text, b.token)
	default:
		err.Position += start
	}
	return nil, err
}

// span reads up to the semicolon, or one of the words that end it.
func (b *bodyParser) span(until ...string) (start, end int, err *Error) {
	start, end = b.token.start, b.token.start
	cases, parens := 0, 0
	for {
		switch b.token.kind {
		case tokenEnd, tokenSemicolon:
			if end == start {
				err = near(b.text, b.token)
			}
			return start, end, err
		case tokenBad:
			return start, end, near(b.text, b.token)
		case tokenOpen:
			parens++
		case tokenClose:
			parens--
		case tokenComma:
			if cases == 0 && parens == 0 && contains(until, ",") {
				return start, end, nil
			}
		case tokenWord:
			switch word := b.word(); {
			case word == "case":
				cases++
			case word == "end" && cases > 0:
				cases--
			case cases == 0 && parens == 0 && contains(until, word):
				if end == start {
					err = near(b.text, b.token)
				}
				return start, end, err
			}
		}
		end = b.token.end
		b.advance()
	}
}

func contains(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}

// expr reads an expression.
func (b *bodyParser) expr(until ...string) (Expr, *Error) {
	start, end, err := b.span(until...)
	if err != nil {
		return Expr{}, err
	}
	return b.exprOf(b.text[start:end], start)
}

// exprOf reads an expression that begins at start.
func (b *bodyParser) exprOf(text string, start int) (Expr, *Error) {
	const lead = "SELECT "
	node, err := b.parse(lead+text, start-len(lead))
	if err != nil {
		err.Position = max(err.Position, start+1)
		return Expr{}, err
	}
	q, ok := node.(*Query)
	if !ok || q.Select == nil || len(q.Select.GetTargetList()) != 1 || q.Select.GetLarg() != nil {
		return Expr{}, &Error{Code: codeSyntax, Message: "this is no expression", Position: start + 1}
	}
	return Expr{SQL: text, Position: start + 1}, nil
}

// IsExpression reports whether a query is SELECT of one thing, and nothing else.
func IsExpression(q *Query) bool {
	s := q.Select
	return s != nil && len(s.GetTargetList()) == 1 && len(s.GetFromClause()) == 0 && s.GetWhereClause() == nil && s.GetLarg() == nil &&
		s.GetLimitCount() == nil && s.GetLimitOffset() == nil && len(s.GetSortClause()) == 0 && len(s.GetGroupClause()) == 0 && s.GetHavingClause() == nil &&
		s.GetTargetList()[0].GetResTarget().GetName() == ""
}

func (b *bodyParser) ifStatement() (BodyStatement, *Error) {
	out := &BodyIf{Position: b.token.start + 1}
	for {
		b.advance() // IF or ELSIF
		condition, err := b.expr("then")
		if err != nil {
			return nil, err
		}
		if err := b.expect("then"); err != nil {
			return nil, err
		}
		list, err := b.statements()
		if err != nil {
			return nil, err
		}
		out.Arms = append(out.Arms, BodyArm{condition, list})
		if word := b.word(); word != "elsif" && word != "elseif" {
			break
		}
	}
	if b.word() == "else" {
		b.advance()
		var err *Error
		if out.Else, err = b.statements(); err != nil {
			return nil, err
		}
	}
	if err := b.expect("end"); err != nil {
		return nil, err
	}
	return out, b.expect("if")
}

// expect reads the word.
func (p *cursor) expect(word string) *Error {
	if p.word() != word {
		return near(p.text, p.token)
	}
	p.advance()
	return nil
}

func (b *bodyParser) assign() (BodyStatement, *Error) {
	out := &BodyAssign{Position: b.token.start + 1}
	var err *Error
	if out.Target, err = b.target(); err != nil {
		return nil, err
	}
	if err := b.becomes(); err != nil {
		return nil, err
	}
	out.Value, err = b.expr()
	return out, err
}

// quoted reads 'text' or $$text$$.
func (p *cursor) quoted() (string, *Error) {
	t := p.token
	if t.kind == tokenString {
		raw := p.text[t.start:t.end]
		if from, to, plain := stringContent(raw); to >= from {
			p.advance()
			if plain {
				return raw[from:to], nil
			}
			return strings.ReplaceAll(raw[from:to], "''", "'"), nil
		}
	}
	return "", near(p.text, t)
}

// trigger reads CREATE TRIGGER with a body, whose head is in PostgreSQL's grammar but for
// the call of a function. ok is false if there is none.
func trigger(text string, deep bool) (node Node, err *Error, ok bool) { //nolint:revive // ok tells "not mine" from an error
	p, found := findBody(text)
	if !found {
		return nil, nil, false
	}
	start := p.token
	head, err := parsePostgres(text[:start.start]+"EXECUTE FUNCTION body()", "TABLE", deep)
	if err != nil {
		if err.Position > start.start {
			err = near(text, start)
		}
		return nil, err, true
	}
	out, isTrigger := head.(*CreateTrigger)
	if !isTrigger {
		return nil, near(text, start), true
	}
	if out.Constraint {
		return nil, unsupportedAt("a constraint trigger with a body", "Write EXECUTE FUNCTION.", start.start+1), true
	}
	out.Function = nil
	if out.Body, err = p.body(); err != nil {
		return nil, err, true
	}
	return out, p.end(), true
}

// findBody finds BEGIN or AS 'text' behind ON, outside of parentheses.
func findBody(text string) (*cursor, bool) {
	p := &cursor{text: text, lexer: lexer{text: text}}
	p.advance() // CREATE
	if p.advance(); p.word() == "or" {
		p.advance() // REPLACE
		p.advance()
	}
	if p.word() == "constraint" {
		p.advance()
	}
	if p.word() != "trigger" {
		return nil, false
	}
	parens, on := 0, false
	for {
		p.advance()
		switch p.token.kind {
		case tokenEnd, tokenBad, tokenSemicolon:
			return nil, false
		case tokenOpen:
			parens++
		case tokenClose:
			parens--
		case tokenWord:
			word := p.word()
			if parens != 0 || word == "execute" {
				continue
			}
			switch {
			case word == "on":
				on = true
			case on && word == "begin":
				return p, true
			case on && word == "as":
				if next := *p; next.peek() == tokenString {
					return p, true
				}
			}
		}
	}
}

// peek is the kind of the token behind the current one; the cursor is spent then.
func (p *cursor) peek() tokenKind {
	p.advance()
	return p.token.kind
}

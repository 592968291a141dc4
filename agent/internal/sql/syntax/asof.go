package syntax

import (
	"errors"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"github.com/pganalyze/pg_query_go/v6/parser"
)

// asOf is a clause AS OF SYSTEM TIME expression, which PostgreSQL does not have.
type asOf struct {
	start, end int // of the text
	expr       *pg.Node
}

// cutAsOf finds the clause in a text, and returns the text with blanks in its place. In
// what begins a transaction, or says what one is, READ ONLY takes its place: who reads
// the past writes nothing.
func cutAsOf(text string) (rest string, clause *asOf, err *Error) {
	if !mentions(text, "system") {
		return text, nil, nil
	}
	p := &cursor{text: text, lexer: lexer{text: text}}
	p.advance()
	first := p.word()
	for depth := 0; p.token.kind != tokenEnd && p.token.kind != tokenBad; {
		switch p.token.kind {
		case tokenOpen:
			depth++
		case tokenClose:
			depth--
		}
		start := p.token.start
		if !p.words("as", "of", "system", "time") {
			p.advance()
			continue
		}
		switch {
		case clause != nil:
			return "", nil, &Error{Code: codeSyntax, Message: "AS OF SYSTEM TIME may be said once in a statement", Position: start + 1}
		case depth > 0:
			return "", nil, &Error{Code: "0A000", Message: "AS OF SYSTEM TIME is for the whole statement", Hint: "Write it at the end of the outermost FROM clause.", Position: start + 1}
		}
		clause = &asOf{start: start}
		from := p.token.start
		clause.end = p.expressionEnd()
		if clause.expr, err = parseExpression(text[from:clause.end], from); err != nil {
			return "", nil, err
		}
	}
	if clause == nil {
		return text, nil, nil
	}
	instead := ""
	if slices.Contains([]string{"begin", "start", "set"}, first) {
		instead = "READ ONLY"
	}
	blank := instead + strings.Repeat(" ", clause.end-clause.start-len(instead))
	return text[:clause.start] + blank + text[clause.end:], clause, nil
}

// mentions reports whether a word in lower case is somewhere in text, in any case.
func mentions(text, word string) bool {
	for i := 0; i+len(word) <= len(text); i++ {
		if text[i]|0x20 == word[0] && strings.EqualFold(text[i:i+len(word)], word) {
			return true
		}
	}
	return false
}

// words passes over words that stand here, one after the other; if they do not, it
// stays.
func (p *cursor) words(all ...string) bool {
	at, lexer := p.token, p.lexer
	for _, w := range all {
		if p.word() != w {
			p.token, p.lexer = at, lexer
			return false
		}
		p.advance()
	}
	return true
}

// standAsOf reports whether the clause stands here.
func (p *cursor) standAsOf() bool {
	ahead := *p
	return ahead.words("as", "of", "system", "time")
}

// expressionEnd passes over an expression and returns where it ends: ahead of the next
// clause.
func (p *cursor) expressionEnd() (end int) {
	clauses := []string{"where", "group", "having", "window", "order", "limit", "offset", "fetch", "for", "union", "intersect", "except", "returning", "set", "read", "isolation"}
	end = p.token.start
	for depth := 0; ; p.advance() {
		switch p.token.kind {
		case tokenEnd, tokenBad, tokenSemicolon:
			return end
		case tokenComma:
			if depth == 0 {
				return end
			}
		case tokenOpen:
			depth++
		case tokenClose:
			if depth--; depth < 0 {
				return end
			}
		}
		if depth == 0 && (slices.Contains(clauses, p.word()) || p.standAsOf()) {
			return end
		}
		end = p.token.end
	}
}

// parseExpression parses an expression that stands at a place of the statement's text.
func parseExpression(text string, at int) (*pg.Node, *Error) {
	const before = "SELECT "
	tree, err := pg.Parse(before + text)
	if err != nil {
		var e *parser.Error
		position := at + 1
		if errors.As(err, &e) && e.Cursorpos > len(before) {
			position = at + e.Cursorpos - len(before)
		}
		return nil, &Error{Code: codeSyntax, Message: "AS OF SYSTEM TIME needs a time: " + err.Error(), Position: position}
	}
	if len(tree.GetStmts()) == 1 {
		s := tree.GetStmts()[0].GetStmt().GetSelectStmt()
		if targets := s.GetTargetList(); len(targets) == 1 && len(s.GetFromClause()) == 0 && targets[0].GetResTarget().GetName() == "" {
			return targets[0].GetResTarget().GetVal(), nil
		}
	}
	return nil, &Error{Code: codeSyntax, Message: "AS OF SYSTEM TIME needs one time", Position: at + 1}
}

// put says to a statement that it reads the past.
func (a *asOf) put(n Node) *Error {
	switch n := n.(type) {
	case *Query:
		if n.Select == nil {
			return &Error{Code: "0A000", Message: "a statement that writes cannot read AS OF SYSTEM TIME", Hint: "SELECT the rows first, then write them.", Position: a.start + 1}
		}
		n.AsOf = a.expr
	case *Begin:
		n.Modes.AsOf = a.expr
	case *SetTransaction:
		if n.Session {
			return &Error{Code: "0A000", Message: "AS OF SYSTEM TIME is for one transaction", Hint: "Use SET TRANSACTION or BEGIN.", Position: a.start + 1}
		}
		n.Modes.AsOf = a.expr
	default:
		return &Error{Code: codeSyntax, Message: "AS OF SYSTEM TIME is for SELECT, BEGIN and SET TRANSACTION", Position: a.start + 1}
	}
	return nil
}

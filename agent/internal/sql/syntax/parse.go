package syntax

import (
	"errors"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"github.com/pganalyze/pg_query_go/v6/parser"
)

// Parse reads one statement; a semicolon may end it. Errors are *Error.
func Parse(text string) (*Statement, error) {
	deep, err := guard(text)
	if err != nil {
		return nil, err
	}
	if strings.IndexByte(text, 0) >= 0 {
		return nil, &Error{Code: "22021", Message: `invalid byte sequence for encoding "UTF8": 0x00`}
	}
	node, err := dispatch(text, deep)
	if err != nil {
		return nil, err
	}
	return &Statement{Text: text, Node: node}, nil
}

// dispatch chooses the parser by the leading words.
func dispatch(text string, deep bool) (Node, *Error) {
	p := &cursor{text: text, lexer: lexer{text: text}}
	p.advance()
	if p.token.kind == tokenEnd {
		return nil, nil
	}
	switch first := p.word(); first {
	case "show":
		p.advance()
		if node, err, ok := p.show(); ok {
			return node, err
		}
	case "rebalance":
		p.advance()
		return p.rebalance()
	case "comment", "grant", "revoke":
		if node, err, ok := commentOnSchedule(text); ok {
			return only(node, err)
		}
		return parsePostgres(collectionAsTable(text), "TABLE", deep)
	case "create", "drop", "alter", "truncate":
		p.advance()
		if node, err, ok := setPool(text, p); first == "alter" && ok {
			return only(node, err)
		}
		switch word := p.word(); {
		case word == "collection":
			return parseCollection(p, first == "create", deep)
		case word == "schedule" && first != "truncate":
			p.advance()
			return p.schedule(first)
		case first == "create" && (word == "trigger" || word == "or" || word == "constraint"):
			if node, err, ok := trigger(text, deep); ok {
				return only(node, err)
			}
		case word == "pool" && first != "truncate":
			p.advance()
			return p.pool(first)
		case word == "node" && first == "alter":
			p.advance()
			return p.alterNode()
		}
	}
	text, clause, err := cutAsOf(text)
	if err != nil {
		return nil, err
	}
	node, err := parsePostgres(text, "TABLE", deep)
	if err == nil && clause != nil {
		err = clause.put(node)
	}
	return node, err
}

// parseCollection reads a statement about a COLLECTION, at which p stands, as one
// about a TABLE: same grammar, and padding keeps every position.
func parseCollection(p *cursor, create, deep bool) (Node, *Error) {
	t := p.token
	text := p.text[:t.start] + "TABLE     " + p.text[t.end:]
	name, several := p.bareName()
	if several {
		return nil, multipleCommands()
	}
	if !create || name < 0 {
		return parsePostgres(text, "COLLECTION", deep)
	}
	const columns = " ()"
	node, err := parsePostgres(text[:name]+columns+text[name:], "COLLECTION", deep)
	if err != nil {
		err.Position = without(err.Position, name, len(columns))
		return nil, err
	}
	if c, ok := node.(*CreateCollection); ok {
		c.PoolPosition = without(c.PoolPosition, name, len(columns))
	}
	return node, nil
}

// without is a position in a text that n bytes were put into at offset at, in the text
// without them.
func without(position, at, n int) int {
	if position <= at {
		return position
	}
	return max(position-n, at+1)
}

// collectionAsTable has ON COLLECTION name say ON TABLE name, at the same positions.
func collectionAsTable(text string) string {
	p := &cursor{text: text, lexer: lexer{text: text}}
	for p.advance(); p.token.kind != tokenEnd && p.token.kind != tokenBad; p.advance() {
		if p.word() != "on" {
			continue
		}
		if p.advance(); p.word() != "collection" {
			return text
		}
		t := p.token
		switch p.advance(); {
		case p.token.kind != tokenWord && p.token.kind != tokenQuoted, p.word() == "to", p.word() == "from":
			return text // a table of that name
		}
		return text[:t.start] + "TABLE     " + text[t.end:]
	}
	return text
}

// bareName reads the rest of the text after COLLECTION. It returns where the name
// ends if there is nothing else but WITH, -1 otherwise; several says that another
// statement follows.
func (p *cursor) bareName() (end int, several bool) {
	end = -1
	with := -1 // where the name ends before WITH
	bare, exists := true, []string{"if", "not", "exists"}
	query := false // AS follows: nothing is to be added
	for p.advance(); p.token.kind != tokenSemicolon && p.token.kind != tokenEnd && p.token.kind != tokenBad; p.advance() {
		if len(exists) > 0 && p.word() == exists[0] {
			exists = exists[1:]
			continue
		}
		exists = nil
		query = query || p.word() == "as"
		if bare && with < 0 && end >= 0 && p.word() == "with" {
			with = end
		}
		bare = bare && (p.token.kind == tokenWord || p.token.kind == tokenQuoted || p.text[p.token.start:p.token.end] == ".")
		end = p.token.end
	}
	if p.token.kind == tokenSemicolon {
		p.advance()
		several = p.token.kind != tokenEnd
	}
	switch {
	case query:
		end = -1
	case with >= 0:
		end = with
	case !bare:
		end = -1
	}
	return end, several
}

// parsePostgres runs PostgreSQL's parser and takes out the one statement.
func parsePostgres(text, word string, deep bool) (Node, *Error) {
	docs, wrong := cutDocuments(text)
	if wrong != nil {
		return nil, wrong
	}
	if docs != nil {
		text = docs.text
	}
	tree, err := pg.Parse(text)
	if err != nil {
		return nil, docs.of(parserError(text, err))
	}
	docs.putAll(tree)
	if deep {
		if err := checkDepth(tree); err != nil {
			return nil, err
		}
	}
	if wrong := numberForms(tree, text); wrong != nil {
		return nil, docs.of(wrong)
	}
	switch len(tree.Stmts) {
	case 0:
		return nil, nil
	case 1:
		return convert(tree.Stmts[0].GetStmt(), word, text)
	default:
		return nil, multipleCommands()
	}
}

func multipleCommands() *Error {
	return &Error{Code: codeSyntax, Message: "cannot insert multiple commands into a prepared statement"}
}

// parserError translates what PostgreSQL's parser, or the decoder of its tree, says.
func parserError(text string, err error) *Error {
	var e *parser.Error
	if !errors.As(err, &e) {
		return tooComplex() // the decoder's limit of recursion
	}
	if strings.Contains(e.Message, "stack depth") {
		return tooComplex()
	}
	code := codeSyntax
	if strings.Contains(e.Message, "byte sequence") {
		code = "22021"
	}
	if strings.HasSuffix(e.Message, " not yet implemented") { // MATCH PARTIAL and the like
		code = codeNotSupported
	}
	return &Error{Code: code, Message: e.Message, Position: bytePosition(text, e.Cursorpos)}
}

// cursor walks over the tokens of a statement of ours.
type cursor struct {
	text  string
	lexer lexer
	token token
}

func (p *cursor) advance() { p.token = p.lexer.next() }

// word returns the current word folded to lower case, "" if it is none.
func (p *cursor) word() string {
	if p.token.kind != tokenWord {
		return ""
	}
	return fold(p.text[p.token.start:p.token.end])
}

// end accepts the end of the statement.
func (p *cursor) end() *Error {
	if p.token.kind == tokenSemicolon {
		if p.advance(); p.token.kind != tokenEnd {
			return multipleCommands()
		}
	}
	if p.token.kind != tokenEnd {
		return near(p.text, p.token)
	}
	return nil
}

// name reads [schema.]name.
func (p *cursor) name() (Name, *Error) {
	n := Name{Position: p.token.start + 1}
	var err *Error
	if n.Name, err = p.identifier(); err != nil {
		return n, err
	}
	if p.text[p.token.start:p.token.end] == "." {
		p.advance()
		n.Schema = n.Name
		n.Name, err = p.identifier()
	}
	return n, err
}

func (p *cursor) identifier() (string, *Error) {
	t := p.token
	raw := p.text[t.start:t.end]
	switch {
	case t.kind == tokenWord:
		p.advance()
		return fold(raw), nil
	case t.kind == tokenQuoted && raw[0] == '"' && len(raw) > 2:
		p.advance()
		return strings.ReplaceAll(raw[1:len(raw)-1], `""`, `"`), nil
	default:
		return "", near(p.text, t)
	}
}

// show reads what follows SHOW. ok is false if it is a setting's name.
func (p *cursor) show() (node Node, err *Error, ok bool) { //nolint:revive // ok tells "not mine" from an error
	switch kind := ShowKind(p.word()); kind {
	case ShowNodes, ShowCollections, ShowOperations, ShowRebalance:
		p.advance()
		return &ShowCluster{Kind: kind}, p.end(), true
	case ShowPools:
		p.advance()
		return &ShowCluster{Kind: kind}, p.end(), true
	case ShowRanges:
		p.advance()
		node, err := p.showRanges()
		return node, err, true
	case ShowPool:
		node, err := p.showPool()
		return node, err, true
	case "tables":
		p.advance()
		return &ShowCluster{Kind: ShowCollections}, p.end(), true
	case ShowRouting:
		p.advance()
		node, err := p.showRouting()
		return node, err, true
	case "schedules", "schedule":
		node, err := p.showSchedules()
		return node, err, true
	case "schema":
		p.advance()
		if p.word() != "version" {
			return nil, near(p.text, p.token), true
		}
		p.advance()
		return &ShowCluster{Kind: ShowSchemaVersion}, p.end(), true
	default:
		return p.showLifecycle()
	}
}

// rebalance reads what follows REBALANCE.
func (p *cursor) rebalance() (Node, *Error) {
	node := &Rebalance{}
	switch word := p.word(); word {
	case "bytes", "load", "leaders":
		node.Goal = word
		p.advance()
	case "plan":
		p.advance()
		id, err := p.literal()
		if err != nil {
			return nil, err
		}
		if !id.Quoted {
			return nil, &Error{Code: codeSyntax, Message: "the plan's id must be a string, such as 'pl-9c41ab'", Position: id.Position}
		}
		node.Plan = id.Text
		if p.word() == "strict" {
			node.Strict = true
			p.advance()
		}
	}
	return node, p.end()
}

// showRanges reads [FOR POOL name].
func (p *cursor) showRanges() (Node, *Error) {
	node := &ShowCluster{Kind: ShowRanges}
	if p.word() != "for" {
		return node, p.end()
	}
	p.advance()
	if p.word() != "pool" {
		return nil, near(p.text, p.token)
	}
	return p.forPool(node)
}

// forPool reads the name after FOR POOL.
func (p *cursor) forPool(node *ShowCluster) (Node, *Error) {
	p.advance()
	name, err := p.identifier()
	if err != nil {
		return nil, err
	}
	node.Pool = name
	return node, p.end()
}

// showRouting reads [FOR POOL name], or [FOR collection KEY value [, ...]];
// parentheses may stand around the values. A collection called pool is quoted.
func (p *cursor) showRouting() (Node, *Error) {
	node := &ShowCluster{Kind: ShowRouting}
	if p.word() != "for" {
		return node, p.end()
	}
	p.advance()
	if p.word() == "pool" {
		return p.forPool(node)
	}
	name, err := p.name()
	if err != nil {
		return nil, err
	}
	node.Collection = &name
	if p.word() != "key" {
		return nil, near(p.text, p.token)
	}
	p.advance()
	open := p.token.kind == tokenOpen
	if open {
		p.advance()
	}
	for {
		value, err := p.literal()
		if err != nil {
			return nil, err
		}
		node.Key = append(node.Key, value)
		if p.token.kind != tokenComma {
			break
		}
		p.advance()
	}
	if open {
		if p.token.kind != tokenClose {
			return nil, near(p.text, p.token)
		}
		p.advance()
	}
	return node, p.end()
}

// literal reads a number, a string or a bare word such as true.
func (p *cursor) literal() (Literal, *Error) {
	l := Literal{Position: p.token.start + 1}
	if p.token.kind == tokenOperator {
		if sign := p.text[p.token.start:p.token.end]; sign == "-" || sign == "+" {
			l.Text = strings.TrimPrefix(sign, "+")
			p.advance()
			if p.token.kind != tokenNumber {
				return l, near(p.text, p.token)
			}
		}
	}
	raw := p.text[p.token.start:p.token.end]
	switch {
	case p.token.kind == tokenNumber, p.token.kind == tokenWord:
		l.Text += raw
	case p.token.kind == tokenString && raw[0] == '\'':
		l.Text, l.Quoted = strings.ReplaceAll(raw[1:len(raw)-1], "''", "'"), true
	default:
		return l, near(p.text, p.token)
	}
	p.advance()
	return l, nil
}

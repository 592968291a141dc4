package syntax

import (
	"encoding/json"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A document, {name: 'Ada', tags: ['x', $1]}, may stand wherever an expression may, and
// behind INSERT INTO c in place of VALUES. PostgreSQL's parser gets an empty string for it,
// at the same position; what it is comes into the tree afterwards.

// documents are those of a text.
type documents struct {
	// text is for PostgreSQL's parser.
	text string
	// at has the values by where their placeholders are in it.
	at map[int32]*pg.Node
	// From here on text has shift bytes more than what it was made from.
	shiftedFrom, shift int
}

// cutDocuments takes the documents out of a text; nil: it has none.
func cutDocuments(text string) (*documents, *Error) {
	if strings.IndexByte(text, '{') < 0 {
		return nil, nil
	}
	c := &documentCutter{cursor: cursor{text: text, lexer: lexer{text: text}}, out: documents{at: map[int32]*pg.Node{}}}
	if err := c.run(); err != nil || len(c.out.at) == 0 {
		return nil, err
	}
	return &c.out, nil
}

type documentCutter struct {
	cursor
	out     documents
	b       strings.Builder
	copied  int  // bytes of the text that b has, or blanks for them
	behind  int  // where the token before ended
	source  bool // INSERT INTO was read, and nothing yet that gives the rows
	nesting int  // parentheses
}

func (c *documentCutter) next() {
	c.behind = c.token.end
	c.advance()
}

func (c *documentCutter) is(s string) bool { return c.text[c.token.start:c.token.end] == s }

func (c *documentCutter) run() *Error {
	for c.next(); c.token.kind != tokenEnd && c.token.kind != tokenBad; {
		var err *Error
		switch {
		case c.is("{") && c.source && c.nesting == 0:
			err = c.rows()
		case c.is("{"):
			err = c.expression()
		default:
			c.note()
			c.next()
		}
		if err != nil {
			return err
		}
	}
	c.b.WriteString(c.text[c.copied:])
	c.out.text = c.b.String()
	return nil
}

// note follows where in a statement the next token is.
func (c *documentCutter) note() {
	switch c.token.kind {
	case tokenOpen:
		c.nesting++
	case tokenClose:
		c.nesting--
	}
	switch c.word() {
	case "insert":
		c.source = true
	case "values", "select", "default", "with", "table", "set":
		c.source = false
	}
}

// expression puts a placeholder for a document.
func (c *documentCutter) expression() *Error {
	c.b.WriteString(c.text[c.copied:c.token.start])
	c.copied = c.token.start
	c.placeholder()
	v, err := c.object(0)
	c.out.at[int32(c.b.Len()-len(placeholder))] = v.expression()
	c.copied += len(placeholder)
	c.blank(c.behind)
	return err
}

const placeholder = "''"

func (c *documentCutter) placeholder() { c.b.WriteString(placeholder) }

// blank writes blanks for what was read.
func (c *documentCutter) blank(end int) {
	for ; c.copied < end; c.copied++ {
		c.b.WriteByte(' ')
	}
}

// rows makes VALUES of the documents of an INSERT.
func (c *documentCutter) rows() *Error {
	c.source = false
	c.b.WriteString(c.text[c.copied:c.token.start])
	for word := "VALUES("; ; word = ",(" {
		c.b.WriteString(word)
		at := int32(c.b.Len())
		c.placeholder()
		c.b.WriteByte(')')
		v, err := c.object(0)
		if err != nil {
			return err
		}
		c.out.at[at] = v.expression()
		if c.copied = c.behind; c.token.kind != tokenComma {
			break
		}
		if c.next(); !c.is("{") {
			return near(c.text, c.token)
		}
	}
	for c.b.Len() <= c.copied {
		c.b.WriteByte(' ')
	}
	c.out.shiftedFrom = c.copied
	c.out.shift = c.b.Len() - c.copied
	return nil
}

// documentValue is a part of a document: JSON, or an expression.
type documentValue struct {
	json string
	node *pg.Node // nil: json is all there is
}

// expression is the value as one of type jsonb.
func (v documentValue) expression() *pg.Node {
	if v.node != nil {
		return v.node
	}
	arg := &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Val: &pg.A_Const_Sval{Sval: &pg.String{Sval: v.json}}, Location: -1}}}
	return &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: arg, Location: -1,
		TypeName: &pg.TypeName{Names: []*pg.Node{stringNode("pg_catalog"), stringNode("jsonb")}, Typemod: -1, Location: -1}}}}
}

func stringNode(s string) *pg.Node {
	return &pg.Node{Node: &pg.Node_String_{String_: &pg.String{Sval: s}}}
}

// maxDocumentDepth keeps what documents become within maxDepth.
const maxDocumentDepth = maxDepth / 3

// object reads from { to }.
func (c *documentCutter) object(depth int) (documentValue, *Error) {
	var keys []string
	var values []documentValue
	if depth > maxDocumentDepth {
		return documentValue{}, tooComplex()
	}
	for c.next(); !c.is("}"); c.next() {
		key, err := c.key()
		if err != nil {
			return documentValue{}, err
		}
		if !c.is(":") {
			return documentValue{}, near(c.text, c.token)
		}
		c.next()
		v, err := c.value(depth + 1)
		if err != nil {
			return v, err
		}
		keys, values = append(keys, key), append(values, v)
		if c.token.kind != tokenComma {
			break
		}
	}
	if !c.is("}") {
		return documentValue{}, near(c.text, c.token)
	}
	c.next()
	return collected("jsonb_build_object", keys, values), nil
}

// array reads from [ to ].
func (c *documentCutter) array(depth int) (documentValue, *Error) {
	var values []documentValue
	if depth > maxDocumentDepth {
		return documentValue{}, tooComplex()
	}
	for c.next(); !c.is("]"); c.next() {
		v, err := c.value(depth + 1)
		if err != nil {
			return v, err
		}
		values = append(values, v)
		if c.token.kind != tokenComma {
			break
		}
	}
	if !c.is("]") {
		return documentValue{}, near(c.text, c.token)
	}
	c.next()
	return collected("jsonb_build_array", nil, values), nil
}

// collected makes an object, or an array if there are no keys, of values.
func collected(function string, keys []string, values []documentValue) documentValue {
	var args []*pg.Node
	var text strings.Builder
	constant := true
	brackets := "[]"
	if function == "jsonb_build_object" {
		brackets = "{}"
	}
	text.WriteByte(brackets[0])
	for i, v := range values {
		if i > 0 {
			text.WriteByte(',')
		}
		if keys != nil {
			text.WriteString(quoteJSON(keys[i]) + ":")
			args = append(args, &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Val: &pg.A_Const_Sval{Sval: &pg.String{Sval: keys[i]}}, Location: -1}}})
		}
		text.WriteString(v.json)
		args = append(args, v.expression())
		constant = constant && v.node == nil
	}
	text.WriteByte(brackets[1])
	if constant {
		return documentValue{json: text.String()}
	}
	return documentValue{node: pg.MakeFuncCallNode([]*pg.Node{stringNode("pg_catalog"), stringNode(function)}, args, -1)}
}

func quoteJSON(s string) string {
	out, _ := json.Marshal(s) // of a string, which is no error
	return string(out)
}

// key reads the name of a field: a word as SQL reads names, or a string.
func (c *documentCutter) key() (string, *Error) {
	t := c.token
	raw := c.text[t.start:t.end]
	switch {
	case t.kind == tokenWord:
		c.next()
		return fold(raw), nil
	case t.kind == tokenQuoted && raw[0] == '"':
		var key string
		if err := json.Unmarshal([]byte(raw), &key); err != nil {
			return "", near(c.text, t)
		}
		c.next()
		return key, nil
	case t.kind == tokenString && raw[0] == '\'':
		c.next()
		return strings.ReplaceAll(raw[1:len(raw)-1], "''", "'"), nil
	default:
		return "", near(c.text, t)
	}
}

// value reads up to what follows a value.
func (c *documentCutter) value(depth int) (documentValue, *Error) {
	switch {
	case c.is("{"):
		return c.object(depth)
	case c.is("["):
		return c.array(depth)
	}
	start, tokens, nesting := c.token, 0, 0
	for ; nesting > 0 || c.token.kind != tokenComma && !c.is("}") && !c.is("]"); c.next() {
		switch {
		case c.token.kind == tokenEnd || c.token.kind == tokenBad || c.token.kind == tokenSemicolon:
			return documentValue{}, near(c.text, c.token)
		case c.token.kind == tokenOpen || c.is("{"):
			nesting++
		case c.token.kind == tokenClose || c.is("}"):
			nesting--
		}
		tokens++
	}
	if tokens == 0 {
		return documentValue{}, near(c.text, c.token)
	}
	if text, ok := plainJSON(c.text[start.start:c.behind], start.kind, tokens); ok {
		return documentValue{json: text}, nil
	}
	return c.parsed(start.start, c.behind)
}

// plainJSON makes JSON of a value that is as plain as there.
func plainJSON(raw string, kind tokenKind, tokens int) (string, bool) {
	switch {
	case tokens == 2 && raw[0] == '-', tokens == 1 && kind == tokenNumber:
		return raw, json.Valid([]byte(raw))
	case tokens > 1:
		return "", false
	case kind == tokenString && raw[0] == '\'':
		return quoteJSON(strings.ReplaceAll(raw[1:len(raw)-1], "''", "'")), true
	case kind == tokenQuoted && raw[0] == '"':
		return raw, json.Valid([]byte(raw))
	case kind == tokenWord:
		word := fold(raw)
		return word, word == "true" || word == "false" || word == "null"
	default:
		return "", false
	}
}

// parsed has PostgreSQL's parser read the expression that is text[start:end].
func (c *documentCutter) parsed(start, end int) (documentValue, *Error) {
	const lead = "SELECT "
	shift := start - len(lead)
	text := c.text[start:end]
	docs, err := cutDocuments(text)
	if err != nil {
		return documentValue{}, behind(err, start)
	}
	if docs != nil {
		text = docs.text
	}
	tree, wrong := pg.Parse(lead + text)
	if wrong != nil {
		err := parserError(lead+text, wrong)
		if strings.HasSuffix(err.Message, "at end of input") {
			err = near(c.text, c.token)
		} else if err.Position > 0 {
			err.Position += shift
		}
		return documentValue{}, err
	}
	targets := tree.GetStmts()[0].GetStmt().GetSelectStmt().GetTargetList()
	if len(tree.GetStmts()) != 1 || len(targets) != 1 || targets[0].GetResTarget().GetName() != "" {
		return documentValue{}, near(c.text, token{tokenWord, start, end})
	}
	moveLocations(tree, func(at int32) int32 { return at + int32(shift) })
	node := targets[0].GetResTarget().GetVal()
	if docs != nil {
		docs.put(node, int32(start))
	}
	return documentValue{node: node}, nil
}

func behind(err *Error, start int) *Error {
	if err.Position > 0 {
		err.Position += start
	}
	return err
}

// put puts the documents in the place of their placeholders in a tree whose locations are
// off by so much.
func (d *documents) put(m proto.Message, off int32) {
	_ = walk(m.ProtoReflect(), func(n *pg.Node) (bool, error) {
		k := n.GetAConst()
		if k.GetSval() == nil || k.GetSval().GetSval() != "" {
			return true, nil
		}
		if v, ok := d.at[k.GetLocation()-off]; ok {
			n.Node = v.Node
			return false, nil
		}
		return true, nil
	})
}

// putAll is put of the tree of all of the text; of no documents it does nothing.
func (d *documents) putAll(tree *pg.ParseResult) {
	if d == nil {
		return
	}
	d.put(tree, 0)
	if d.shift > 0 {
		moveLocations(tree, func(at int32) int32 { return int32(d.position(int(at))) })
	}
}

// of has an error of the parser say where it is in the text that documents were cut from.
func (d *documents) of(err *Error) *Error {
	if d != nil && err.Position > 0 {
		err.Position = d.position(err.Position-1) + 1
	}
	return err
}

// position is an offset in the text that documents were cut from, of one in text.
func (d *documents) position(p int) int {
	if d.shift > 0 && p > d.shiftedFrom {
		return max(p-d.shift, d.shiftedFrom)
	}
	return p
}

// moveLocations changes where the parts of a tree say that they are.
func moveLocations(m proto.Message, to func(int32) int32) {
	_ = eachMessage(m.ProtoReflect(), func(m proto.Message) error {
		r := m.ProtoReflect()
		f := r.Descriptor().Fields().ByName("location")
		if f == nil || f.Kind() != protoreflect.Int32Kind {
			return nil
		}
		if at := int32(r.Get(f).Int()); at > 0 || at == 0 && r.Has(f) {
			r.Set(f, protoreflect.ValueOfInt32(to(at)))
		}
		return nil
	})
}

package jsonb

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Path is a jsonpath, read.
type Path struct {
	strict bool
	root   *pathNode
}

type pathKind uint8

const (
	pathRoot       pathKind = iota // $
	pathCurrent                    // @
	pathLast                       // last
	pathLiteral                    // value
	pathVar                        // $name
	pathKey                        // .name
	pathAnyKey                     // .*
	pathAnyElement                 // [*]
	pathElements                   // [subscripts]
	pathAny                        // .**{from to to}
	pathFilter                     // ? (left)
	pathMethod                     // .name()
	pathUnary                      // op left
	pathBinary                     // left op right
	pathAnd
	pathOr
	pathNot
	pathIsUnknown
	pathCompare
	pathStarts
	pathLike
	pathExists
)

// pathNode is a step, or an expression.
type pathNode struct {
	kind        pathKind
	name        string // a key, a variable, a method, an operator
	value       string // a literal
	left, right *pathNode
	subscripts  []pathSubscript
	from, to    uint32 // levels of .**; lastLevel: the deepest
	pattern     *regexp.Regexp
	next        *pathNode // the step behind it
}

const lastLevel = ^uint32(0)

type pathSubscript struct{ from, to *pathNode } // to is nil for one element

// predicate reports whether the node is a condition.
func (n *pathNode) predicate() bool { return n.kind >= pathAnd && n.next == nil }

// maxPathDepth bounds recursion.
const maxPathDepth = 500

type pathParser struct {
	pathLexer
	token      pathToken
	depth      int
	subscripts int // open brackets
	filters    int
}

// ParsePath reads a jsonpath.
func ParsePath(text string) (*Path, error) {
	p := &pathParser{pathLexer: pathLexer{text: text}}
	if strings.TrimSpace(text) == "" {
		return nil, fail("22P02", fmt.Sprintf("invalid input syntax for type jsonpath: %q", text))
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	out := &Path{}
	if p.word("strict") || p.word("lax") {
		out.strict = p.word("strict")
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	var err error
	if out.root, err = p.or(); err != nil {
		return nil, err
	}
	if p.token.kind != pathEnd {
		return nil, p.unexpected()
	}
	return out, nil
}

func (p *pathParser) advance() (err error) {
	p.token, err = p.next()
	return err
}

func (p *pathParser) unexpected() error {
	if t := p.token; t.kind == pathEnd || t.end == len(p.text) && (t.kind == pathName || t.kind == pathVariable) {
		return p.fail("")
	}
	return p.fail(p.token.text)
}

func (p *pathParser) op(s string) bool { return p.token.kind == pathOperator && p.token.text == s }

// word compares keywords in any case, but those of JSON.
func (p *pathParser) word(s string) bool {
	if s == "true" || s == "false" || s == "null" {
		return p.token.kind == pathName && p.token.text == s
	}
	return p.token.kind == pathName && strings.EqualFold(p.token.text, s)
}

func (p *pathParser) expect(op string) error {
	if !p.op(op) {
		return p.unexpected()
	}
	return p.advance()
}

// or reads predicates and expressions: which it was is in the kind.
func (p *pathParser) or() (*pathNode, error) {
	if p.depth++; p.depth > maxPathDepth {
		return nil, fail("54001", "jsonpath is nested too deep")
	}
	defer func() { p.depth-- }()
	return p.junction("||", pathOr, func() (*pathNode, error) {
		return p.junction("&&", pathAnd, p.condition)
	})
}

func (p *pathParser) junction(op string, kind pathKind, side func() (*pathNode, error)) (*pathNode, error) {
	left, err := side()
	for err == nil && p.op(op) {
		if !left.predicate() {
			return nil, p.unexpected()
		}
		if err = p.advance(); err != nil {
			return nil, err
		}
		var right *pathNode
		if right, err = side(); err != nil {
			return nil, err
		}
		if !right.predicate() {
			return nil, p.unexpected()
		}
		left = &pathNode{kind: kind, left: left, right: right}
	}
	return left, err
}

// condition reads one predicate, or an expression.
func (p *pathParser) condition() (*pathNode, error) {
	if p.op("!") {
		if err := p.advance(); err != nil {
			return nil, err
		}
		if !p.op("(") && !p.word("exists") {
			return nil, p.unexpected()
		}
		n, err := p.primary()
		if err == nil && !n.predicate() {
			err = p.unexpected()
		}
		return &pathNode{kind: pathNot, left: n}, err
	}
	left, err := p.sum()
	if err != nil {
		return nil, err
	}
	if left.predicate() {
		return left, nil
	}
	switch {
	case p.op("==") || p.op("!=") || p.op("<>") || p.op("<") || p.op("<=") || p.op(">") || p.op(">="):
		n := &pathNode{kind: pathCompare, name: p.token.text, left: left}
		if n.name == "<>" {
			n.name = "!="
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
		n.right, err = p.sum()
		if err == nil && n.right.predicate() {
			err = p.unexpected()
		}
		return n, err
	case p.word("starts"):
		return p.starts(left)
	case p.word("like_regex"):
		return p.like(left)
	}
	return left, nil
}

func (p *pathParser) starts(left *pathNode) (*pathNode, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	if !p.word("with") {
		return nil, p.unexpected()
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	n := &pathNode{kind: pathStarts, left: left}
	switch p.token.kind {
	case pathString:
		n.right = &pathNode{kind: pathLiteral, value: datum.QuoteJSON(p.token.text)}
	case pathVariable:
		n.right = &pathNode{kind: pathVar, name: p.token.text}
	default:
		return nil, p.unexpected()
	}
	return n, p.advance()
}

func (p *pathParser) like(left *pathNode) (*pathNode, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.token.kind != pathString {
		return nil, p.unexpected()
	}
	pattern, flags := p.token.text, ""
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.word("flag") {
		if err := p.advance(); err != nil {
			return nil, err
		}
		if p.token.kind != pathString {
			return nil, p.unexpected()
		}
		flags = p.token.text
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	re, err := pathPattern(pattern, flags)
	return &pathNode{kind: pathLike, left: left, pattern: re}, err
}

func pathPattern(pattern, flags string) (*regexp.Regexp, error) {
	options := ""
	for _, f := range flags {
		switch f {
		case 'i', 's', 'm':
			options += string(f)
		case 'q', 'x':
		default:
			e := &datum.Error{Code: "42601", Message: "invalid input syntax for type jsonpath"}
			e.Detail = fmt.Sprintf("Unrecognized flag character %q in LIKE_REGEX predicate.", string(f))
			return nil, e
		}
	}
	switch {
	case strings.Contains(flags, "q"):
		pattern = regexp.QuoteMeta(pattern)
	case strings.Contains(flags, "x"):
		return nil, fail("0A000", `XQuery "x" flag (expanded regular expressions) is not implemented`)
	}
	if options != "" {
		pattern = "(?" + options + ")" + pattern
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fail("2201B", "invalid regular expression: "+err.Error())
	}
	return re, nil
}

func (p *pathParser) sum() (*pathNode, error) {
	return p.chain([]string{"+", "-"}, func() (*pathNode, error) {
		return p.chain([]string{"*", "/", "%"}, p.unary)
	})
}

func (p *pathParser) chain(ops []string, side func() (*pathNode, error)) (*pathNode, error) {
	left, err := side()
	for err == nil && p.token.kind == pathOperator {
		found := false
		for _, op := range ops {
			found = found || p.op(op)
		}
		if !found || left.predicate() {
			break
		}
		n := &pathNode{kind: pathBinary, name: p.token.text, left: left}
		if err = p.advance(); err != nil {
			return nil, err
		}
		if n.right, err = side(); err == nil && n.right.predicate() {
			err = p.unexpected()
		}
		left = n
	}
	return left, err
}

func (p *pathParser) unary() (*pathNode, error) {
	if !p.op("+") && !p.op("-") {
		return p.accessors()
	}
	n := &pathNode{kind: pathUnary, name: p.token.text}
	if p.depth++; p.depth > maxPathDepth {
		return nil, fail("54001", "jsonpath is nested too deep")
	}
	defer func() { p.depth-- }()
	if err := p.advance(); err != nil {
		return nil, err
	}
	var err error
	if n.left, err = p.unary(); err == nil && n.left.predicate() {
		err = p.unexpected()
	}
	return n, err
}

// accessors reads a primary and the steps behind it.
func (p *pathParser) accessors() (*pathNode, error) {
	first, err := p.primary()
	if err != nil || first.kind == pathIsUnknown {
		return first, err
	}
	last := first
	for last.next != nil {
		last = last.next
	}
	for {
		step, err := p.step()
		if err != nil || step == nil {
			return first, err
		}
		last.next = step
		last = step
	}
}

func (p *pathParser) primary() (*pathNode, error) {
	t := p.token
	n := &pathNode{}
	switch {
	case t.kind == pathString:
		n.kind, n.value = pathLiteral, datum.QuoteJSON(t.text)
	case t.kind == pathNumber:
		d, err := datum.ParseText(datum.Numeric, t.text, nil)
		if err != nil {
			return nil, err
		}
		n.kind, n.value = pathLiteral, d.Text()
	case t.kind == pathVariable:
		n.kind, n.name = pathVar, t.text
	case p.word("true"), p.word("false"), p.word("null"):
		n.kind, n.value = pathLiteral, t.text
	case p.op("$"):
	case p.op("@"):
		if n.kind = pathCurrent; p.filters == 0 {
			return nil, fail("42601", "@ is not allowed in root expressions")
		}
	case p.word("last"):
		if n.kind = pathLast; p.subscripts == 0 {
			return nil, fail("42601", "LAST is allowed only in array subscripts")
		}
	case p.word("exists"):
		return p.exists()
	case p.op("("):
		return p.parenthesis()
	default:
		return nil, p.unexpected()
	}
	return n, p.advance()
}

func (p *pathParser) exists() (*pathNode, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	if err := p.expect("("); err != nil {
		return nil, err
	}
	n, err := p.sum()
	if err == nil && n.predicate() {
		err = p.unexpected()
	}
	if err != nil {
		return nil, err
	}
	return &pathNode{kind: pathExists, left: n}, p.expect(")")
}

func (p *pathParser) parenthesis() (*pathNode, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if err := p.expect(")"); err != nil {
		return nil, err
	}
	if p.word("is") && n.predicate() {
		if err := p.advance(); err != nil {
			return nil, err
		}
		if !p.word("unknown") {
			return nil, p.unexpected()
		}
		return &pathNode{kind: pathIsUnknown, left: n}, p.advance()
	}
	return n, nil
}

// step reads an accessor; nil: there is none.
func (p *pathParser) step() (*pathNode, error) {
	switch {
	case p.op("."):
		return p.member()
	case p.op("["):
		return p.subscript()
	case p.op("?"):
		if err := p.advance(); err != nil {
			return nil, err
		}
		if err := p.expect("("); err != nil {
			return nil, err
		}
		p.filters++
		n, err := p.or()
		p.filters--
		if err == nil && !n.predicate() {
			err = p.unexpected()
		}
		if err != nil {
			return nil, err
		}
		return &pathNode{kind: pathFilter, left: n}, p.expect(")")
	}
	return nil, nil
}

func (p *pathParser) member() (*pathNode, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	t := p.token
	switch {
	case p.op("*"):
		return &pathNode{kind: pathAnyKey}, p.advance()
	case p.op("**"):
		return p.any()
	case t.kind != pathName && t.kind != pathString:
		return nil, p.unexpected()
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if t.kind == pathString || !p.op("(") {
		return &pathNode{kind: pathKey, name: t.text}, nil
	}
	name := strings.ToLower(t.text)
	switch name {
	case "abs", "size", "type", "floor", "double", "ceiling":
	case "keyvalue", "datetime":
		return nil, fail("0A000", "the jsonpath item method ."+name+"() is not supported")
	default:
		return nil, p.unexpected()
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	return &pathNode{kind: pathMethod, name: name}, p.expect(")")
}

// any reads .** and its levels.
func (p *pathParser) any() (*pathNode, error) {
	n := &pathNode{kind: pathAny, to: lastLevel}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if !p.op("{") {
		return n, nil
	}
	level := func() (uint32, error) {
		if err := p.advance(); err != nil {
			return 0, err
		}
		t := p.token
		if p.word("last") {
			return lastLevel, p.advance()
		}
		v, err := strconv.ParseInt(t.text, 10, 32)
		if t.kind != pathNumber || err != nil {
			return 0, p.unexpected()
		}
		return uint32(v), p.advance()
	}
	var err error
	if n.from, err = level(); err != nil {
		return nil, err
	}
	if n.to = n.from; p.word("to") {
		if n.to, err = level(); err != nil {
			return nil, err
		}
	}
	return n, p.expect("}")
}

func (p *pathParser) subscript() (*pathNode, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.op("*") {
		if err := p.advance(); err != nil {
			return nil, err
		}
		return &pathNode{kind: pathAnyElement}, p.expect("]")
	}
	p.subscripts++
	defer func() { p.subscripts-- }()
	n := &pathNode{kind: pathElements}
	for {
		var s pathSubscript
		var err error
		if s.from, err = p.sum(); err != nil {
			return nil, err
		}
		if p.word("to") {
			if err := p.advance(); err != nil {
				return nil, err
			}
			if s.to, err = p.sum(); err != nil {
				return nil, err
			}
		}
		if n.subscripts = append(n.subscripts, s); !p.op(",") {
			return n, p.expect("]")
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
}

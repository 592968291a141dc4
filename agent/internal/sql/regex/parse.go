package regex

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// preference is which matches a part is for first.
type preference int8

const (
	none preference = iota
	longer
	shorter
)

// kind is what a part consists of.
type kind uint8

const (
	plain       kind = iota // no groups, and one preference: a program finds it
	capture                 // a group
	sequence                // parts one after another
	alternation             // the first that matches
	iteration               // min to max of a part
)

// node is a part of a pattern.
type node struct {
	kind     kind
	subs     []*node
	group    int
	min, max int // of an iteration; -1: any number
	prefers  preference
	has      [shorter + 1]bool // the preferences of what is in it
	groups   bool              // it has some
	empty    bool              // it may be the empty string
	source   string            // in the syntax of regexp/syntax
	program  *program
}

func (n *node) mixed() bool { return n.has[longer] && n.has[shorter] }

// flags are the options of a pattern.
type flags struct {
	fold, stops, anchors, expanded, literal bool // stops: . and [^x] are no newline; anchors: ^ and $ are at newlines
}

// set takes an option's letter.
func (f *flags) set(c rune) bool {
	switch c {
	case 'i':
		f.fold = true
	case 'c':
		f.fold = false
	case 'm', 'n':
		f.stops, f.anchors = true, true
	case 'p':
		f.stops, f.anchors = true, false
	case 'w':
		f.stops, f.anchors = false, true
	case 's':
		f.stops, f.anchors = false, false
	case 'x':
		f.expanded = true
	case 't':
		f.expanded = false
	case 'q':
		f.literal = true
	case 'e':
	default:
		return false
	}
	return true
}

// parser reads a pattern.
type parser struct {
	s      []rune
	i      int
	flags  flags
	depth  int
	groups int
	words  int // assertions about words
	bound  bool
}

func fail(why string) error {
	return &datum.Error{Code: "2201B", Message: "invalid regular expression: " + why}
}

func unsupported(what string) error {
	return &datum.Error{Code: "0A000", Message: what + " in a regular expression is not supported"}
}

// prologue reads what can be before the pattern.
func (p *parser) prologue() error {
	s := string(p.s)
	switch {
	case strings.HasPrefix(s, "***="):
		p.flags.literal, p.i = true, 4
	case strings.HasPrefix(s, "***:"):
		p.i = 4
	case strings.HasPrefix(s, "***"):
		return fail("invalid regexp (reg version 0.8)")
	}
	if p.flags.literal || p.i+2 >= len(p.s) || p.s[p.i] != '(' || p.s[p.i+1] != '?' || !isLetter(p.s[p.i+2]) {
		return nil
	}
	for p.i += 2; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == ')':
			p.i++
			return nil
		case c == 'b':
			return unsupported("a basic one")
		case !p.flags.set(c):
			return fail("invalid embedded option")
		}
	}
	return fail("invalid embedded option")
}

func isLetter(c rune) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c rune) bool  { return c >= '0' && c <= '9' }

// peek is the next rune, 0 at the end.
func (p *parser) peek() rune {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

func (p *parser) ahead(s string) bool {
	return strings.HasPrefix(string(p.s[p.i:min(len(p.s), p.i+len(s))]), s)
}

// alternatives reads up to the end or the parenthesis.
func (p *parser) alternatives() (*node, error) {
	var branches []*node
	for {
		b, err := p.branch()
		if err != nil {
			return nil, err
		}
		branches = append(branches, b)
		if p.peek() != '|' || p.i >= len(p.s) {
			break
		}
		p.i++
	}
	if len(branches) == 1 {
		return branches[0], nil
	}
	out := join(alternation, "|", branches)
	out.prefers, out.has[longer] = longer, true
	if !out.groups && !out.mixed() {
		out.kind, out.subs = plain, nil
	}
	out.source = "(?:" + out.source + ")"
	return out, nil
}

// join makes a part of others.
func join(k kind, between string, subs []*node) *node {
	out := &node{kind: k, subs: subs, empty: k != alternation}
	sources := make([]string, len(subs))
	for i, s := range subs {
		sources[i] = s.source
		out.groups = out.groups || s.groups
		if k == alternation {
			out.empty = out.empty || s.empty
		} else {
			out.empty = out.empty && s.empty
		}
		for j := range out.has {
			out.has[j] = out.has[j] || s.has[j]
		}
		if out.prefers == none {
			out.prefers = s.prefers
		}
	}
	out.source = strings.Join(sources, between)
	return out
}

// branch reads a sequence: parts without groups and of one preference are one.
func (p *parser) branch() (*node, error) {
	var parts, run []*node
	flush := func() {
		if len(run) > 0 {
			parts = append(parts, join(plain, "", run))
			parts[len(parts)-1].subs, run = nil, nil
		}
	}
	for p.i < len(p.s) && p.s[p.i] != '|' && p.s[p.i] != ')' {
		n, err := p.piece()
		if err != nil {
			return nil, err
		}
		if n == nil {
			continue
		}
		if now := join(plain, "", append(run[:len(run):len(run)], n)); n.kind == plain && !now.mixed() {
			run = append(run, n)
			continue
		}
		flush()
		parts = append(parts, n)
	}
	if p.peek() == ')' && p.i < len(p.s) && p.depth == 0 {
		return nil, fail("parentheses () not balanced")
	}
	flush()
	if len(parts) == 1 {
		return parts[0], nil
	}
	out := join(sequence, "", parts)
	if len(parts) == 0 {
		out.kind = plain
	}
	return out, nil
}

// piece reads an atom and what says how often it is.
func (p *parser) piece() (*node, error) {
	if p.flags.expanded && p.blank() {
		return nil, nil //nolint:nilnil // nothing to match
	}
	n, repeats, err := p.atom()
	if err != nil {
		return nil, err
	}
	for p.flags.expanded && p.blank() {
	}
	least, most, prefers, ok, err := p.quantifier()
	if err != nil || !ok {
		return n, err
	}
	if !repeats {
		return nil, fail("quantifier operand invalid")
	}
	out, err := repeated(n, least, most, prefers)
	if err != nil {
		return nil, err
	}
	if c := p.peek(); p.i < len(p.s) && (c == '*' || c == '+' || c == '?') {
		return nil, fail("quantifier operand invalid")
	}
	return out, nil
}

// repeated makes a part that is least to most of n.
func repeated(n *node, least, most int, prefers preference) (*node, error) {
	out := join(iteration, "", []*node{n})
	if out.groups && n.empty && (most != 1 || prefers == shorter || n.has[shorter]) {
		return nil, unsupported("the repetition of what may be empty and has groups")
	}
	out.min, out.max, out.empty = least, most, n.empty || least == 0
	if prefers != none {
		out.prefers, out.has[prefers] = prefers, true
	}
	out.source = "(?:" + n.source + ")" + bounds(least, most)
	switch {
	case !out.groups:
		out.kind, out.subs = plain, nil
	case out.groups && least == 1 && most == 1:
		return n, nil
	case out.groups && least > 0: // the groups are those of the last
		before := *out
		before.kind, before.subs, before.groups = plain, nil, false
		if most > 0 {
			most--
		}
		before.source = "(?:" + n.source + ")" + bounds(least-1, most)
		out.kind, out.subs = sequence, []*node{&before, n}
	}
	return out, nil
}

// bounds writes how often a part is.
func bounds(least, most int) string {
	switch {
	case most < 0 && least == 0:
		return "*"
	case most < 0 && least == 1:
		return "+"
	case most < 0:
		return "{" + strconv.Itoa(least) + ",}"
	}
	return "{" + strconv.Itoa(least) + "," + strconv.Itoa(most) + "}"
}

// blank skips white space and comments of the expanded syntax.
func (p *parser) blank() bool {
	from := p.i
	for p.i < len(p.s) && strings.ContainsRune(" \t\n\r\f\v", p.s[p.i]) {
		p.i++
	}
	if p.peek() == '#' {
		for p.i < len(p.s) && p.s[p.i] != '\n' {
			p.i++
		}
	}
	return p.i > from
}

// maxRepeat is PostgreSQL's limit.
const maxRepeat = 255

// quantifier reads *, +, ?, {n}, {n,} and {n,m}, and ? after them; {n} has no preference.
func (p *parser) quantifier() (least, most int, prefers preference, ok bool, err error) {
	prefers = longer
	switch c := p.peek(); {
	case p.i >= len(p.s):
		return
	case c == '*':
		most = -1
	case c == '+':
		least, most = 1, -1
	case c == '?':
		most = 1
	case c == '{' && p.i+1 < len(p.s) && isDigit(p.s[p.i+1]):
		p.i++
		least = p.number()
		most = least
		if p.peek() != ',' {
			prefers = none
		} else {
			p.i++
			most = -1
			if isDigit(p.peek()) {
				most = p.number()
			}
		}
		if p.peek() != '}' {
			return 0, 0, none, false, fail("invalid repetition count(s)")
		}
		if least > maxRepeat || most > maxRepeat || most >= 0 && most < least {
			return 0, 0, none, false, fail("invalid repetition count(s)")
		}
	default:
		return
	}
	p.i++
	if p.peek() == '?' {
		p.i++
		if prefers != none {
			prefers = shorter
		}
	}
	return least, most, prefers, true, nil
}

func (p *parser) number() int {
	n := 0
	for ; isDigit(p.peek()); p.i++ {
		n = min(n*10+int(p.s[p.i]-'0'), maxRepeat+1)
	}
	return n
}

// atom reads what a quantifier can be after.
func (p *parser) atom() (n *node, repeats bool, err error) {
	c := p.s[p.i]
	p.i++
	switch c {
	case '(':
		return p.parenthesis()
	case '*', '+', '?':
		return nil, false, fail("quantifier operand invalid")
	case '[':
		return p.bracket()
	case '.':
		if p.flags.stops {
			return &node{source: `[^\n]`}, true, nil
		}
		return &node{source: "(?s:.)"}, true, nil
	case '^', '$':
		p.bound = true
		switch {
		case p.flags.anchors:
			return &node{source: "(?m:" + string(c) + ")", empty: true}, false, nil
		case c == '^':
			return &node{source: `\A`, empty: true}, false, nil
		}
		return &node{source: `\z`, empty: true}, false, nil
	case '\\':
		return p.escape()
	case '{':
		if isDigit(p.peek()) {
			return nil, false, fail("quantifier operand invalid")
		}
	}
	return char(c), true, nil
}

func char(c rune) *node { return &node{source: regexp.QuoteMeta(string(c))} }

// parenthesis reads a group.
func (p *parser) parenthesis() (n *node, repeats bool, err error) {
	group := 0
	switch {
	case p.ahead("?:"):
		p.i += 2
	case p.ahead("?=") || p.ahead("?!") || p.ahead("?<=") || p.ahead("?<!"):
		return nil, false, unsupported("lookaround")
	case p.ahead("?"):
		return nil, false, fail("quantifier operand invalid")
	default:
		p.groups++
		group = p.groups
	}
	p.depth++
	in, err := p.alternatives()
	if err != nil {
		return nil, false, err
	}
	if p.i >= len(p.s) {
		return nil, false, fail("parentheses () not balanced")
	}
	p.i++
	p.depth--
	if group == 0 {
		out := *in
		out.source = "(?:" + in.source + ")"
		return &out, true, nil
	}
	out := join(capture, "", []*node{in})
	out.group, out.groups = group, true
	out.source = "(?:" + in.source + ")"
	return out, true, nil
}

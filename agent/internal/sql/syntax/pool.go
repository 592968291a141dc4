package syntax

import (
	"fmt"
	"strconv"
	"strings"
)

// The pools that can be shown.
const (
	ShowPools ShowKind = "pools"
	ShowPool  ShowKind = "pool"
)

// PoolOptions are what is said of a pool; nil: nothing.
type PoolOptions struct {
	Replicas, Ranges          *int
	Constraints, PreferLeader *string
}

// CreatePool is CREATE POOL [IF NOT EXISTS] name [WITH (option = value, ...)].
type CreatePool struct {
	Name        string
	IfNotExists bool
	Options     PoolOptions
}

// AlterPool is ALTER POOL name SET option = value, ... or RENAME TO name.
type AlterPool struct {
	Name     string
	Options  PoolOptions
	RenameTo string // "": SET
}

// DropPool is DROP POOL [IF EXISTS] name.
type DropPool struct {
	Name     string
	IfExists bool
}

func (*CreatePool) node() {}
func (*AlterPool) node()  {}
func (*DropPool) node()   {}

// poolOptions are the names of the options, for who writes another one.
const poolOptions = "replicas, ranges, constraints, prefer_leader"

// pool reads what follows CREATE, ALTER or DROP POOL.
func (p *cursor) pool(verb string) (Node, *Error) {
	drop, create := &DropPool{}, &CreatePool{}
	var err *Error
	switch verb {
	case "drop":
		drop.IfExists, err = p.condition("if", "exists")
	case "create":
		create.IfNotExists, err = p.condition("if", "not", "exists")
	}
	if err != nil {
		return nil, err
	}
	name, err := p.identifier()
	if err != nil {
		return nil, err
	}
	switch verb {
	case "drop":
		drop.Name = name
		return drop, p.end()
	case "create":
		create.Name = name
		if p.word() == "with" {
			p.advance()
			if p.token.kind != tokenOpen {
				return nil, near(p.text, p.token)
			}
			if err := p.options(&create.Options); err != nil {
				return nil, err
			}
		}
		return create, p.end()
	case "alter":
		return p.alterPool(name)
	}
	return nil, near(p.text, p.token)
}

// condition reads words of which all stand there or not the first.
func (p *cursor) condition(words ...string) (bool, *Error) {
	if p.word() != words[0] {
		return false, nil
	}
	for _, w := range words {
		if p.word() != w {
			return false, near(p.text, p.token)
		}
		p.advance()
	}
	return true, nil
}

func (p *cursor) alterPool(name string) (Node, *Error) {
	a := &AlterPool{Name: name}
	switch p.word() {
	case "rename":
		p.advance()
		if p.word() != "to" {
			return nil, near(p.text, p.token)
		}
		p.advance()
		var err *Error
		if a.RenameTo, err = p.identifier(); err != nil {
			return nil, err
		}
	case "set":
		p.advance()
		if err := p.options(&a.Options); err != nil {
			return nil, err
		}
		if a.Options.Ranges != nil {
			return nil, &Error{Code: "22023", Message: "ranges is what a pool begins with: split a range with nodedbctl ranges split"}
		}
	default:
		return nil, near(p.text, p.token)
	}
	return a, p.end()
}

// options reads option = value, ...; parentheses may stand around them.
func (p *cursor) options(o *PoolOptions) *Error {
	open := p.token.kind == tokenOpen
	if open {
		p.advance()
	}
	for {
		if err := p.option(o); err != nil {
			return err
		}
		if p.token.kind != tokenComma {
			break
		}
		p.advance()
	}
	if !open {
		return nil
	}
	if p.token.kind != tokenClose {
		return near(p.text, p.token)
	}
	p.advance()
	return nil
}

func (p *cursor) option(o *PoolOptions) *Error {
	at := p.token.start + 1
	name, err := p.identifier()
	if err != nil {
		return err
	}
	if p.text[p.token.start:p.token.end] != "=" {
		return near(p.text, p.token)
	}
	p.advance()
	value, err := p.literal()
	if err != nil {
		return err
	}
	numbers := map[string]**int{"replicas": &o.Replicas, "ranges": &o.Ranges}
	texts := map[string]**string{"constraints": &o.Constraints, "prefer_leader": &o.PreferLeader}
	invalid := func(format string, args ...any) *Error {
		return &Error{Code: "22023", Message: fmt.Sprintf(format, args...), Position: at}
	}
	if to, ok := numbers[name]; ok {
		n, e := strconv.Atoi(value.Text)
		switch {
		case e != nil:
			return invalid("%s must be a number, not %q", name, value.Text)
		case *to != nil:
			return invalid("%s is there twice", name)
		}
		*to = &n
		return nil
	}
	to, ok := texts[name]
	switch {
	case !ok:
		return invalid("a pool has no option %q: %s", name, poolOptions)
	case !value.Quoted:
		return invalid("%s must be a string, such as '+zone=a'", name)
	case *to != nil:
		return invalid("%s is there twice", name)
	}
	*to = &value.Text
	return nil
}

// showPool reads the name after SHOW POOL.
func (p *cursor) showPool() (Node, *Error) {
	p.advance()
	name, err := p.identifier()
	if err != nil {
		return nil, err
	}
	return &ShowCluster{Kind: ShowPool, Node: name}, p.end()
}

// setPool reads ALTER TABLE [IF EXISTS] [ONLY] name SET POOL pool, at whose second word p
// stands; false: it is another statement.
func setPool(text string, p *cursor) (node Node, err *Error, ok bool) { //nolint:revive // ok tells "not mine" from an error
	q := *p
	a := &AlterCollection{Word: strings.ToUpper(q.word())}
	if a.Word != "TABLE" && a.Word != "COLLECTION" {
		return nil, nil, false
	}
	q.advance()
	exists, wrong := q.condition("if", "exists")
	if wrong == nil && q.word() == "only" {
		q.advance()
	}
	if wrong == nil {
		a.Name, wrong = q.name()
	}
	a.IfExists = exists
	if mine := wrong == nil; !mine { // PostgreSQL's parser says what is wrong
		return nil, nil, false
	}
	for _, word := range []string{"set", "pool"} {
		if q.word() != word {
			return nil, nil, false
		}
		q.advance()
	}
	if q.token.kind == tokenEnd || q.token.kind == tokenSemicolon {
		return nil, near(text, q.token), true
	}
	set := &SetPool{Position: q.token.start + 1}
	if set.Pool, err = q.identifier(); err == nil {
		err = q.end()
	}
	a.Actions = []AlterAction{set}
	return a, err, true
}

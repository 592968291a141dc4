package syntax

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// PrepareStatement is PREPARE name [(types)] AS statement.
type PrepareStatement struct {
	Name  string
	Types []TypeName `json:",omitempty"`
	// Text is the statement that is prepared.
	Text string
}

// ExecuteStatement is EXECUTE name [(values)].
type ExecuteStatement struct {
	Name string
	// Arguments are the texts of expressions.
	Arguments []string `json:",omitempty"`
	// Explain says to show the plan of the statement instead; nil: it does not.
	Explain *Explain `json:",omitempty"`
}

// Deallocate is DEALLOCATE; All has no name.
type Deallocate struct {
	Name string
	All  bool
}

func (*PrepareStatement) node() {}
func (*ExecuteStatement) node() {}
func (*Deallocate) node()       {}

// convertPrepared reads what is about prepared statements.
func convertPrepared(stmt *pg.Node, _, text string) (Node, *Error) {
	switch n := stmt.GetNode().(type) {
	case *pg.Node_PrepareStmt:
		return convertPrepare(n.PrepareStmt, text)
	case *pg.Node_ExecuteStmt:
		out := &ExecuteStatement{Name: n.ExecuteStmt.GetName()}
		for _, e := range n.ExecuteStmt.GetParams() {
			arg, err := deparse(e)
			if err != nil {
				return nil, err
			}
			out.Arguments = append(out.Arguments, arg)
		}
		return out, nil
	case *pg.Node_DeallocateStmt:
		return &Deallocate{Name: n.DeallocateStmt.GetName(), All: n.DeallocateStmt.GetIsall()}, nil
	default:
		return nil, nil
	}
}

func convertPrepare(p *pg.PrepareStmt, text string) (Node, *Error) {
	out := &PrepareStatement{Name: p.GetName(), Text: afterAs(text)}
	for _, t := range p.GetArgtypes() {
		typ, err := convertType(t.GetTypeName())
		if err != nil {
			return nil, err
		}
		out.Types = append(out.Types, typ)
	}
	inner, err := convert(p.GetQuery(), "TABLE", out.Text)
	if err != nil {
		return nil, err
	}
	if _, ok := inner.(*Query); !ok {
		return nil, Unsupported("PREPARE of this statement", "SELECT, VALUES, INSERT, UPDATE, DELETE and MERGE can be prepared.")
	}
	return out, nil
}

// afterAs is what stands behind the first AS outside of parentheses. The name of a statement
// is never that word: it is reserved.
func afterAs(text string) string {
	p := &cursor{text: text, lexer: lexer{text: text}}
	depth := 0
	for p.advance(); p.token.kind != tokenEnd && p.token.kind != tokenBad; p.advance() {
		switch {
		case p.token.kind == tokenOpen:
			depth++
		case p.token.kind == tokenClose:
			depth--
		case depth == 0 && p.word() == "as":
			return strings.TrimRight(strings.TrimSpace(text[p.token.end:]), "; \t\r\n")
		}
	}
	return ""
}

package syntax

import (
	"fmt"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	// maxText is the longest statement, in bytes.
	maxText = 16 << 20
	// shortText is the length up to which a statement cannot be deep enough for
	// trouble, so nothing is measured.
	shortText = 1 << 10
	// maxNesting bounds what goes to PostgreSQL's parser, which recurses in C and
	// in the decoding of its tree; trouble begins at some 5,000. Parentheses count, though
	// many of them are no node.
	maxNesting = 4_500
	// maxDepth bounds the tree; DuckDB's own limit is 1,000, and the deparser
	// recurses in C too.
	maxDepth = 900
)

// guard refuses text that would recurse too deeply. deep says that the tree has
// to be measured after parsing.
func guard(text string) (deep bool, err *Error) {
	if len(text) > maxText {
		return false, &Error{Code: codeTooLarge, Message: fmt.Sprintf("a statement may have at most %d MiB, this one has %.1f", maxText>>20, float64(len(text))/(1<<20)),
			Hint: "Split it into several statements, or send large values as parameters."}
	}
	if len(text) <= shortText {
		return false, nil
	}
	n := nesting(text)
	if n > maxNesting {
		return false, tooComplex()
	}
	return n > maxDepth/4, nil
}

func tooComplex() *Error {
	return &Error{Code: codeTooComplex, Message: "statement is too complex",
		Detail: fmt.Sprintf("It is nested more than %d levels deep.", maxDepth),
		Hint:   "Write long chains of operators as a list, such as IN (...), or split the statement."}
}

// level counts what can nest inside one pair of parentheses: operators chain up
// to the next comma, words such as UNION and JOIN beyond.
type level struct{ operators, words int }

// nesting returns an upper bound, within a small factor, of the depth of text's
// parse tree: open parentheses and the operators and words met in each.
func nesting(text string) int {
	l := lexer{text: text}
	levels := []level{{}}
	below, deepest := 0, 0 // below: the sum over all levels but the last
	for {
		t := l.next()
		top := &levels[len(levels)-1]
		switch t.kind {
		case tokenEnd, tokenBad:
			return deepest
		case tokenSemicolon:
			levels, below = append(levels[:0], level{}), 0
			continue
		case tokenOpen:
			below += top.operators + top.words + 1
			levels = append(levels, level{})
		case tokenClose:
			if len(levels) > 1 {
				levels = levels[:len(levels)-1]
				top = &levels[len(levels)-1]
				below -= top.operators + top.words + 1
				top.operators++ // a subscript or call chain
			}
		case tokenComma:
			top.operators = 0
		case tokenOperator:
			top.operators++
		case tokenWord:
			countWord(top, text[t.start:t.end])
		}
		deepest = max(deepest, below+levels[len(levels)-1].operators+levels[len(levels)-1].words)
	}
}

// countWord counts the keywords that nest. AND, OR and lists are flat.
func countWord(top *level, word string) {
	if len(word) < 2 || len(word) > 9 {
		return
	}
	switch fold(word) {
	case "and", "or": // they bind less than all operators, and many of them are one node
		top.operators = 0
	case "union", "intersect", "except", "join", "case", "select", "with", "when":
		top.words++
	case "not", "is", "at", "collate", "operator", "like", "ilike", "between", "notnull", "isnull", "similar", "in":
		top.operators++
	}
}

// fold lowers ASCII, as PostgreSQL does with unquoted names.
func fold(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 'A' && s[i] <= 'Z' {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if b[j] >= 'A' && b[j] <= 'Z' {
					b[j] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// checkDepth measures the tree.
func checkDepth(tree *pg.ParseResult) *Error {
	if tooDeep(tree.ProtoReflect(), 0) {
		return tooComplex()
	}
	return nil
}

func tooDeep(m protoreflect.Message, depth int) (deep bool) {
	if _, ok := m.Interface().(*pg.Node); ok {
		depth++
	}
	if depth > maxDepth {
		return true
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil || f.IsMap():
		case f.IsList():
			for i := range v.List().Len() {
				if deep = tooDeep(v.List().Get(i).Message(), depth); deep {
					break
				}
			}
		default:
			deep = tooDeep(v.Message(), depth)
		}
		return !deep
	})
	return deep
}

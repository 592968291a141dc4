package syntax

import "slices"

// Split cuts a text into its statements, without the semicolons; those that hold
// nothing but comments are left out. Semicolons between BEGIN and END of a body do not
// end a statement.
func Split(text string) []string {
	var out []string
	l := lexer{text: text}
	start, empty := 0, true
	inside := bodyTracker{}
	for {
		t := l.next()
		switch {
		case t.kind == tokenBad:
			return append(out, text[start:])
		case t.kind == tokenEnd, t.kind == tokenSemicolon && inside.depth == 0:
			if !empty {
				out = append(out, text[start:t.start])
			}
			if t.kind == tokenEnd {
				return out
			}
			start, empty, inside = t.end, true, bodyTracker{}
		default:
			empty = false
			word := ""
			if t.kind == tokenWord {
				word = fold(text[t.start:t.end])
			}
			inside.note(word)
		}
	}
}

// bodyTracker knows how deep in BEGIN, CASE and IF the text of one statement is.
type bodyTracker struct {
	lead  []string // the first words
	depth int
	last  string // the word before; "": it was none
}

// leadWords are as many words as CREATE OR REPLACE CONSTRAINT TRIGGER has.
const leadWords = 5

func (b *bodyTracker) note(word string) {
	if len(b.lead) < leadWords {
		b.lead = append(b.lead, word)
	}
	last := b.last
	b.last = word
	switch word {
	case "begin":
		if b.depth > 0 || b.mayHaveBody() {
			b.depth++
		}
	case "case":
		if b.depth > 0 {
			b.depth++
		}
	case "if":
		if b.depth > 0 && slices.Contains([]string{"", "begin", "then", "else"}, last) {
			b.depth++
		}
	case "end":
		if b.depth > 0 {
			b.depth--
		}
	}
}

// mayHaveBody reports whether the statement is one of those that have a body.
func (b *bodyTracker) mayHaveBody() bool {
	words := b.lead
	if len(words) == 0 || words[0] != "create" && words[0] != "alter" {
		return false
	}
	if words = words[1:]; len(words) > 1 && words[0] == "or" && words[1] == "replace" {
		words = words[2:]
	}
	if len(words) == 0 {
		return false
	}
	return slices.Contains([]string{"trigger", "constraint", "schedule", "function", "procedure"}, words[0])
}

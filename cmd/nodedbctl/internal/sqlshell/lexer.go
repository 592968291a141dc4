package sqlshell

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// split cuts text into statements that end with a semicolon, without it, and
// what is left. Quotes, comments, dollar quotes and bodies may hold semicolons.
func split(text string) (statements []string, rest string) {
	for {
		end := terminator(text)
		if end < 0 {
			return statements, text
		}
		if s := text[:end]; !blank(s) {
			statements = append(statements, s)
		}
		text = text[end+1:]
	}
}

// terminator is the index of the first semicolon that ends a statement, or -1.
func terminator(text string) int {
	var inside body
	for i := 0; i < len(text); {
		if text[i] == ';' && inside.depth == 0 {
			return i
		}
		inWord := i > 0 && wordBefore(text[:i])
		if n := wordLength(text[i:]); n > 0 && !inWord && !quotes(text[i:]) {
			inside.note(strings.ToLower(text[i : i+n]))
			i += n
			continue
		}
		n := token(text[i:], inWord)
		if n < 0 {
			return -1
		}
		if n > 1 && (text[i] == '"' || text[i] == '\'' || text[i] == '$') || strings.IndexByte(";,()=", text[i]) >= 0 {
			inside.note("")
		}
		i += n
	}
	return -1
}

// wordLength is the length of the word that text begins with, 0: it begins with none.
func wordLength(text string) int {
	for i, r := range text {
		if !unicode.IsLetter(r) && r != '_' && (i == 0 || !unicode.IsDigit(r) && r != '$') {
			return i
		}
	}
	return len(text)
}

// quotes reports whether text begins with E'.
func quotes(text string) bool {
	return len(text) > 1 && (text[0] == 'E' || text[0] == 'e') && text[1] == '\''
}

// body knows how deep in BEGIN, CASE and IF the text of one statement is, as the server
// does: semicolons between BEGIN and END of a trigger, a schedule or a function do not end
// it.
type body struct {
	lead  []string // the first words
	depth int
	last  string // the word before; "": it was none
}

// leadWords are as many words as CREATE OR REPLACE CONSTRAINT TRIGGER has.
const leadWords = 5

func (b *body) note(word string) {
	if len(b.lead) < leadWords {
		b.lead = append(b.lead, word)
	}
	last := b.last
	b.last = word
	switch {
	case word == "begin" && (b.depth > 0 || b.possible()), word == "case" && b.depth > 0 && last != "end",
		word == "if" && b.depth > 0 && (last == "" || last == "begin" || last == "then" || last == "else"):
		b.depth++
	case word == "end" && b.depth > 0:
		b.depth--
	}
}

// possible reports whether the statement is one of those that have a body.
func (b *body) possible() bool {
	words := b.lead
	if len(words) == 0 || words[0] != "create" && words[0] != "alter" {
		return false
	}
	if words = words[1:]; len(words) > 1 && words[0] == "or" && words[1] == "replace" {
		words = words[2:]
	}
	return len(words) > 0 && slices.Contains([]string{"trigger", "constraint", "schedule", "function", "procedure"}, words[0])
}

// token is the length of what begins at text and may hold semicolons, or of one
// character; -1 if it does not end. inWord says that a word goes on here.
func token(text string, inWord bool) int {
	switch {
	case strings.HasPrefix(text, "--"):
		return through(text, 2, "\n")
	case strings.HasPrefix(text, "/*"):
		return blockComment(text)
	case !inWord && len(text) > 1 && (text[0] == 'E' || text[0] == 'e') && text[1] == '\'':
		return escapeString(text)
	case text[0] == '\'' || text[0] == '"':
		return through(text, 1, text[:1])
	case text[0] == '$' && !inWord:
		if tag := dollarTag(text); tag != "" {
			return through(text, len(tag), tag)
		}
	}
	_, n := utf8.DecodeRuneInString(text)
	return n
}

// through is the length up to and with the first end after from; -1: there is none.
func through(text string, from int, end string) int {
	i := strings.Index(text[from:], end)
	if i < 0 {
		return -1
	}
	return from + i + len(end)
}

// blockComment may hold others.
func blockComment(text string) int {
	depth := 0
	for i := 0; i+1 < len(text); {
		switch text[i : i+2] {
		case "/*":
			depth++
			i += 2
		case "*/":
			depth--
			i += 2
			if depth == 0 {
				return i
			}
		default:
			i++
		}
	}
	return -1
}

// escapeString is E'...', in which a backslash quotes a quote.
func escapeString(text string) int {
	for i := 2; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '\'':
			return i + 1
		}
	}
	return -1
}

// dollarTag is the $tag$ that text begins with, or empty.
func dollarTag(text string) string {
	for i, r := range text[1:] {
		switch {
		case r == '$':
			return text[:i+2]
		case unicode.IsLetter(r) || r == '_' || i > 0 && unicode.IsDigit(r):
		default:
			return ""
		}
	}
	return ""
}

// wordBefore reports whether text ends within a word.
func wordBefore(text string) bool {
	r, _ := utf8.DecodeLastRuneInString(text)
	return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '$'
}

// blank reports whether text holds nothing but space and comments.
func blank(text string) bool {
	for text != "" {
		text = strings.TrimSpace(text)
		var n int
		switch {
		case strings.HasPrefix(text, "--"):
			n = through(text, 2, "\n")
		case strings.HasPrefix(text, "/*"):
			n = blockComment(text)
		default:
			return text == ""
		}
		if n < 0 {
			return true
		}
		text = text[n:]
	}
	return true
}

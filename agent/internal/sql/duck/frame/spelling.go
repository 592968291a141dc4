package frame

import "strings"

// reserved are DuckDB's reserved words that PostgreSQL's deparser does not quote.
func reserved(name string) bool {
	switch name {
	case "anti", "asof", "at", "by", "columns", "describe", "generated", "glob", "grouping_id", "lambda", "map", "pivot",
		"pivot_longer", "pivot_wider", "positional", "qualify", "semi", "show", "struct", "summarize", "try_cast", "unpack", "unpivot":
		return true
	}
	return false
}

// capital stands before a letter that is one, and after a reserved word, in the spelling of
// identifiers for DuckDB: to it Name and name are the same. What has it is quoted.
const capital = '^'

// Spelled is an identifier as DuckDB has it. It is spelled once.
func Spelled(name string) string {
	if reserved(name) {
		return name + string(capital)
	}
	plain := true
	for i := range len(name) {
		plain = plain && name[i] != capital && (name[i] < 'A' || name[i] > 'Z')
	}
	if plain {
		return name
	}
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if c == capital || c >= 'A' && c <= 'Z' {
			b.WriteByte(capital)
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}

// Unspelled is the identifier that is Spelled so.
func Unspelled(name string) string {
	if strings.IndexByte(name, capital) < 0 {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == capital {
			if i++; i == len(name) {
				break
			}
			if c = name[i]; c >= 'a' && c <= 'z' {
				c -= 'a' - 'A'
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

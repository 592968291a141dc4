package syntax

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// QuoteIdent writes a name so that it can stand in a statement, as quote_ident does:
// between quotes if it is not in lower case, or is a word of SQL.
func QuoteIdent(name string) string {
	plain := name != "" && (name[0] < '0' || name[0] > '9')
	for i := range len(name) {
		if c := name[i]; c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			plain = false
		}
	}
	if plain {
		scan, err := pg.Scan(name)
		plain = err == nil && len(scan.Tokens) == 1 &&
			(scan.Tokens[0].KeywordKind == pg.KeywordKind_NO_KEYWORD || scan.Tokens[0].KeywordKind == pg.KeywordKind_UNRESERVED_KEYWORD)
	}
	if plain {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// SplitName takes a name apart at its dots: parts without quotes are in lower case. ok is
// false if it is none.
func SplitName(text string) (parts []string, ok bool) {
	var part strings.Builder
	quoted, had := false, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"' && quoted && i+1 < len(text) && text[i+1] == '"':
			part.WriteByte('"')
			i++
		case c == '"':
			quoted, had = !quoted, true
		case quoted:
			part.WriteByte(c)
		case c == '.':
			if part.Len() == 0 && !had {
				return nil, false
			}
			parts = append(parts, part.String())
			part.Reset()
			had = false
		case c >= 'A' && c <= 'Z':
			part.WriteByte(c + 'a' - 'A')
		default:
			part.WriteByte(c)
		}
	}
	if quoted || part.Len() == 0 {
		return nil, false
	}
	return append(parts, strings.TrimSpace(part.String())), true
}

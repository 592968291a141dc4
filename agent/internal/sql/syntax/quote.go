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

package queryplan

import (
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// like compiles LIKE and ILIKE (~~, !~~, ~~*, !~~*) with the default escape.
func (c *compiler) like(n *pg.A_Expr, name string) (Expr, error) {
	if n.GetRexpr().GetFuncCall() != nil {
		return nil, errSlow // LIKE ... ESCAPE
	}
	a, b, err := c.pair(n.GetLexpr(), n.GetRexpr())
	if err != nil {
		return nil, err
	}
	args := []Expr{a, b}
	for i := range args {
		if t := args[i].Type(); t != datum.Unknown && !t.IsString() {
			return nil, errSlow
		}
		if args[i].Type() == datum.Bpchar {
			continue // with its blanks
		}
		if args[i], err = coerce(args[i], datum.Text); err != nil {
			return nil, err
		}
	}
	negated, fold := strings.HasPrefix(name, "!"), strings.HasSuffix(name, "*")
	return &fn{typ: datum.Bool, args: args, strict: true, eval: func(_ *Env, v []datum.Datum) (datum.Datum, error) {
		s, pattern := v[0].S, v[1].S
		if fold {
			s, pattern = strings.ToLower(s), strings.ToLower(pattern)
		}
		ok, err := matchLike(s, pattern)
		return datum.MakeBool(ok != negated), err
	}}, nil
}

// matchLike matches % and _ with backslash as the escape, in time proportional
// to the product of the lengths at worst.
func matchLike(s, pattern string) (bool, error) {
	// star and from are where to go on after the last %.
	star, from := -1, 0
	i, j := 0, 0
	for i < len(s) {
		if j < len(pattern) && pattern[j] == '%' {
			j++
			star, from = j, i
			continue
		}
		n, m, ok, err := matchOne(s[i:], pattern[j:])
		if err != nil {
			return false, err
		}
		if ok {
			i, j = i+n, j+m
			continue
		}
		if star < 0 {
			return false, nil
		}
		_, n = utf8.DecodeRuneInString(s[from:])
		from += n
		i, j = from, star
	}
	for j < len(pattern) && pattern[j] == '%' {
		j++
	}
	return j == len(pattern), nil
}

// matchOne matches one character; n and m are the bytes used of s and pattern.
func matchOne(s, pattern string) (n, m int, ok bool, err error) {
	if pattern == "" {
		return 0, 0, false, nil
	}
	if pattern[0] == '_' {
		_, n = utf8.DecodeRuneInString(s)
		return n, 1, true, nil
	}
	if pattern[0] == '\\' {
		if len(pattern) == 1 {
			return 0, 0, false, &datum.Error{Code: "22025", Message: "LIKE pattern must not end with escape character"}
		}
		return 1, 2, s[0] == pattern[1], nil
	}
	return 1, 1, s[0] == pattern[0], nil
}

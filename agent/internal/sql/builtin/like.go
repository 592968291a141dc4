package builtin

import (
	"strings"
	"unicode/utf8"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Functions of operators: no statement can name them.
const (
	LikeAny   = "like any" // text, array of patterns, operator (~~, !~~, ~~*, !~~*)
	LikeAll   = "like all"
	LikeBytea = "like bytea"
)

// likes are LIKE of bytea, and with ANY and ALL.
var likes = []Function{
	{Name: LikeAny, Args: []datum.Type{datum.Text, datum.Text | datum.Array, datum.Text}, Result: datum.Bool, Nulls: true, Eval: likeEach(true)},
	{Name: LikeAll, Args: []datum.Type{datum.Text, datum.Text | datum.Array, datum.Text}, Result: datum.Bool, Nulls: true, Eval: likeEach(false)},
	{Name: LikeBytea, Args: []datum.Type{datum.Bytea, datum.Bytea}, Result: datum.Bool, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		ok, err := matchLike(a[0].S, a[1].S, func(string) int { return 1 })
		return datum.MakeBool(ok), err
	}},
}

// likeEach is ANY, or ALL: the first element that decides it does, and else null if one is.
func likeEach(decides bool) func(*Env, []datum.Datum) (datum.Datum, error) {
	return func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		switch {
		case a[1].Null:
			return datum.MakeNull(datum.Bool), nil
		case len(a[1].A.Values) == 0: // whatever the text is
			return datum.MakeBool(!decides), nil
		case a[0].Null:
			return datum.MakeNull(datum.Bool), nil
		}
		negated, fold := strings.HasPrefix(a[2].S, "!"), strings.HasSuffix(a[2].S, "*")
		unknown := false
		for _, pattern := range a[1].A.Values {
			if pattern.Null {
				unknown = true
				continue
			}
			ok, err := Like(a[0].S, pattern.S, fold)
			if err != nil {
				return datum.Datum{}, err
			}
			if (ok != negated) == decides {
				return datum.MakeBool(decides), nil
			}
		}
		if unknown {
			return datum.MakeNull(datum.Bool), nil
		}
		return datum.MakeBool(!decides), nil
	}
}

// Like reports whether a text is like a pattern, in which a backslash is the escape; fold says
// that it may be in other case.
func Like(s, pattern string, fold bool) (bool, error) {
	if fold {
		s, pattern = strings.ToLower(s), strings.ToLower(pattern)
	}
	return matchLike(s, pattern, func(s string) int {
		_, n := utf8.DecodeRuneInString(s)
		return n
	})
}

// matchLike matches % and _ with backslash as the escape, in time proportional
// to the product of the lengths at worst. width is that of the first character.
func matchLike(s, pattern string, width func(string) int) (bool, error) {
	// star and from are where to go on after the last %.
	star, from := -1, 0
	i, j := 0, 0
	for i < len(s) {
		if j < len(pattern) && pattern[j] == '%' {
			j++
			star, from = j, i
			continue
		}
		n, m, ok, err := matchOne(s[i:], pattern[j:], width)
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
		from += width(s[from:])
		i, j = from, star
	}
	for j < len(pattern) && pattern[j] == '%' {
		j++
	}
	return j == len(pattern), nil
}

// matchOne matches one character; n and m are the bytes used of s and pattern.
func matchOne(s, pattern string, width func(string) int) (n, m int, ok bool, err error) {
	if pattern == "" {
		return 0, 0, false, nil
	}
	if pattern[0] == '_' {
		return width(s), 1, true, nil
	}
	if pattern[0] == '\\' {
		if len(pattern) == 1 {
			return 0, 0, false, fail("22025", "LIKE pattern must not end with escape character")
		}
		return 1, 2, s[0] == pattern[1], nil
	}
	return 1, 1, s[0] == pattern[0], nil
}

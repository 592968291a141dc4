package builtin

import (
	"strings"
	"unicode/utf8"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/regex"
)

const textArray = datum.Text | datum.Array

var regexps = []Function{
	{Name: "regexp_replace", Args: []datum.Type{datum.Text, datum.Text, datum.Text, datum.Text}, Optional: 1, Result: datum.Text, Eval: regexpReplace},
	{Name: "regexp_replace", Args: []datum.Type{datum.Text, datum.Text, datum.Text, datum.Int4, datum.Int4, datum.Text}, Optional: 2, Result: datum.Text, Eval: regexpReplaceNth},
	{Name: "regexp_match", Args: []datum.Type{datum.Text, datum.Text, datum.Text}, Optional: 1, Result: textArray, Eval: regexpMatch},
	{Name: RegexpMatches, Args: []datum.Type{datum.Text, datum.Text, datum.Text}, Optional: 1, Result: textArray, Eval: regexpMatches},
	{Name: "regexp_like", Args: []datum.Type{datum.Text, datum.Text, datum.Text}, Optional: 1, Result: datum.Bool, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		re, err := pattern("regexp_like", a[1].S, option(a, 2))
		if err != nil {
			return datum.Datum{}, err
		}
		return datum.MakeBool(re.Match(a[0].S)), nil
	}},
	{Name: "regexp_count", Args: []datum.Type{datum.Text, datum.Text, datum.Int4, datum.Text}, Optional: 2, Result: datum.Int4, Eval: regexpCount},
	{Name: "regexp_instr", Args: []datum.Type{datum.Text, datum.Text, datum.Int4, datum.Int4, datum.Int4, datum.Text, datum.Int4}, Optional: 5, Result: datum.Int4, Eval: regexpInstr},
	{Name: "regexp_substr", Args: []datum.Type{datum.Text, datum.Text, datum.Int4, datum.Int4, datum.Text, datum.Int4}, Optional: 4, Result: datum.Text, Eval: regexpSubstr},
	{Name: "regexp_split_to_array", Args: []datum.Type{datum.Text, datum.Text, datum.Text}, Optional: 1, Result: textArray, Eval: regexpSplit},
	{Name: "substring", Args: []datum.Type{datum.Text, datum.Text}, Result: datum.Text, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		re, err := regex.Compile(a[1].S, "")
		if err != nil {
			return datum.Datum{}, err
		}
		m := re.Find(a[0].S, 0)
		return part(a[0].S, m, min(re.Groups, 1)), nil
	}},
	{Name: "substring", Args: []datum.Type{datum.Text, datum.Text, datum.Text}, Result: datum.Text, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		p, err := similar(a[1].S, a[2].S)
		if err != nil {
			return datum.Datum{}, err
		}
		re, err := regex.Compile(p, "")
		if err != nil {
			return datum.Datum{}, err
		}
		return part(a[0].S, re.Find(a[0].S, 0), min(re.Groups, 1)), nil
	}},
	{Name: MatchesRegex, Args: []datum.Type{datum.Text, datum.Text, datum.Text}, Result: datum.Bool, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		re, err := regex.Compile(a[1].S, a[2].S)
		if err != nil {
			return datum.Datum{}, err
		}
		return datum.MakeBool(re.Match(a[0].S)), nil
	}},
	{Name: MatchesSimilar, Args: []datum.Type{datum.Text, datum.Text, datum.Text}, Result: datum.Bool, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		p, err := similar(a[1].S, a[2].S)
		if err != nil {
			return datum.Datum{}, err
		}
		re, err := regex.Compile(p, "")
		if err != nil {
			return datum.Datum{}, err
		}
		return datum.MakeBool(re.Match(a[0].S)), nil
	}},
}

// Functions of operators: no statement can name them.
const (
	MatchesRegex   = "~"          // text, pattern, options
	MatchesSimilar = "similar to" // text, pattern, escape
	// RegexpMatches gives what regexp_matches does as an array, each text[] of it as json.
	RegexpMatches = "regexp matches"
)

// option is an argument that may be left out.
func option(a []datum.Datum, i int) string {
	if i < len(a) {
		return a[i].S
	}
	return ""
}

// number is one of those, which must be least at least.
func number(a []datum.Datum, i int, name string, without, least int64) (int, error) {
	if i >= len(a) {
		return int(without), nil
	}
	if a[i].I < least {
		return 0, fail("22023", "invalid value for parameter %q: %d", name, a[i].I)
	}
	return int(a[i].I), nil
}

// pattern is a pattern of a function that finds all matches, or one: then its options have
// no g.
func pattern(function, s, options string) (*regex.Regex, error) {
	re, global, err := globalPattern(s, options)
	if err == nil && global {
		return nil, fail("22023", "%s() does not support the \"global\" option", function)
	}
	return re, err
}

// globalPattern is a pattern whose options may have a g.
func globalPattern(s, options string) (re *regex.Regex, global bool, err error) {
	rest := strings.ReplaceAll(options, "g", "")
	for _, c := range rest {
		switch {
		case c == 'b':
			return nil, false, fail("0A000", "a basic regular expression is not supported")
		case !regex.Option(c):
			return nil, false, fail("22023", "invalid regular expression option: %q", string(c))
		}
	}
	re, err = regex.Compile(s, rest)
	return re, rest != options, err
}

// eachMatch calls found with the matches that begin at from or later, until it returns
// false.
func eachMatch(re *regex.Regex, s string, from int, found func(m []int) bool) {
	for from <= len(s) {
		m := re.Find(s, from)
		if m == nil || !found(m) {
			return
		}
		from = m[1]
		if m[0] == m[1] {
			_, size := utf8.DecodeRuneInString(s[from:])
			from += max(size, 1)
		}
	}
}

// offset is where the n-th character begins, over the end if there are fewer.
func offset(s string, n int) int {
	at := 0
	for ; n > 1 && at < len(s); n-- {
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	if n > 1 {
		return len(s) + 1
	}
	return at
}

// part is a group of a match.
func part(s string, m []int, group int) datum.Datum {
	if m == nil || 2*group >= len(m) || m[2*group] < 0 {
		return datum.MakeNull(datum.Text)
	}
	return datum.MakeText(s[m[2*group]:m[2*group+1]])
}

// replaceMatches replaces the n-th match, or all (0).
func replaceMatches(re *regex.Regex, s, by string, from, n int) datum.Datum {
	var b strings.Builder
	done, count := 0, 0
	eachMatch(re, s, from, func(m []int) bool {
		if count++; n > 0 && count < n {
			return true
		}
		b.WriteString(s[done:m[0]])
		done = m[1]
		for i := 0; i < len(by); i++ {
			if by[i] != '\\' || i+1 == len(by) {
				b.WriteByte(by[i])
				continue
			}
			switch c := by[i+1]; {
			case c >= '1' && c <= '9':
				b.WriteString(part(s, m, int(c-'0')).S)
			case c == '&':
				b.WriteString(s[m[0]:m[1]])
			case c == '\\':
				b.WriteByte('\\')
			default:
				b.WriteByte('\\')
				continue
			}
			i++
		}
		return n == 0
	})
	b.WriteString(s[done:])
	return datum.MakeText(b.String())
}

func regexpReplace(_ *Env, a []datum.Datum) (datum.Datum, error) {
	options := option(a, 3)
	if options != "" && options[0] >= '0' && options[0] <= '9' {
		return datum.Datum{}, fail("22023", "invalid regular expression option: %q", options[:1])
	}
	re, global, err := globalPattern(a[1].S, options)
	if err != nil {
		return datum.Datum{}, err
	}
	n := 1
	if global {
		n = 0
	}
	return replaceMatches(re, a[0].S, a[2].S, 0, n), nil
}

func regexpReplaceNth(_ *Env, a []datum.Datum) (datum.Datum, error) {
	start, err := number(a, 3, "start", 1, 1)
	if err != nil {
		return datum.Datum{}, err
	}
	n, err := number(a, 4, "n", 1, 0)
	if err != nil {
		return datum.Datum{}, err
	}
	re, global, err := globalPattern(a[1].S, option(a, 5))
	if err != nil {
		return datum.Datum{}, err
	}
	if len(a) < 5 && global {
		n = 0
	}
	return replaceMatches(re, a[0].S, a[2].S, offset(a[0].S, start), n), nil
}

// groupsOf are the groups of a match, or all of it if the pattern has none.
func groupsOf(re *regex.Regex, s string, m []int) datum.Datum {
	if re.Groups == 0 {
		return datum.MakeArray(datum.Text, []datum.Datum{part(s, m, 0)})
	}
	out := make([]datum.Datum, re.Groups)
	for i := range out {
		out[i] = part(s, m, i+1)
	}
	return datum.MakeArray(datum.Text, out)
}

func regexpMatch(_ *Env, a []datum.Datum) (datum.Datum, error) {
	re, err := pattern("regexp_match", a[1].S, option(a, 2))
	if err != nil {
		return datum.Datum{}, err
	}
	m := re.Find(a[0].S, 0)
	if m == nil {
		return datum.MakeNull(textArray), nil
	}
	return groupsOf(re, a[0].S, m), nil
}

func regexpMatches(env *Env, a []datum.Datum) (datum.Datum, error) {
	re, global, err := globalPattern(a[1].S, option(a, 2))
	if err != nil {
		return datum.Datum{}, err
	}
	var out []datum.Datum
	eachMatch(re, a[0].S, 0, func(m []int) bool {
		out = append(out, datum.MakeText(string(datum.AppendAsJSON(nil, groupsOf(re, a[0].S, m), env.Location))))
		return global
	})
	return datum.MakeArray(datum.Text, out), nil
}

func regexpCount(_ *Env, a []datum.Datum) (datum.Datum, error) {
	start, err := number(a, 2, "start", 1, 1)
	if err != nil {
		return datum.Datum{}, err
	}
	re, err := pattern("regexp_count", a[1].S, option(a, 3))
	if err != nil {
		return datum.Datum{}, err
	}
	n := int64(0)
	eachMatch(re, a[0].S, offset(a[0].S, start), func([]int) bool { n++; return true })
	return datum.MakeInt(datum.Int4, n), nil
}

// nth is the n-th match that begins at the start-th character or later.
func nth(re *regex.Regex, s string, start, n int) []int {
	var out []int
	eachMatch(re, s, offset(s, start), func(m []int) bool {
		if n--; n == 0 {
			out = m
		}
		return n > 0
	})
	return out
}

func regexpInstr(_ *Env, a []datum.Datum) (datum.Datum, error) {
	start, err := number(a, 2, "start", 1, 1)
	if err != nil {
		return datum.Datum{}, err
	}
	n, err := number(a, 3, "n", 1, 1)
	if err != nil {
		return datum.Datum{}, err
	}
	end, err := number(a, 4, "endoption", 0, 0)
	if err == nil && end > 1 {
		err = fail("22023", "invalid value for parameter %q: %d", "endoption", end)
	}
	if err != nil {
		return datum.Datum{}, err
	}
	group, err := number(a, 6, "subexpr", 0, 0)
	if err != nil {
		return datum.Datum{}, err
	}
	re, err := pattern("regexp_instr", a[1].S, option(a, 5))
	if err != nil {
		return datum.Datum{}, err
	}
	m := nth(re, a[0].S, start, n)
	if m == nil || group > re.Groups || m[2*group] < 0 {
		return datum.MakeInt(datum.Int4, 0), nil
	}
	return datum.MakeInt(datum.Int4, int64(utf8.RuneCountInString(a[0].S[:m[2*group+end]])+1)), nil
}

func regexpSubstr(_ *Env, a []datum.Datum) (datum.Datum, error) {
	start, err := number(a, 2, "start", 1, 1)
	if err != nil {
		return datum.Datum{}, err
	}
	n, err := number(a, 3, "n", 1, 1)
	if err != nil {
		return datum.Datum{}, err
	}
	group, err := number(a, 5, "subexpr", 0, 0)
	if err != nil {
		return datum.Datum{}, err
	}
	re, err := pattern("regexp_substr", a[1].S, option(a, 4))
	if err != nil {
		return datum.Datum{}, err
	}
	return part(a[0].S, nth(re, a[0].S, start, n), group), nil
}

// regexpSplit leaves out matches of nothing at the ends and after another.
func regexpSplit(_ *Env, a []datum.Datum) (datum.Datum, error) {
	re, err := pattern("regexp_split_to_array", a[1].S, option(a, 2))
	if err != nil {
		return datum.Datum{}, err
	}
	s, done, last := a[0].S, 0, 0
	var out []datum.Datum
	eachMatch(re, s, 0, func(m []int) bool {
		if m[0] < len(s) && m[1] > last {
			out = append(out, datum.MakeText(s[done:m[0]]))
			done = m[1]
		}
		last = m[1]
		return true
	})
	return datum.MakeArray(datum.Text, append(out, datum.MakeText(s[done:]))), nil
}

// similar makes a regular expression of a pattern of SIMILAR TO, as PostgreSQL does: one
// with two escaped quotes has the part between them as its group.
func similar(p, escape string) (string, error) {
	esc := []rune(escape)
	if len(esc) > 1 {
		return "", fail("22025", "invalid escape string")
	}
	var b strings.Builder
	b.WriteString("^(?:")
	escaped, class, quotes := false, 0, 0
	for _, c := range p {
		switch {
		case escaped && c == '"' && class == 0:
			switch quotes++; quotes {
			case 1: // the shortest before
				b.WriteString("){1,1}?(")
			case 2: // and the longest between
				b.WriteString("){1,1}(?:")
			default:
				return "", fail("2200C", "SQL regular expression may not contain more than two escape-double-quote separators")
			}
			escaped = false
		case escaped:
			b.WriteByte('\\')
			b.WriteRune(c)
			escaped = false
		case len(esc) == 1 && c == esc[0]:
			escaped = true
		case class > 0:
			if c == '\\' {
				b.WriteByte('\\')
			}
			b.WriteRune(c)
			if c == ']' && class > 2 {
				class = 0
			} else if c == '^' && class == 1 {
				class = 2
			} else {
				class = 3
			}
		default:
			switch c {
			case '[':
				class = 1
				b.WriteRune(c)
			case '%':
				b.WriteString(".*")
			case '_':
				b.WriteByte('.')
			case '(':
				b.WriteString("(?:")
			case '\\', '.', '^', '$':
				b.WriteString(`\` + string(c))
			default:
				b.WriteRune(c)
			}
		}
	}
	b.WriteString(")$")
	return b.String(), nil
}

package builtin

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// maxBytes is the longest value that a function makes of short ones.
const maxBytes = 64 << 20

// strs are the functions of the characters of texts.
var strs = []Function{
	{Name: "lower", Args: []datum.Type{datum.Text}, Result: datum.Text, Eval: ofText(mapped(unicode.ToLower))},
	{Name: "upper", Args: []datum.Type{datum.Text}, Result: datum.Text, Eval: ofText(mapped(unicode.ToUpper))},
	{Name: "initcap", Args: []datum.Type{datum.Text}, Result: datum.Text, Eval: ofText(initcap)},
	{Name: "repeat", Args: []datum.Type{datum.Text, datum.Int4}, Result: datum.Text, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		n := max(a[1].I, 0)
		if n*int64(len(a[0].S)) > maxBytes {
			return datum.Datum{}, fail("54000", "requested length too large")
		}
		return datum.MakeText(strings.Repeat(a[0].S, int(n))), nil
	}},
	{Name: "lpad", Args: []datum.Type{datum.Text, datum.Int4, datum.Text}, Optional: 1, Result: datum.Text, Eval: padded(func(s, fill string) string { return fill + s })},
	{Name: "rpad", Args: []datum.Type{datum.Text, datum.Int4, datum.Text}, Optional: 1, Result: datum.Text, Eval: padded(func(s, fill string) string { return s + fill })},
	{Name: "substr", Args: []datum.Type{datum.Text, datum.Int4, datum.Int4}, Optional: 1, Result: datum.Text, Eval: substring},
	{Name: "substring", Args: []datum.Type{datum.Text, datum.Int4, datum.Int4}, Optional: 1, Result: datum.Text, Eval: substring},
	{Name: "overlay", Args: []datum.Type{datum.Text, datum.Text, datum.Int4, datum.Int4}, Optional: 1, Result: datum.Text, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		s, by := []rune(a[0].S), []rune(a[1].S)
		before, after, err := overlaid(a, len(s), len(by))
		if err != nil {
			return datum.Datum{}, err
		}
		return datum.MakeText(string(s[:before]) + a[1].S + string(s[after:])), nil
	}},
	{Name: "chr", Args: []datum.Type{datum.Int4}, Result: datum.Text, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		switch n := a[0].I; {
		case n < 0:
			return datum.Datum{}, fail("22023", "character number must be positive")
		case n == 0:
			return datum.Datum{}, fail("54000", "null character not permitted")
		case n > unicode.MaxRune:
			return datum.Datum{}, fail("54000", "requested character too large for encoding: %d", n)
		case !utf8.ValidRune(rune(n)):
			return datum.Datum{}, fail("54000", "requested character not valid for encoding: %d", n)
		default:
			return datum.MakeText(string(rune(n))), nil
		}
	}},
	{Name: "to_hex", Args: []datum.Type{datum.Int4}, Result: datum.Text, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeText(strconv.FormatUint(uint64(uint32(a[0].I)), 16)), nil
	}},
	{Name: "to_hex", Args: []datum.Type{datum.Int8}, Result: datum.Text, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeText(strconv.FormatUint(uint64(a[0].I), 16)), nil
	}},
	{Name: "string_to_array", Args: []datum.Type{datum.Text, datum.Text, datum.Text}, Optional: 1, Nulls: true, Result: textArray, Eval: stringToArray},
	{Name: "unistr", Args: []datum.Type{datum.Text}, Result: datum.Text, Eval: unistr},
	{Name: "parse_ident", Args: []datum.Type{datum.Text, datum.Bool}, Optional: 1, Result: textArray, Eval: parseIdent},
	{Name: "normalize", Args: []datum.Type{datum.Text, datum.Text}, Optional: 1, Result: datum.Text, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		form, err := normalForm(a)
		return datum.MakeText(form.String(a[0].S)), err
	}},
	{Name: "is_normalized", Args: []datum.Type{datum.Text, datum.Text}, Optional: 1, Result: datum.Bool, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		form, err := normalForm(a)
		return datum.MakeBool(form.IsNormalString(a[0].S)), err
	}},
	{Name: "format", Args: []datum.Type{datum.Text}, Nulls: true, Result: datum.Text, Eval: format},
	{Name: "format", Args: []datum.Type{datum.Text, Any}, Variadic: true, Nulls: true, Zoned: true, Result: datum.Text, Eval: format},
}

// mapped changes each character by itself, as C's libraries do.
func mapped(f func(rune) rune) func(string) string {
	return func(s string) string { return strings.Map(f, s) }
}

func initcap(s string) string {
	within := false
	return strings.Map(func(r rune) rune {
		out := unicode.ToUpper(r)
		if within {
			out = unicode.ToLower(r)
		}
		within = unicode.IsLetter(r) || unicode.IsNumber(r)
		return out
	}, s)
}

// padded makes a text so many characters long.
func padded(join func(s, fill string) string) func(*Env, []datum.Datum) (datum.Datum, error) {
	return func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		s, by := []rune(a[0].S), []rune(" ")
		if len(a) > 2 {
			by = []rune(a[2].S)
		}
		n := max(a[1].I, 0)
		if n > maxBytes {
			return datum.Datum{}, fail("54000", "requested length too large")
		}
		if missing := int(n) - len(s); missing > 0 && len(by) > 0 {
			fill := make([]rune, missing)
			for i := range fill {
				fill[i] = by[i%len(by)]
			}
			return datum.MakeText(join(string(s), string(fill))), nil
		}
		return datum.MakeText(string(s[:min(int(n), len(s))])), nil
	}
}

// bounds are from where to where a part from a place, of a length, is in what has n of
// something: places before the first count.
func bounds(a []datum.Datum, n int) (from, to int, err error) {
	start, end := a[1].I, int64(n)+1
	if len(a) > 2 {
		if a[2].I < 0 {
			return 0, 0, fail("22011", "negative substring length not allowed")
		}
		end = min(end, start+a[2].I)
	}
	start = min(max(start, 1), int64(n)+1)
	return int(start - 1), int(max(end, start) - 1), nil
}

func substring(_ *Env, a []datum.Datum) (datum.Datum, error) {
	if isASCII(a[0].S) {
		from, to, err := bounds(a, len(a[0].S))
		if err != nil {
			return datum.Datum{}, err
		}
		return datum.MakeText(a[0].S[from:to]), nil
	}
	s := []rune(a[0].S)
	from, to, err := bounds(a, len(s))
	if err != nil {
		return datum.Datum{}, err
	}
	return datum.MakeText(string(s[from:to])), nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// overlaid are what of n is before and after what replaces it.
func overlaid(a []datum.Datum, n, by int) (before, after int, err error) {
	start, length := a[2].I, int64(by)
	if len(a) > 3 {
		length = a[3].I
	}
	if start <= 0 {
		return 0, 0, fail("22011", "negative substring length not allowed")
	}
	limit := func(i int64) int { return int(min(max(i, 0), int64(n))) }
	return limit(start - 1), limit(start - 1 + length), nil
}

func stringToArray(_ *Env, a []datum.Datum) (datum.Datum, error) {
	if a[0].Null {
		return datum.MakeNull(textArray), nil
	}
	var parts []string
	switch {
	case a[0].S == "":
	case a[1].Null:
		for _, r := range a[0].S {
			parts = append(parts, string(r))
		}
	case a[1].S == "":
		parts = []string{a[0].S}
	default:
		parts = strings.Split(a[0].S, a[1].S)
	}
	out := make([]datum.Datum, len(parts))
	for i, p := range parts {
		out[i] = datum.MakeText(p)
		if len(a) > 2 && !a[2].Null && a[2].S == p {
			out[i] = datum.MakeNull(datum.Text)
		}
	}
	return datum.MakeArray(datum.Text, out), nil
}

// unistr reads \XXXX, \+XXXXXX, \uXXXX and \UXXXXXXXX.
func unistr(_ *Env, a []datum.Datum) (datum.Datum, error) {
	var b strings.Builder
	high := rune(0)
	for s := a[0].S; s != ""; {
		if s[0] != '\\' || strings.HasPrefix(s, `\\`) {
			if high != 0 {
				return datum.Datum{}, fail("42601", "invalid Unicode surrogate pair")
			}
			b.WriteByte(s[0])
			s = s[min(len(s), 1+strings.IndexByte(s[:1], '\\')+1):]
			continue
		}
		skip, digits := 1, 4
		switch {
		case strings.HasPrefix(s, `\+`):
			skip, digits = 2, 6
		case strings.HasPrefix(s, `\u`):
			skip = 2
		case strings.HasPrefix(s, `\U`):
			skip, digits = 2, 8
		}
		if len(s) < skip+digits {
			return datum.Datum{}, fail("42601", "invalid Unicode escape")
		}
		v, err := strconv.ParseUint(s[skip:skip+digits], 16, 32)
		if err != nil {
			return datum.Datum{}, fail("42601", "invalid Unicode escape")
		}
		s = s[skip+digits:]
		switch r := rune(v); {
		case v == 0 || v > unicode.MaxRune:
			return datum.Datum{}, fail("22023", "invalid Unicode code point: %04X", v)
		case high != 0 && r >= 0xdc00 && r < 0xe000:
			b.WriteRune(0x10000 + (high-0xd800)<<10 + r - 0xdc00)
			high = 0
		case high != 0 || r >= 0xdc00 && r < 0xe000:
			return datum.Datum{}, fail("42601", "invalid Unicode surrogate pair")
		case r >= 0xd800 && r < 0xdc00:
			high = r
		default:
			b.WriteRune(r)
		}
	}
	if high != 0 {
		return datum.Datum{}, fail("42601", "invalid Unicode surrogate pair")
	}
	return datum.MakeText(b.String()), nil
}

// parseIdent takes a name with dots apart.
func parseIdent(_ *Env, a []datum.Datum) (datum.Datum, error) {
	invalid := fail("22023", "string is not a valid identifier: %q", a[0].S)
	strict := len(a) < 2 || a[1].Bool()
	s := strings.TrimLeft(a[0].S, " \t\n\r\f\v")
	var out []datum.Datum
	for {
		var name, rest string
		if after, ok := strings.CutPrefix(s, `"`); ok {
			for {
				before, tail, closed := strings.Cut(after, `"`)
				if !closed {
					return datum.Datum{}, invalid
				}
				name += before
				if !strings.HasPrefix(tail, `"`) {
					rest = tail
					break
				}
				name, after = name+`"`, tail[1:]
			}
		} else {
			n := 0
			for i, r := range s {
				if r != '_' && !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= utf8.RuneSelf) && (i == 0 || r != '$' && (r < '0' || r > '9')) {
					break
				}
				n = i + utf8.RuneLen(r)
			}
			name, rest = asciiLower(s[:n]), s[n:]
		}
		if name == "" {
			return datum.Datum{}, invalid
		}
		out = append(out, datum.MakeText(name))
		s = strings.TrimLeft(rest, " \t\n\r\f\v")
		switch {
		case strings.HasPrefix(s, "."):
			s = strings.TrimLeft(s[1:], " \t\n\r\f\v")
		case s == "" || !strict:
			return datum.MakeArray(datum.Text, out), nil
		default:
			return datum.Datum{}, invalid
		}
	}
}

func normalForm(a []datum.Datum) (norm.Form, error) {
	if len(a) < 2 {
		return norm.NFC, nil
	}
	switch strings.ToUpper(a[1].S) {
	case "NFC":
		return norm.NFC, nil
	case "NFD":
		return norm.NFD, nil
	case "NFKC":
		return norm.NFKC, nil
	case "NFKD":
		return norm.NFKD, nil
	}
	return norm.NFC, fail("22023", "invalid normalization form: %s", a[1].S)
}

// asciiLower is an identifier without quotes as it is read: other letters than ASCII's stay as they are.
func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

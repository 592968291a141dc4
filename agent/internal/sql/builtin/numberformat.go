package builtin

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// numberFormats are to_char of numbers.
var numberFormats = []Function{
	toChar(datum.Int4, func(n *numberFormat, v datum.Datum) error { return n.integer(v.I, 32) }),
	toChar(datum.Int8, func(n *numberFormat, v datum.Datum) error { return n.integer(v.I, 64) }),
	toChar(datum.Numeric, func(n *numberFormat, v datum.Datum) error { return n.numeric(v.D) }),
	toChar(datum.Float4, func(n *numberFormat, v datum.Datum) error { return n.float(v.F) }),
	toChar(datum.Float8, func(n *numberFormat, v datum.Datum) error { return n.float(v.F) }),
}

func toChar(t datum.Type, set func(*numberFormat, datum.Datum) error) Function {
	return Function{Name: "to_char", Args: []datum.Type{t, datum.Text}, Result: datum.Text, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		n, err := parseNumberFormat(a[1].S)
		if err == nil && n.scientific {
			return datum.MakeText(n.exponential(a[0])), nil
		}
		if err == nil && a[1].S != "" {
			err = set(n, a[0])
		}
		if err != nil || a[1].S == "" {
			return datum.MakeText(""), err
		}
		text, err := n.write()
		return datum.MakeText(text), err
	}}
}

// Where the sign of S stands.
const (
	signNone = iota
	signBefore
	signAfter
)

// numberFormat is what PostgreSQL's formatting.c has as NUMDesc and NUMProc: a format, and the
// number that is written by it.
type numberFormat struct {
	parts []formatPart
	// pre and post are how many digits stand before and behind the point, multi behind V.
	pre, post, multi    int
	zeroStart, zeroEnd  int
	sign, preSign       int
	decimal, zero, fill bool
	signed, bracket     bool
	minus, plus         bool
	roman, shifts       bool
	scientific          bool
	digits              string // of the number, without its sign
	of                  byte   // its sign, + or -; 0: none is written
	spaces              int    // before its digits
	relevant            int    // the last digit that counts, -1: all do
	signWritten, inside bool
	at, place, places   int // in digits, in the format, in all of it
	out                 strings.Builder
}

// formatPart is a keyword, or text that stands for itself.
type formatPart struct{ key, text string }

// formatKeys are the keywords in the order in which they are looked for. Those without effect
// are there, too.
var formatKeys = []string{",", ".", "0", "9", "B", "C", "D", "EEEE", "FM", "G", "L", "MI", "PL", "PR", "RN", "SG", "SP", "S", "TH", "V"} //nolint:gochecknoglobals // never changed

func parseNumberFormat(format string) (*numberFormat, error) {
	n := &numberFormat{relevant: -1}
	for s := format; s != ""; {
		if key := keyAt(s); key != "" {
			if err := n.add(strings.ToUpper(key)); err != nil {
				return nil, err
			}
			n.parts = append(n.parts, formatPart{key: key})
			s = s[len(key):]
			continue
		}
		if s[0] == '"' {
			for s = s[1:]; s != "" && s[0] != '"'; {
				if s[0] == '\\' && len(s) > 1 {
					s = s[1:]
				}
				s = n.literal(s)
			}
			s = strings.TrimPrefix(s, `"`)
			continue
		}
		s = n.literal(s)
	}
	return n, nil
}

// literal takes a character that stands for itself, and returns the rest.
func (n *numberFormat) literal(s string) string {
	if strings.HasPrefix(s, `\"`) {
		s = s[1:]
	}
	_, size := utf8.DecodeRuneInString(s)
	n.parts = append(n.parts, formatPart{text: s[:size]})
	return s[size:]
}

// keyAt is the keyword that a format begins with: all of it in upper, or all in lower case.
func keyAt(s string) string {
	for _, k := range formatKeys {
		if strings.HasPrefix(s, k) || strings.HasPrefix(s, strings.ToLower(k)) {
			return s[:len(k)]
		}
	}
	return ""
}

// add takes a keyword into account.
func (n *numberFormat) add(key string) error {
	wrong := func(message string) error { return fail("42601", "%s", message) }
	if n.scientific && key != "EEEE" {
		return wrong(`"EEEE" must be the last pattern used`)
	}
	switch key {
	case "9", "0":
		switch {
		case n.bracket:
			return wrong(`"` + key + `" must be ahead of "PR"`)
		case key == "9" && n.shifts:
			n.multi++
			return nil
		case key == "0" && !n.zero && !n.decimal:
			n.zero, n.zeroStart = true, n.pre+1
		}
		if n.decimal {
			n.post++
		} else {
			n.pre++
		}
		if key == "0" {
			n.zeroEnd = n.pre + n.post
		}
	case ".", "D":
		switch {
		case n.decimal:
			return wrong("multiple decimal points")
		case n.shifts:
			return wrong(`cannot use "V" and decimal point together`)
		}
		n.decimal = true
	case "FM":
		n.fill = true
	case "RN":
		n.roman = true
	case "V":
		if n.decimal {
			return wrong(`cannot use "V" and decimal point together`)
		}
		n.shifts = true
	case "EEEE":
		switch {
		case n.scientific:
			return wrong(`cannot use "EEEE" twice`)
		case n.fill || n.signed || n.bracket || n.minus || n.plus || n.roman || n.shifts:
			return wrong(`"EEEE" is incompatible with other formats`)
		}
		n.scientific = true
	default:
		return n.addSign(key, wrong)
	}
	return nil
}

func (n *numberFormat) addSign(key string, wrong func(string) error) error {
	switch key {
	case "S":
		switch {
		case n.signed:
			return wrong(`cannot use "S" twice`)
		case n.plus || n.minus || n.bracket:
			return wrong(`cannot use "S" and "PL"/"MI"/"SG"/"PR" together`)
		case !n.decimal:
			n.sign, n.preSign, n.signed = signBefore, n.pre, true
		case n.sign == signNone:
			n.sign, n.signed = signAfter, true
		}
	case "MI", "PL", "SG":
		if n.signed {
			return wrong(`cannot use "S" and "` + key + `" together`)
		}
		n.minus, n.plus = n.minus || key != "PL", n.plus || key != "MI"
	case "PR":
		if n.signed || n.plus || n.minus {
			return wrong(`cannot use "PR" and "S"/"PL"/"MI"/"SG" together`)
		}
		n.bracket = true
	}
	return nil
}

func (n *numberFormat) integer(v int64, bits int) error {
	if n.roman {
		if v > math.MaxInt32 || v < math.MinInt32 {
			return fail("22003", "integer out of range")
		}
		n.setRoman(v)
		return nil
	}
	text := strconv.FormatInt(v, 10)
	if n.shifts {
		scaled := float64(v) * math.Pow10(n.multi)
		if limit := math.Ldexp(1, bits-1); scaled >= limit || scaled < -limit {
			if bits == 32 {
				return fail("22003", "integer out of range")
			}
			return fail("22003", "bigint out of range")
		}
		if text += strings.Repeat("0", n.multi); v == 0 {
			text = "0"
		}
		n.pre += n.multi
	}
	text, negative := strings.CutPrefix(text, "-")
	whole := len(text)
	if n.post > 0 {
		text += "." + strings.Repeat("0", n.post)
	}
	n.set(text, whole, negative)
	return nil
}

func (n *numberFormat) numeric(d *apd.Decimal) error {
	if n.roman && d.Form != apd.Finite {
		what := "infinity"
		if d.Form == apd.NaN {
			what = "NaN"
		}
		return fail("0A000", "cannot convert %s to integer", what)
	}
	if n.roman {
		whole, err := datum.RoundNumeric(d, 0)
		if err != nil {
			return err
		}
		v, err := whole.Int64()
		if err != nil || v > math.MaxInt32 || v < math.MinInt32 {
			return fail("22003", "integer out of range")
		}
		n.setRoman(v)
		return nil
	}
	value := d
	if n.shifts && d.Form == apd.Finite {
		value = new(apd.Decimal).Set(d)
		value.Exponent += int32(n.multi)
	}
	if n.shifts {
		n.pre += n.multi
	}
	value, err := datum.RoundNumeric(value, int32(n.post))
	if err != nil {
		return err
	}
	n.setText(datum.MakeNumeric(value).Text())
	return nil
}

func (n *numberFormat) float(v float64) error {
	if n.roman {
		n.setRoman(int64(math.RoundToEven(v)))
		return nil
	}
	if n.shifts {
		v *= math.Pow10(n.multi)
		n.pre += n.multi
	}
	const digits = 15 // DBL_DIG
	whole := strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
	if math.IsInf(v, 0) {
		whole = "Infinity"
	}
	switch {
	case len(whole) >= digits:
		n.post = 0
	case len(whole)+n.post > digits:
		n.post = digits - len(whole)
	}
	text := strconv.FormatFloat(v, 'f', n.post, 64)
	switch {
	case math.IsInf(v, 1):
		text = "Infinity"
	case math.IsInf(v, -1):
		text = "-Infinity"
	}
	n.setText(text)
	return nil
}

func (n *numberFormat) setText(text string) {
	text, negative := strings.CutPrefix(text, "-")
	whole := strings.IndexByte(text, '.')
	if whole < 0 {
		whole = len(text)
	}
	n.set(text, whole, negative)
}

// set says what is to be written: digits, of which whole stand before the point.
func (n *numberFormat) set(text string, whole int, negative bool) {
	n.of = '+'
	if negative {
		n.of = '-'
	}
	switch n.digits = text; {
	case whole < n.pre:
		n.spaces = n.pre - whole
	case whole > n.pre:
		n.digits = strings.Repeat("#", n.pre) + "." + strings.Repeat("#", n.post)
	}
}

func (n *numberFormat) setRoman(v int64) {
	n.digits = strings.Repeat("#", 15)
	if v >= 1 && v <= 3999 {
		var b strings.Builder
		for _, r := range []struct {
			v int64
			s string
		}{{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"}, {40, "XL"}, {10, "X"}, {9, "IX"}, {5, "V"}, {4, "IV"}, {1, "I"}} {
			for ; v >= r.v; v -= r.v {
				b.WriteString(r.s)
			}
		}
		n.digits = b.String()
	}
	parts, fill := n.parts, n.fill
	*n = numberFormat{parts: parts, fill: fill, digits: n.digits, roman: true, relevant: -1}
}

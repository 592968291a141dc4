package builtin

import (
	"strings"
	"unicode/utf8"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// numberReads is to_number.
var numberReads = []Function{
	{Name: "to_number", Args: []datum.Type{datum.Text, datum.Text}, Result: datum.Numeric, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		if a[1].S == "" {
			return datum.MakeNull(datum.Numeric), nil
		}
		n, err := parseNumberFormat(a[1].S)
		if err != nil {
			return datum.Datum{}, err
		}
		if n.roman {
			return datum.Datum{}, fail("0A000", `"RN" not supported for input`)
		}
		if n.scientific {
			return datum.Datum{}, fail("0A000", `"EEEE" not supported for input`)
		}
		r := &numberReader{format: n, in: a[0].S}
		return r.read()
	}},
}

// numberReader is the reading half of NUM_processor of PostgreSQL's formatting.c: what the
// format has is looked for in the input, and what is not there is passed over.
type numberReader struct {
	format    *numberFormat
	in        string
	sign      byte // 0: none was read
	number    strings.Builder
	pre, post int // digits read before and behind the point
	point     bool
}

func (r *numberReader) read() (datum.Datum, error) {
	for _, p := range r.format.parts {
		if r.in == "" {
			break
		}
		if p.key == "" { // whatever is in its place
			r.skip()
			continue
		}
		r.key(strings.ToUpper(p.key))
	}
	text := strings.TrimSuffix(r.number.String(), ".")
	switch {
	case r.sign != 0:
		text = string(r.sign) + text
	case text == "":
		text = " "
	}
	const header = 4
	d, err := datum.ParseText(datum.Numeric, text, nil)
	if err != nil {
		return d, err
	}
	precision := r.format.pre + r.format.multi + r.post
	if d, err = datum.ApplyModifier(d, int32(precision<<16|r.post)+header, true); err != nil || r.format.multi == 0 { //nolint:gosec // as many as the format has characters
		return d, err
	}
	shift, err := numericPower(apd.New(10, 0), apd.New(int64(-r.format.multi), 0))
	if err != nil {
		return d, err
	}
	var out apd.Decimal
	if _, err = apd.BaseContext.Mul(&out, d.D, shift.D); err != nil {
		return d, fail("22003", "value overflows numeric format")
	}
	return datum.MakeNumeric(&out), nil
}

// key reads what a keyword is about.
func (r *numberReader) key(key string) {
	switch key {
	case "9", "0", ".", "D":
		r.part(key == "9" || key == "0")
	case ",", "G":
		if !r.format.fill && r.in[0] == ',' {
			r.in = r.in[1:]
		}
	case "L":
		r.pass(1)
	case "TH":
		if !r.format.decimal {
			r.pass(len(key))
		}
	case "MI", "PL", "SG":
		c := r.in[0]
		if c == '-' && key != "PL" || c == '+' && key != "MI" {
			r.sign, r.in = c, r.in[1:]
		} else {
			r.pass(1)
		}
	}
}

func (r *numberReader) skip() {
	_, size := utf8.DecodeRuneInString(r.in)
	r.in = r.in[size:]
}

// pass goes over n characters at most that are no part of a number.
func (r *numberReader) pass(n int) {
	for ; n > 0 && r.in != "" && !strings.Contains("0123456789.,+-", r.in[:1]); n-- {
		r.skip()
	}
}

// part reads a digit, the point, or a sign beside them.
func (r *numberReader) part(digit bool) {
	r.in = strings.TrimPrefix(r.in, " ")
	if r.in == "" {
		return
	}
	if r.sign == 0 && digit && r.pre+r.post == 0 {
		r.signBefore()
		if r.in == "" {
			return
		}
	}
	read, c := false, r.in[0]
	switch {
	case c >= '0' && c <= '9':
		if r.point && r.post == r.format.post {
			r.in = r.in[1:]
			return
		}
		r.number.WriteByte(c)
		if read = true; r.point {
			r.post++
		} else {
			r.pre++
		}
	case c == '.' && r.format.decimal && !r.point:
		r.number.WriteByte(c)
		read, r.point = true, true
	}
	if r.sign == 0 && r.pre+r.post > 0 {
		r.signBehind(read)
	}
	if r.in != "" {
		r.in = r.in[1:]
	}
}

func (r *numberReader) signBefore() {
	switch c := r.in[0]; {
	case c == '-', r.format.bracket && c == '<':
		r.sign = '-'
	case c == '+':
		r.sign = '+'
	default:
		return
	}
	r.in = r.in[1:]
}

// signBehind reads a sign behind the last digit that was read.
func (r *numberReader) signBehind(read bool) {
	isSign := func(c byte) bool { return c == '-' || c == '+' }
	f := r.format
	switch {
	case f.signed && read:
		if len(r.in) > 1 && isSign(r.in[1]) {
			r.sign, r.in = r.in[1], r.in[1:]
		}
	case !read && !f.signed && (f.plus || f.minus) && isSign(r.in[0]):
		r.sign = r.in[0]
	}
}

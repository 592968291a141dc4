package builtin

import (
	"math"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// exponential is a number by EEEE: one digit before the point, so many behind it as the format
// has, and an exponent. What else stands in the format does not count.
func (n *numberFormat) exponential(v datum.Datum) string {
	var text string
	switch {
	case v.Type == datum.Numeric && v.D.Form != apd.Finite, v.Type.IsFloat() && (math.IsNaN(v.F) || math.IsInf(v.F, 0)):
		const ofExponent = 6 // with the sign and the point
		out := []byte(" " + strings.Repeat("#", n.pre+n.post+ofExponent-1))
		out[n.pre+1] = '.'
		return string(out)
	case v.Type == datum.Numeric:
		text = scientific(v.D, n.post)
	case v.Type == datum.Int8:
		text = scientific(apd.New(v.I, 0), n.post)
	case v.Type == datum.Int4:
		text = strconv.FormatFloat(float64(v.I), 'e', n.post, 64)
	default:
		text = strconv.FormatFloat(v.F, 'e', n.post, 64)
	}
	if !strings.HasPrefix(text, "-") {
		text = " " + text
	}
	return text
}

// scientific rounds a number to so many digits behind the first one, half away from zero.
func scientific(d *apd.Decimal, post int) string {
	if d.IsZero() {
		return strconv.FormatFloat(0, 'e', post, 64)
	}
	rounded := new(apd.Decimal)
	context := apd.BaseContext.WithPrecision(uint32(post) + 1) //nolint:gosec // the length of a format
	context.Rounding = apd.RoundHalfUp
	if _, err := context.Round(rounded, d); err != nil {
		return "NaN"
	}
	digits := rounded.Coeff.String()
	exponent := int(rounded.Exponent) + len(digits) - 1
	digits += strings.Repeat("0", max(post+1-len(digits), 0))
	out := digits[:1]
	if post > 0 {
		out += "." + digits[1:post+1]
	}
	if rounded.Negative {
		out = "-" + out
	}
	sign := "+"
	if exponent < 0 {
		sign, exponent = "-", -exponent
	}
	power := strconv.Itoa(exponent)
	if len(power) == 1 {
		power = "0" + power
	}
	return out + "e" + sign + power
}

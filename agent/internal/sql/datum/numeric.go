package datum

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// PostgreSQL's limits of numeric: digits before and after the point.
const (
	maxNumericDigits = 131072
	maxNumericScale  = 16383
)

// parseNumeric reads PostgreSQL's text form.
func parseNumeric(s string) (Datum, error) {
	t := strings.TrimSpace(s)
	switch strings.ToLower(t) {
	case "nan":
		return MakeNumeric(&apd.Decimal{Form: apd.NaN}), nil
	case "infinity", "inf", "+infinity", "+inf":
		return MakeNumeric(&apd.Decimal{Form: apd.Infinite}), nil
	case "-infinity", "-inf":
		return MakeNumeric(&apd.Decimal{Form: apd.Infinite, Negative: true}), nil
	}
	if !plainNumber(t) {
		return Datum{}, invalidText(Numeric, s)
	}
	const around = 64 // a sign, the point, an exponent, zeros in front
	if len(t) > maxNumericDigits+maxNumericScale+around {
		return Datum{}, errorf(codeOutOfRange, "value overflows numeric format")
	}
	return scanNumeric(t)
}

// scanNumeric reads what plainNumber accepts. The decimal library has narrower
// limits than PostgreSQL, so its parser is no use here.
func scanNumeric(s string) (Datum, error) {
	overflow := errorf(codeOutOfRange, "value overflows numeric format")
	exponent := int64(0)
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, err := strconv.ParseInt(s[i+1:], 10, 32)
		if err != nil || e > maxNumericDigits || e < -maxNumericDigits {
			return Datum{}, overflow
		}
		s, exponent = s[:i], e
	}
	d := &apd.Decimal{Negative: s[0] == '-'}
	whole, fraction, _ := strings.Cut(strings.TrimLeft(s, "+-"), ".")
	exponent -= int64(len(fraction))
	if _, ok := d.Coeff.SetString(whole+fraction, 10); !ok {
		return Datum{}, overflow
	}
	d.Exponent = int32(exponent)
	return finishNumeric(d)
}

// plainNumber reports whether s is [sign] digits [. digits] [e [sign] digits].
func plainNumber(s string) bool {
	i, digits := 0, 0
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		i++
	}
	for ; i < len(s) && (isDigit(s[i]) || s[i] == '.'); i++ {
		if s[i] == '.' {
			if strings.IndexByte(s[:i], '.') >= 0 {
				return false
			}
			continue
		}
		digits++
	}
	if digits == 0 {
		return false
	}
	if i == len(s) {
		return true
	}
	if s[i] != 'e' && s[i] != 'E' {
		return false
	}
	if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
		i++
	}
	rest := s[i:]
	return rest != "" && strings.Trim(rest, "0123456789") == ""
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// finishNumeric checks the limits and gives d a display scale of at least zero.
func finishNumeric(d *apd.Decimal) (Datum, error) {
	if d.NumDigits()+int64(d.Exponent) > maxNumericDigits || -int64(d.Exponent) > maxNumericScale {
		return Datum{}, errorf(codeOutOfRange, "value overflows numeric format")
	}
	if d.IsZero() {
		d.Negative = false
	}
	if d.Exponent > 0 {
		if d.IsZero() {
			d.Exponent = 0
		} else {
			scaleUp(d)
		}
	}
	return MakeNumeric(d), nil
}

// scaleUp makes a positive exponent zero by multiplying the coefficient.
func scaleUp(d *apd.Decimal) {
	var ten, power apd.BigInt
	ten.SetInt64(10)
	power.SetInt64(int64(d.Exponent))
	power.Exp(&ten, &power, nil)
	d.Coeff.Mul(&d.Coeff, &power)
	d.Exponent = 0
}

func appendNumeric(dst []byte, d *apd.Decimal) []byte {
	switch d.Form {
	case apd.Infinite:
		if d.Negative {
			return append(dst, "-Infinity"...)
		}
		return append(dst, "Infinity"...)
	case apd.Finite:
		return d.Append(dst, 'f')
	default:
		return append(dst, "NaN"...)
	}
}

// applyNumericModifier rounds d to the scale of numeric(p,s).
func applyNumericModifier(d Datum, modifier int32) (Datum, error) {
	precision, scale := int64((modifier-4)>>16&0xffff), (modifier-4)&0x7ff
	if scale > 1023 {
		scale -= 2048 // negative scales are kept in eleven bits
	}
	if d.D.Form != apd.Finite {
		if d.D.Form == apd.Infinite {
			e := NumericOverflow(precision, scale)
			e.Detail = "A field with precision " + strconv.FormatInt(precision, 10) + ", scale " + strconv.Itoa(int(scale)) + " cannot hold an infinite value."
			return Datum{}, e
		}
		return d, nil
	}
	out := new(apd.Decimal)
	if d.D.Exponent == -scale {
		out = d.D
	} else if err := roundTo(out, d.D, scale); err != nil {
		return Datum{}, err
	}
	if !out.IsZero() && out.NumDigits()+int64(out.Exponent) > precision-int64(scale) {
		return Datum{}, NumericOverflow(precision, scale)
	}
	if out != d.D && out.Exponent > 0 {
		return finishNumeric(out)
	}
	return MakeNumeric(out), nil
}

// roundTo rounds half away from zero, as PostgreSQL does.
func roundTo(out, in *apd.Decimal, scale int32) error {
	ctx := apd.BaseContext.WithPrecision(uint32(max(in.NumDigits()+int64(max(scale, 0))+int64(max(in.Exponent, 0))+2, 1)))
	ctx.Rounding = apd.RoundHalfUp
	if _, err := ctx.Quantize(out, in, -scale); err != nil {
		return errorf(codeOutOfRange, "value overflows numeric format")
	}
	if out.IsZero() {
		out.Negative = false
	}
	return nil
}

// NumericOverflow is the error of a number that a numeric(precision, scale) cannot hold.
func NumericOverflow(precision int64, scale int32) *Error {
	e := errorf(codeOutOfRange, "numeric field overflow")
	e.Detail = "A field with precision " + strconv.FormatInt(precision, 10) + ", scale " + strconv.Itoa(int(scale)) +
		" must round to an absolute value less than 10^" + strconv.FormatInt(precision-int64(scale), 10) + "."
	return e
}

// RoundNumeric rounds to scale digits after the point, half away from zero.
func RoundNumeric(d *apd.Decimal, scale int32) (*apd.Decimal, error) {
	if d.Form != apd.Finite {
		return d, nil
	}
	out := new(apd.Decimal)
	if err := roundTo(out, d, scale); err != nil {
		return nil, err
	}
	return out, nil
}

// PostgreSQL's binary numeric: base-10000 digits.
const (
	numericPositive = 0x0000
	numericNegative = 0x4000
	numericNaN      = 0xC000
	numericPlusInf  = 0xD000
	numericMinusInf = 0xF000
	numericInfScale = 0x20 // PostgreSQL takes it from the bits of the sign
)

func appendNumericBinary(dst []byte, d *apd.Decimal) []byte {
	header := func(n int, weight int16, sign, scale uint16) {
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
		dst = binary.BigEndian.AppendUint16(dst, uint16(weight))
		dst = binary.BigEndian.AppendUint16(dst, sign)
		dst = binary.BigEndian.AppendUint16(dst, scale)
	}
	switch d.Form {
	case apd.Finite:
	case apd.Infinite:
		if d.Negative {
			header(0, 0, numericMinusInf, numericInfScale)
		} else {
			header(0, 0, numericPlusInf, numericInfScale)
		}
		return dst
	default:
		header(0, 0, numericNaN, 0)
		return dst
	}
	digits := d.Coeff.Append(nil, 10)
	scale := -int(d.Exponent)
	for ; scale < 0; scale++ {
		digits = append(digits, '0')
	}
	groups, weight := numericGroups(digits, scale)
	sign := uint16(numericPositive)
	if d.Negative && len(groups) > 0 {
		sign = numericNegative
	}
	header(len(groups), int16(weight), sign, uint16(scale))
	for _, g := range groups {
		dst = binary.BigEndian.AppendUint16(dst, g)
	}
	return dst
}

// numericGroups splits decimal digits, of which scale stand after the point,
// into base-10000 digits without zeros at either end.
func numericGroups(digits []byte, scale int) (groups []uint16, weight int) {
	before := len(digits) - scale // digits before the point; may be negative
	weight = floorDiv(before+3, 4) - 1
	pos := before - (weight+1)*4 // index of the first group's first digit, <= 0
	for ; pos < len(digits); pos += 4 {
		g := uint16(0)
		for i := pos; i < pos+4; i++ {
			g *= 10
			if i >= 0 && i < len(digits) {
				g += uint16(digits[i] - '0')
			}
		}
		if len(groups) == 0 && g == 0 {
			weight--
			continue
		}
		groups = append(groups, g)
	}
	for len(groups) > 0 && groups[len(groups)-1] == 0 {
		groups = groups[:len(groups)-1]
	}
	if len(groups) == 0 {
		weight = 0
	}
	return groups, weight
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func parseNumericBinary(b []byte) (Datum, error) {
	const header = 8
	if len(b) < header {
		return Datum{}, tooShort()
	}
	n, weight := int(binary.BigEndian.Uint16(b)), int(int16(binary.BigEndian.Uint16(b[2:])))
	sign, scale := binary.BigEndian.Uint16(b[4:]), int(binary.BigEndian.Uint16(b[6:]))
	if !slices.Contains([]uint16{numericPositive, numericNegative, numericNaN, numericPlusInf, numericMinusInf}, sign) {
		return Datum{}, external("sign", Numeric)
	}
	if scale > maxNumericScale {
		return Datum{}, external("scale", Numeric)
	}
	digits := make([]byte, 0, min(4*n+1, 2*len(b)))
	for i := range n {
		if len(b) < header+2*i+2 {
			return Datum{}, tooShort()
		}
		g := binary.BigEndian.Uint16(b[header+2*i:])
		if g > 9999 {
			return Datum{}, external("digit", Numeric)
		}
		digits = append(digits, byte('0'+g/1000), byte('0'+g/100%10), byte('0'+g/10%10), byte('0'+g%10))
	}
	if len(b) > header+2*n {
		return Datum{}, ErrSurplus
	}
	switch sign {
	case numericNaN:
		return MakeNumeric(&apd.Decimal{Form: apd.NaN}), nil
	case numericPlusInf, numericMinusInf:
		return MakeNumeric(&apd.Decimal{Form: apd.Infinite, Negative: sign == numericMinusInf}), nil
	}
	if n == 0 {
		digits = append(digits, '0')
	}
	d := new(apd.Decimal)
	d.Coeff.SetString(string(digits), 10) // they are digits
	if n > 0 {
		d.Exponent = int32((weight - n + 1) * 4)
	}
	d.Negative = sign == numericNegative
	// The digits are whole groups; the display scale says how many to show.
	if d.IsZero() {
		return MakeNumeric(&apd.Decimal{Exponent: int32(-scale)}), nil
	}
	if over := -d.Exponent - maxNumericScale; over <= 0 || over >= 4 { // else the last group goes beyond the limit
		if _, err := finishNumeric(d); err != nil {
			return Datum{}, err
		}
	}
	rescale(d, int32(scale))
	return MakeNumeric(d), nil
}

// rescale gives d so many digits behind the point; others are cut, as PostgreSQL does with what
// it receives.
func rescale(d *apd.Decimal, scale int32) {
	var power, rest apd.BigInt
	by := int64(d.Exponent) + int64(scale)
	power.Exp(apd.NewBigInt(10), apd.NewBigInt(max(by, -by)), nil)
	if by < 0 {
		d.Coeff.QuoRem(&d.Coeff, &power, &rest)
	} else {
		d.Coeff.Mul(&d.Coeff, &power)
	}
	d.Exponent = -scale
	d.Negative = d.Negative && !d.IsZero()
}

// Order bytes of a numeric in a key.
const (
	keyNumericMinusInf = 1
	keyNumericNegative = 2
	keyNumericZero     = 3
	keyNumericPositive = 4
	keyNumericPlusInf  = 5
	keyNumericNaN      = 6
)

// appendNumericKey writes a rank byte, then for finite values that are not zero
// the decimal exponent and the significant digits, all inverted if negative.
func appendNumericKey(dst []byte, d *apd.Decimal) []byte {
	switch {
	case d.Form == apd.Infinite && d.Negative:
		return append(dst, keyNumericMinusInf)
	case d.Form == apd.Infinite:
		return append(dst, keyNumericPlusInf)
	case d.Form != apd.Finite:
		return append(dst, keyNumericNaN)
	case d.IsZero():
		return append(dst, keyNumericZero)
	}
	start := len(dst) + 1
	if d.Negative {
		dst = append(dst, keyNumericNegative)
	} else {
		dst = append(dst, keyNumericPositive)
	}
	digits := d.Coeff.Append(nil, 10)
	exponent := int32(len(digits)) + d.Exponent // value = 0.digits * 10^exponent
	end := len(digits)
	for end > 0 && digits[end-1] == '0' {
		end--
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(exponent)^(1<<31))
	for _, c := range digits[:end] {
		dst = append(dst, c-'0'+1)
	}
	dst = append(dst, 0)
	if d.Negative {
		for i := start; i < len(dst); i++ {
			dst[i] = ^dst[i]
		}
	}
	return dst
}

// decodeNumericKey reads what appendNumericKey wrote; the display scale is the
// smallest that shows the value.
func decodeNumericKey(b []byte) (Datum, []byte, error) {
	if len(b) == 0 {
		return Datum{}, nil, errKeyTruncated
	}
	rank, b := b[0], b[1:]
	var flip byte
	switch rank {
	case keyNumericMinusInf, keyNumericPlusInf:
		return MakeNumeric(&apd.Decimal{Form: apd.Infinite, Negative: rank == keyNumericMinusInf}), b, nil
	case keyNumericNaN:
		return MakeNumeric(&apd.Decimal{Form: apd.NaN}), b, nil
	case keyNumericZero:
		return MakeNumeric(new(apd.Decimal)), b, nil
	case keyNumericNegative:
		flip = 0xff
	case keyNumericPositive:
	default:
		return Datum{}, nil, errKeyMalformed
	}
	if len(b) < 6 {
		return Datum{}, nil, errKeyTruncated
	}
	exponent := int64(int32((binary.BigEndian.Uint32(b) ^ (uint32(flip) * 0x01010101)) ^ (1 << 31)))
	b = b[4:]
	var digits []byte
	for i, c := range b {
		c ^= flip
		if c == 0 {
			return finishNumericKey(digits, exponent, rank == keyNumericNegative, b[i+1:])
		}
		if c > 10 {
			return Datum{}, nil, errKeyMalformed
		}
		digits = append(digits, '0'+c-1)
	}
	return Datum{}, nil, errKeyTruncated
}

func finishNumericKey(digits []byte, exponent int64, negative bool, rest []byte) (Datum, []byte, error) {
	n := int64(len(digits))
	if n == 0 || digits[0] == '0' || digits[n-1] == '0' || exponent > maxNumericDigits || exponent < -2*maxNumericDigits || n > 2*maxNumericDigits || exponent-n < math.MinInt32 {
		return Datum{}, nil, errKeyMalformed
	}
	d := &apd.Decimal{Negative: negative, Exponent: int32(exponent - n)}
	if _, ok := d.Coeff.SetString(string(digits), 10); !ok {
		return Datum{}, nil, errKeyMalformed
	}
	if d.Exponent > 0 {
		scaleUp(d)
	}
	return MakeNumeric(d), rest, nil
}

// FinishNumeric makes a numeric of a computed value: within PostgreSQL's limits,
// with a display scale of at least zero. The caller gives d away.
func FinishNumeric(d *apd.Decimal) (Datum, error) {
	if d.Form != apd.Finite {
		if d.Form != apd.Infinite {
			d = &apd.Decimal{Form: apd.NaN}
		}
		return MakeNumeric(d), nil
	}
	return finishNumeric(d)
}

// NumericWeight returns the power of 10,000 of the first base-10,000 digit of a
// finite value, and that digit.
func NumericWeight(d *apd.Decimal) (weight int, first int) {
	digits := d.Coeff.Append(nil, 10)
	groups, weight := numericGroups(digits, -int(d.Exponent))
	if len(groups) == 0 {
		return 0, 0
	}
	return weight, int(groups[0])
}

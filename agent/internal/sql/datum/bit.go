package datum

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Bit strings are kept in S as their digits, 0 and 1: the order of such texts is that of
// PostgreSQL.

// maxBits is PostgreSQL's limit of a bit string that is read in binary form.
const maxBits = 1 << 31

// parseBits reads 0101, b0101 and x1f.
func parseBits(t Type, s string) (Datum, error) {
	digits := s
	if s != "" && (s[0] == 'x' || s[0] == 'X') {
		return parseHexBits(t, s[1:])
	}
	if s != "" && (s[0] == 'b' || s[0] == 'B') {
		digits = s[1:]
	}
	if bad := strings.Trim(digits, "01"); bad != "" {
		return Datum{}, errorf(codeInvalidText, "%q is not a valid binary digit", firstRune(strings.TrimLeft(digits, "01")))
	}
	return MakeString(t, digits), nil
}

func parseHexBits(t Type, digits string) (Datum, error) {
	var b strings.Builder
	for i := range len(digits) {
		n := strings.IndexByte("0123456789abcdef", digits[i]|0x20)
		if n < 0 || digits[i] < '0' {
			return Datum{}, errorf(codeInvalidText, "%q is not a valid hexadecimal digit", firstRune(digits[i:]))
		}
		fmt.Fprintf(&b, "%04b", n)
	}
	return MakeString(t, b.String()), nil
}

func appendBitsBinary(dst []byte, s string) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(s)))
	start := len(dst)
	dst = append(dst, make([]byte, (len(s)+7)/8)...)
	for i := range len(s) {
		if s[i] == '1' {
			dst[start+i/8] |= 0x80 >> (i % 8)
		}
	}
	return dst
}

func parseBitsBinary(t Type, b []byte) (Datum, error) {
	if len(b) < 4 {
		return Datum{}, tooShort()
	}
	n := int64(binary.BigEndian.Uint32(b))
	switch b = b[4:]; {
	case n >= maxBits:
		return Datum{}, errorf(codeInvalidBinary, "invalid length in external bit string")
	case int64(len(b)) < (n+7)/8:
		return Datum{}, tooShort()
	case int64(len(b)) > (n+7)/8:
		return Datum{}, ErrSurplus
	}
	digits := make([]byte, n)
	for i := range digits {
		digits[i] = '0' + b[i/8]>>(7-i%8)&1
	}
	return MakeString(t, string(digits)), nil
}

// applyBits makes a bit string fit bit(n), which has n digits, or bit varying(n), which
// has n at most; an explicit cast cuts, or adds zeros at the end.
func applyBits(d Datum, n int, explicit bool) (Datum, error) {
	switch {
	case len(d.S) == n || d.Type == Varbit && len(d.S) < n:
	case explicit && len(d.S) > n:
		d.S = d.S[:n]
	case explicit:
		d.S += strings.Repeat("0", n-len(d.S))
	case d.Type == Varbit:
		return Datum{}, errorf(codeTooLong, "bit string too long for type bit varying(%d)", n)
	default:
		return Datum{}, errorf(codeBitLength, "bit string length %d does not match type bit(%d)", len(d.S), n)
	}
	return d, nil
}

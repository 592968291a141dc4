package datum

import (
	"encoding/hex"
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// AppendText appends PostgreSQL's text form of d, which must not be null.
// Timestamptz is shown in loc (nil: UTC).
func AppendText(dst []byte, d Datum, loc *time.Location) []byte {
	if d.Type.IsArray() {
		return appendArrayText(dst, d, &Style{Location: loc})
	}
	if d.IsRow() {
		return appendRecordText(dst, d, &Style{Location: loc})
	}
	switch d.Type {
	case Bool:
		if d.I != 0 {
			return append(dst, 't')
		}
		return append(dst, 'f')
	case Int2, Int4, Int8, OID, Xid, Cid, Xid8:
		return strconv.AppendInt(dst, d.I, 10)
	case Regproc, Regprocedure, Regoper, Regoperator, Regclass, Regtype, Regrole, Regnamespace, Regcollation, Regconfig, Regdictionary:
		return appendRegistry(dst, d)
	case Float4:
		return appendFloat(dst, d.F, 32)
	case Float8:
		return appendFloat(dst, d.F, 64)
	case Numeric:
		return appendNumeric(dst, d.D)
	case Bytea:
		return appendHex(dst, d.S)
	case UUID:
		return appendUUID(dst, d.S)
	case Date:
		return appendDate(dst, d.I)
	case Timestamp:
		return appendTimestamp(dst, d.I, nil, false)
	case Timestamptz:
		return appendTimestamp(dst, d.I, loc, true)
	case Time:
		return appendClock(dst, d.I)
	case Inet, Cidr:
		return appendInet(dst, d, false)
	case Timetz:
		return appendOffset(appendClock(dst, d.I), -int(d.Days))
	case Interval:
		return appendInterval(dst, d)
	default:
		return append(dst, d.S...)
	}
}

// Text returns PostgreSQL's text form of d in UTC; "" for null.
func (d Datum) Text() string {
	if d.Null {
		return ""
	}
	return string(AppendText(nil, d, nil))
}

// appendFloat writes the shortest digits that read back as the same value.
func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	case f == 0:
		return strconv.AppendFloat(dst, f, 'f', -1, bits)
	}
	limit := 15
	if bits == 32 {
		limit = 6
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'e', digitsOf(f, bits), bits)
	e, err := strconv.Atoi(string(dst[strings.LastIndexByte(string(dst[start:]), 'e')+start+1:]))
	if err == nil && e >= -4 && e < limit {
		dst = strconv.AppendFloat(dst[:start], f, 'f', -1, bits)
	}
	return dst
}

// digitsOf is how many digits behind the first PostgreSQL shows of a number, -1 if as few as read
// back: those that lie just between two numbers are not taken, though they are read as this one.
func digitsOf(f float64, bits int) int {
	a, whole := math.Abs(f), float64(1<<53)
	if bits == 32 {
		whole = 1 << 24
	}
	if a < whole || !between(a, strconv.FormatFloat(a, 'f', -1, bits), bits) {
		return -1
	}
	for n := len(strings.TrimRight(strconv.FormatFloat(a, 'f', -1, bits), "0")); ; n++ {
		s := strconv.FormatFloat(a, 'e', n, bits)
		read, err := strconv.ParseFloat(s, bits)
		if err != nil || n >= 17 {
			return -1
		}
		if v, _, err := big.ParseFloat(s, 10, 2000, big.ToNearestEven); read == a && err == nil && !between(a, v.Text('f', 0), bits) {
			return n
		}
	}
}

// between reports whether the digits of a whole number are as far from f as from the next number.
func between(f float64, digits string, bits int) bool {
	exact, _ := new(big.Float).SetFloat64(f).Int(nil)
	read, ok := new(big.Int).SetString(digits, 10)
	if !ok || read.Cmp(exact) == 0 {
		return false
	}
	to := math.Inf(read.Cmp(exact))
	next := math.Nextafter(f, to)
	if bits == 32 {
		next = float64(math.Nextafter32(float32(f), float32(to)))
	}
	if math.IsInf(next, 0) {
		return false
	}
	other, _ := new(big.Float).SetFloat64(next).Int(nil)
	off := new(big.Int).Sub(read, exact)
	return off.Lsh(off, 1).Cmp(other.Sub(other, exact)) == 0
}

func appendUUID(dst []byte, b string) []byte {
	if len(b) != 16 {
		return append(dst, b...)
	}
	for i, part := range []string{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, []byte(part))
	}
	return dst
}

// Parse reads PostgreSQL's text form of a value of type t. Timestamps without a zone are
// read in the zone of r (nil: as its zero value) when t is Timestamptz.
func (r *Reading) Parse(t Type, s string) (Datum, error) {
	if r == nil {
		r = &Reading{}
	}
	switch {
	case t.IsVector():
		return parseVector(t, s)
	case t.IsArray():
		return r.parseArrayText(t, s)
	case t.IsEnum():
		return parseEnum(t, s)
	case t.IsComposite():
		return r.parseComposite(t, s)
	case t.IsRegistry():
		return parseRegistry(t, s)
	}
	switch t {
	case Tid:
		return parseTid(s)
	case Unknown, Text, Varchar, Bpchar, NodeTree, ACLItem, LSN, AnyArray:
		return parseString(t, s)
	case Name, Char:
		return parseShort(t, s)
	case Bool:
		return parseBool(s)
	case Int2, Int4, Int8, OID, Xid, Cid, Xid8:
		return parseInt(t, s)
	case Float4, Float8:
		return parseFloat(t, s)
	case Numeric:
		return parseNumeric(s)
	case Bytea:
		return parseBytea(s)
	case UUID:
		return parseUUID(s)
	case Date:
		return r.parseDate(s)
	case Timestamp, Timestamptz:
		return r.parseTimestamp(t, s)
	case Time, Timetz:
		return parseTimeOfDay(t, s, r.Location)
	case Interval:
		return parseInterval(s)
	case JSON, JSONB:
		return parseJSON(t, s)
	case Inet, Cidr:
		return parseInet(t, s)
	case Bit, Varbit:
		return parseBits(t, s)
	default:
		return Datum{}, errorf(codeNotSupported, "type %s is not supported", t.SQLName())
	}
}

// parseString refuses what PostgreSQL cannot hold in a UTF-8 database.
func parseString(t Type, s string) (Datum, error) {
	if i := strings.IndexByte(s, 0); i >= 0 {
		return Datum{}, errorf(codeBadEncoding, `invalid byte sequence for encoding "UTF8": 0x00`)
	}
	if !utf8.ValidString(s) {
		return Datum{}, badUTF8(s)
	}
	return Datum{Type: t, S: s}, nil
}

// parseShort cuts what a name or a "char" cannot hold, as PostgreSQL does.
func parseShort(t Type, s string) (Datum, error) {
	d, err := parseString(t, s)
	if err != nil {
		return d, err
	}
	if t == Char {
		if s != "" && s[0] >= utf8.RuneSelf {
			return Datum{}, errorf(codeBadEncoding, `a value of type "char" is one byte, and %q has more in UTF8`, firstRune(s))
		}
		d.S = s[:min(len(s), 1)]
		if len(s) == 4 && s[0] == '\\' && strings.Trim(s[1:], "01234567") == "" { // a byte by its number
			n, err := strconv.ParseUint(s[1:], 8, 8)
			if err != nil || n >= utf8.RuneSelf {
				return Datum{}, errorf("0A000", `a "char" of a byte above 127, %s, is not supported`, s)
			}
			d.S = strings.TrimRight(string(rune(n)), "\x00")
		}
		return d, nil
	}
	for len(d.S) > maxNameBytes {
		_, n := utf8.DecodeLastRuneInString(d.S)
		d.S = d.S[:len(d.S)-n]
	}
	return d, nil
}

// maxNameBytes is the length of PostgreSQL's names.
const maxNameBytes = 63

func firstRune(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return s[:n]
}

func badUTF8(s string) *Error {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return errorf(codeBadEncoding, `invalid byte sequence for encoding "UTF8": 0x%02x`, s[i])
			}
		}
	}
	return errorf(codeBadEncoding, `invalid byte sequence for encoding "UTF8"`)
}

func parseBool(s string) (Datum, error) {
	t := strings.ToLower(strings.TrimSpace(s))
	if t != "" {
		switch {
		case strings.HasPrefix("true", t), strings.HasPrefix("yes", t), t == "on", t == "1":
			return MakeBool(true), nil
		case strings.HasPrefix("false", t), strings.HasPrefix("no", t), t == "of", t == "off", t == "0":
			return MakeBool(false), nil
		}
	}
	return Datum{}, invalidText(Bool, s)
}

// intRange returns the smallest and largest value of an integer type.
func intRange(t Type) (lo, hi int64) {
	switch t {
	case Int2:
		return math.MinInt16, math.MaxInt16
	case Int4:
		return math.MinInt32, math.MaxInt32
	case OID, Xid, Cid:
		return 0, math.MaxUint32
	default:
		return math.MinInt64, math.MaxInt64
	}
}

func parseInt(t Type, s string) (Datum, error) {
	digits := strings.TrimSpace(s)
	i, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		if errIsRange(err) || outgrows(t, digits) {
			return Datum{}, outOfRange(t, s)
		}
		return Datum{}, invalidText(t, s)
	}
	return CheckInt(t, i, s)
}

// outgrows reports whether the digits that a text begins with are too many already: PostgreSQL
// does not read on then.
func outgrows(t Type, s string) bool {
	n := 0
	if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
		n = 1
	}
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	i, err := strconv.ParseInt(s[:n], 10, 64)
	lo, hi := intRange(t)
	return errIsRange(err) || err == nil && (i < lo || i > hi)
}

func errIsRange(err error) bool {
	return errors.Is(err, strconv.ErrRange)
}

// CheckInt returns i as a t, or 22003 with the text s (may be empty).
func CheckInt(t Type, i int64, s string) (Datum, error) {
	if lo, hi := intRange(t); i < lo || i > hi {
		if s == "" {
			name := t.SQLName()
			if t == OID {
				name = "OID"
			}
			return Datum{}, errorf(codeOutOfRange, "%s out of range", name)
		}
		return Datum{}, outOfRange(t, s)
	}
	return Datum{Type: t, I: i}, nil
}

func parseFloat(t Type, s string) (Datum, error) {
	digits := strings.TrimSpace(s)
	switch strings.ToLower(digits) {
	case "nan", "+nan", "-nan": // as the C library reads them, and writes a negated one
		return MakeFloat(t, math.NaN()), nil
	case "infinity", "inf", "+infinity", "+inf":
		return MakeFloat(t, math.Inf(1)), nil
	case "-infinity", "-inf":
		return MakeFloat(t, math.Inf(-1)), nil
	}
	if !plainNumber(digits) {
		return Datum{}, invalidText(t, s)
	}
	bits := 64
	if t == Float4 {
		bits = 32
	}
	f, err := strconv.ParseFloat(digits, bits)
	if err != nil {
		if errIsRange(err) {
			return Datum{}, errorf(codeOutOfRange, "%q is out of range for type %s", clip(s), t.SQLName())
		}
		return Datum{}, invalidText(t, s)
	}
	if f == 0 && strings.ContainsAny(mantissa(digits), "123456789") {
		return Datum{}, errorf(codeOutOfRange, "%q is out of range for type %s", clip(s), t.SQLName())
	}
	return MakeFloat(t, f), nil
}

func mantissa(s string) string {
	m, _, _ := strings.Cut(strings.ToLower(s), "e")
	return m
}

func parseBytea(s string) (Datum, error) {
	if digits, ok := strings.CutPrefix(s, `\x`); ok {
		b, err := hex.DecodeString(strings.Map(dropSpace, digits))
		if err != nil {
			return Datum{}, errorf(codeInvalidText, "invalid hexadecimal data for type bytea")
		}
		return MakeString(Bytea, string(b)), nil
	}
	if strings.IndexByte(s, '\\') < 0 {
		return MakeString(Bytea, s), nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\':
			out = append(out, s[i])
		case i+1 < len(s) && s[i+1] == '\\':
			out = append(out, '\\')
			i++
		case i+3 < len(s) && isOctal(s[i+1:i+4]):
			out = append(out, (s[i+1]-'0')<<6|(s[i+2]-'0')<<3|(s[i+3]-'0'))
			i += 3
		default:
			return Datum{}, errorf(codeInvalidText, "invalid input syntax for type bytea")
		}
	}
	return MakeString(Bytea, string(out)), nil
}

func dropSpace(r rune) rune {
	if r == ' ' || r == '\n' || r == '\t' || r == '\r' {
		return -1
	}
	return r
}

func isOctal(s string) bool {
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' && s[2] <= '7'
}

// parseUUID reads 32 hexadecimal digits, with hyphens after any group of four
// and braces around, as PostgreSQL does.
func parseUUID(s string) (Datum, error) {
	t := strings.TrimSpace(s)
	if strings.HasPrefix(t, "{") && strings.HasSuffix(t, "}") && len(t) >= 2 {
		t = t[1 : len(t)-1]
	}
	digits := make([]byte, 0, 32)
	for i := 0; i < len(t); i++ {
		if t[i] == '-' {
			if len(digits) == 0 || len(digits)%4 != 0 || i == len(t)-1 || t[i-1] == '-' {
				return Datum{}, invalidText(UUID, s)
			}
			continue
		}
		if len(digits) == 32 {
			return Datum{}, invalidText(UUID, s)
		}
		digits = append(digits, t[i])
	}
	var b [16]byte
	if len(digits) != 32 {
		return Datum{}, invalidText(UUID, s)
	}
	if _, err := hex.Decode(b[:], digits); err != nil {
		return Datum{}, invalidText(UUID, s)
	}
	return MakeString(UUID, string(b[:])), nil
}

// ApplyModifier makes d fit a column with the typmod: numeric(p,s) rounds,
// varchar(n) and char(n) refuse (or, in an explicit cast, cut) what is too long, and
// char(n) is filled up; times are rounded, and intervals cut to their fields. That of an
// array is its elements'.
func ApplyModifier(d Datum, modifier int32, explicit bool) (Datum, error) {
	if d.Null || modifier < 0 {
		return d, nil
	}
	if d.Type.IsArray() {
		values := make([]Datum, len(d.A.Values))
		for i, v := range d.A.Values {
			var err error
			if values[i], err = ApplyModifier(v, modifier, explicit); err != nil {
				return Datum{}, err
			}
		}
		out := MakeArrayOf(d.Type.Elem(), values, d.A.Dims)
		out.Type = d.Type
		return out, nil
	}
	switch d.Type {
	case Numeric:
		return applyNumericModifier(d, modifier)
	case Varchar:
		return applyLength(d, int(modifier-4), explicit)
	case Bpchar:
		d, err := applyLength(d, int(modifier-4), explicit)
		if n := int(modifier-4) - utf8.RuneCountInString(d.S); n > 0 && err == nil {
			d.S += strings.Repeat(" ", n)
		}
		return d, err
	case Bit, Varbit:
		return applyBits(d, int(modifier), explicit)
	case Timestamp, Timestamptz, Time, Timetz:
		return RoundTime(d, modifier), nil
	case Interval:
		return cutInterval(d, modifier), nil
	default:
		return d, nil
	}
}

func applyLength(d Datum, limit int, explicit bool) (Datum, error) {
	if len(d.S) <= limit || utf8.RuneCountInString(d.S) <= limit {
		return d, nil
	}
	cut := 0
	for range limit {
		_, n := utf8.DecodeRuneInString(d.S[cut:])
		cut += n
	}
	if !explicit && strings.Trim(d.S[cut:], " ") != "" {
		return Datum{}, errorf(codeTooLong, "value too long for type %s(%d)", d.Type.SQLName(), limit)
	}
	d.S = d.S[:cut]
	return d, nil
}

// TypeString names a type with its modifier as PostgreSQL's format_type does.
func TypeString(t Type, modifier int32) string {
	if t.IsArray() {
		return TypeString(t.Elem(), modifier) + "[]"
	}
	if modifier >= 0 {
		switch t {
		case Timestamp, Timestamptz, Time, Timetz:
			name, zone, _ := strings.Cut(t.SQLName(), " ")
			return name + "(" + strconv.Itoa(int(modifier)) + ") " + zone
		case Bit, Varbit:
			return t.SQLName() + "(" + strconv.Itoa(int(modifier)) + ")"
		case Interval:
			return "interval" + intervalModifier(modifier)
		case Varchar, Bpchar:
			return t.SQLName() + "(" + strconv.Itoa(int(modifier-4)) + ")"
		case Numeric:
			m := modifier - 4
			return "numeric(" + strconv.Itoa(int(m>>16&0xffff)) + "," + strconv.Itoa(int(m&0x7ff)) + ")"
		}
	}
	return t.SQLName()
}

package builtin

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"math/bits"
	"strings"
	"unicode/utf8"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// byteas are the functions of bytea.
var byteas = []Function{
	{Name: "sha224", Args: []datum.Type{datum.Bytea}, Result: datum.Bytea, Eval: hashed(func(b []byte) []byte { h := sha256.Sum224(b); return h[:] })},
	{Name: "sha256", Args: []datum.Type{datum.Bytea}, Result: datum.Bytea, Eval: hashed(func(b []byte) []byte { h := sha256.Sum256(b); return h[:] })},
	{Name: "sha384", Args: []datum.Type{datum.Bytea}, Result: datum.Bytea, Eval: hashed(func(b []byte) []byte { h := sha512.Sum384(b); return h[:] })},
	{Name: "sha512", Args: []datum.Type{datum.Bytea}, Result: datum.Bytea, Eval: hashed(func(b []byte) []byte { h := sha512.Sum512(b); return h[:] })},
	{Name: "encode", Args: []datum.Type{datum.Bytea, datum.Text}, Result: datum.Text, Eval: encode},
	{Name: "decode", Args: []datum.Type{datum.Text, datum.Text}, Result: datum.Bytea, Eval: decode},
	{Name: "convert_from", Args: []datum.Type{datum.Bytea, datum.Name}, Result: datum.Text, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		if err := isUTF8(a[1].S, "source"); err != nil {
			return datum.Datum{}, err
		}
		if err := validUTF8(a[0].S); err != nil {
			return datum.Datum{}, err
		}
		return datum.MakeText(a[0].S), nil
	}},
	{Name: "convert_to", Args: []datum.Type{datum.Text, datum.Name}, Result: datum.Bytea, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeString(datum.Bytea, a[0].S), isUTF8(a[1].S, "destination")
	}},
	{Name: "get_byte", Args: []datum.Type{datum.Bytea, datum.Int4}, Result: datum.Int4, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		if err := indexIn(a[1].I, int64(len(a[0].S))); err != nil {
			return datum.Datum{}, err
		}
		return datum.MakeInt(datum.Int4, int64(a[0].S[a[1].I])), nil
	}},
	{Name: "set_byte", Args: []datum.Type{datum.Bytea, datum.Int4, datum.Int4}, Result: datum.Bytea, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		if err := indexIn(a[1].I, int64(len(a[0].S))); err != nil {
			return datum.Datum{}, err
		}
		b := []byte(a[0].S)
		b[a[1].I] = byte(a[2].I)
		return datum.MakeString(datum.Bytea, string(b)), nil
	}},
	{Name: "get_bit", Args: []datum.Type{datum.Bytea, datum.Int8}, Result: datum.Int4, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		if err := indexIn(a[1].I, 8*int64(len(a[0].S))); err != nil {
			return datum.Datum{}, err
		}
		return datum.MakeInt(datum.Int4, int64(a[0].S[a[1].I/8]>>(a[1].I%8)&1)), nil
	}},
	{Name: "set_bit", Args: []datum.Type{datum.Bytea, datum.Int8, datum.Int4}, Result: datum.Bytea, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		if err := indexIn(a[1].I, 8*int64(len(a[0].S))); err != nil {
			return datum.Datum{}, err
		}
		if a[2].I != 0 && a[2].I != 1 {
			return datum.Datum{}, fail("22023", "new bit must be 0 or 1")
		}
		b, bit := []byte(a[0].S), byte(1)<<(a[1].I%8)
		if b[a[1].I/8] &^= bit; a[2].I == 1 {
			b[a[1].I/8] |= bit
		}
		return datum.MakeString(datum.Bytea, string(b)), nil
	}},
	{Name: "get_bit", Args: []datum.Type{datum.Bit, datum.Int4}, Result: datum.Int4, Eval: noBits},
	{Name: "set_bit", Args: []datum.Type{datum.Bit, datum.Int4, datum.Int4}, Result: datum.Int4, Eval: noBits},
	{Name: "bit_count", Args: []datum.Type{datum.Bytea}, Result: datum.Int8, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		n := 0
		for i := range len(a[0].S) {
			n += bits.OnesCount8(a[0].S[i])
		}
		return datum.MakeInt(datum.Int8, int64(n)), nil
	}},
	{Name: "substr", Args: []datum.Type{datum.Bytea, datum.Int4, datum.Int4}, Optional: 1, Result: datum.Bytea, Eval: substringOfBytes},
	{Name: "substring", Args: []datum.Type{datum.Bytea, datum.Int4, datum.Int4}, Optional: 1, Result: datum.Bytea, Eval: substringOfBytes},
	{Name: "overlay", Args: []datum.Type{datum.Bytea, datum.Bytea, datum.Int4, datum.Int4}, Optional: 1, Result: datum.Bytea, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		before, after, err := overlaid(a, len(a[0].S), len(a[1].S))
		if err != nil {
			return datum.Datum{}, err
		}
		return datum.MakeString(datum.Bytea, a[0].S[:before]+a[1].S+a[0].S[after:]), nil
	}},
	{Name: "position", Args: []datum.Type{datum.Bytea, datum.Bytea}, Result: datum.Int4, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeInt(datum.Int4, int64(strings.Index(a[0].S, a[1].S)+1)), nil
	}},
	{Name: "position", Args: []datum.Type{datum.Text, datum.Text}, Result: datum.Int4, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		i := strings.Index(a[0].S, a[1].S)
		if i < 0 {
			return datum.MakeInt(datum.Int4, 0), nil
		}
		return datum.MakeInt(datum.Int4, int64(utf8.RuneCountInString(a[0].S[:i])+1)), nil
	}},
	{Name: "btrim", Args: []datum.Type{datum.Bytea, datum.Bytea}, Result: datum.Bytea, Eval: trimmedBytes(true, true)},
	{Name: "ltrim", Args: []datum.Type{datum.Bytea, datum.Bytea}, Result: datum.Bytea, Eval: trimmedBytes(true, false)},
	{Name: "rtrim", Args: []datum.Type{datum.Bytea, datum.Bytea}, Result: datum.Bytea, Eval: trimmedBytes(false, true)},
	{Name: "btrim", Args: []datum.Type{datum.Text, datum.Text}, Optional: 1, Result: datum.Text, Eval: trimmedText(strings.Trim)},
	{Name: "ltrim", Args: []datum.Type{datum.Text, datum.Text}, Optional: 1, Result: datum.Text, Eval: trimmedText(strings.TrimLeft)},
	{Name: "rtrim", Args: []datum.Type{datum.Text, datum.Text}, Optional: 1, Result: datum.Text, Eval: trimmedText(strings.TrimRight)},
}

func noBits(*Env, []datum.Datum) (datum.Datum, error) {
	return datum.Datum{}, fail("0A000", "this function of bit is not supported: use substring of its text")
}

func hashed(f func([]byte) []byte) func(*Env, []datum.Datum) (datum.Datum, error) {
	return func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeString(datum.Bytea, string(f([]byte(a[0].S)))), nil
	}
}

func trimmedText(f func(s, set string) string) func(*Env, []datum.Datum) (datum.Datum, error) {
	return func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		set := " "
		if len(a) > 1 {
			set = a[1].S
		}
		return datum.MakeText(f(a[0].S, set)), nil
	}
}

func trimmedBytes(left, right bool) func(*Env, []datum.Datum) (datum.Datum, error) {
	return func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		s, in := a[0].S, func(b byte) bool { return strings.IndexByte(a[1].S, b) >= 0 }
		for left && s != "" && in(s[0]) {
			s = s[1:]
		}
		for right && s != "" && in(s[len(s)-1]) {
			s = s[:len(s)-1]
		}
		return datum.MakeString(datum.Bytea, s), nil
	}
}

func substringOfBytes(_ *Env, a []datum.Datum) (datum.Datum, error) {
	from, to, err := bounds(a, len(a[0].S))
	if err != nil {
		return datum.Datum{}, err
	}
	return datum.MakeString(datum.Bytea, a[0].S[from:to]), nil
}

// indexIn checks an index.
func indexIn(i, n int64) error {
	if i < 0 || i >= n {
		return fail("2202E", "index %d out of valid range, 0..%d", i, n-1)
	}
	return nil
}

// isUTF8 refuses other encodings.
func isUTF8(name, which string) error {
	switch strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name)) {
	case "utf8", "unicode":
		return nil
	case "latin1", "iso88591", "sqlascii", "win1252", "windows1252", "latin9", "eucjp", "sjis", "gbk", "big5", "win1251", "koi8r":
		return fail("0A000", "the encoding %s is not supported: use UTF8", name)
	}
	return fail("22023", "invalid %s encoding name %q", which, name)
}

func validUTF8(s string) error {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == 0 || r == utf8.RuneError && size <= 1 {
			n := 1
			for n < 4 && i+n < len(s) && s[i] >= 0xc0 && n < bits.LeadingZeros8(^s[i]) {
				n++
			}
			hexed := make([]string, n)
			for j := range hexed {
				hexed[j] = "0x" + hex.EncodeToString([]byte{s[i+j]})
			}
			return fail("22021", "invalid byte sequence for encoding \"UTF8\": %s", strings.Join(hexed, " "))
		}
		i += size
	}
	return nil
}

func encode(_ *Env, a []datum.Datum) (datum.Datum, error) {
	switch s := a[0].S; strings.ToLower(a[1].S) {
	case "hex":
		return datum.MakeText(hex.EncodeToString([]byte(s))), nil
	case "base64":
		const line = 76
		text := base64.StdEncoding.EncodeToString([]byte(s))
		var b strings.Builder
		for len(text) > line {
			b.WriteString(text[:line] + "\n")
			text = text[line:]
		}
		return datum.MakeText(b.String() + text), nil
	case "escape":
		var b strings.Builder
		for i := range len(s) {
			switch c := s[i]; {
			case c == 0 || c >= utf8.RuneSelf:
				b.Write([]byte{'\\', '0' + c>>6, '0' + c>>3&7, '0' + c&7})
			case c == '\\':
				b.WriteString(`\\`)
			default:
				b.WriteByte(c)
			}
		}
		return datum.MakeText(b.String()), nil
	}
	return datum.Datum{}, fail("22023", "unrecognized encoding: %q", a[1].S)
}

func decode(_ *Env, a []datum.Datum) (datum.Datum, error) {
	made := func(b []byte, err error) (datum.Datum, error) { return datum.MakeString(datum.Bytea, string(b)), err }
	switch s := []byte(a[0].S); strings.ToLower(a[1].S) {
	case "hex":
		return made(decodeHex(s))
	case "base64":
		return made(decodeBase64(s))
	case "escape":
		return made(decodeEscape(s))
	}
	return datum.Datum{}, fail("22023", "unrecognized encoding: %q", a[1].S)
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func decodeHex(s []byte) ([]byte, error) {
	var out []byte
	for i := 0; i < len(s); i++ {
		if isSpace(s[i]) {
			continue
		}
		for j := i; j < i+2; j++ {
			if j == len(s) {
				return nil, fail("22023", "invalid hexadecimal data: odd number of digits")
			}
			if !bytes.ContainsRune([]byte("0123456789abcdefABCDEF"), rune(s[j])) {
				r, _ := utf8.DecodeRune(s[j:])
				return nil, fail("22023", "invalid hexadecimal digit: %q", string(r))
			}
		}
		b, err := hex.DecodeString(string(s[i : i+2]))
		if err != nil {
			return nil, fail("22023", "invalid hexadecimal data")
		}
		out = append(out, b...)
		i++
	}
	return out, nil
}

func decodeBase64(s []byte) ([]byte, error) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	var out []byte
	value, n, end := 0, 0, 0
	for i, c := range s {
		at := strings.IndexByte(alphabet, c)
		switch {
		case isSpace(c):
			continue
		case c == '=':
			if end == 0 {
				if n < 2 {
					return nil, fail("22023", "unexpected \"=\" while decoding base64 sequence")
				}
				end = n
			}
			at = 0
		case at < 0:
			r, _ := utf8.DecodeRune(s[i:])
			return nil, fail("22023", "invalid symbol %q found while decoding base64 sequence", string(r))
		}
		value = value<<6 + at
		if n++; n == 4 {
			out = append(out, byte(value>>16))
			if end == 0 || end > 2 {
				out = append(out, byte(value>>8))
			}
			if end == 0 || end > 3 {
				out = append(out, byte(value))
			}
			value, n = 0, 0
		}
	}
	if n != 0 {
		return nil, fail("22023", "invalid base64 end sequence")
	}
	return out, nil
}

func decodeEscape(s []byte) ([]byte, error) {
	var out []byte
	for i := 0; i < len(s); i++ {
		octal := func(j int, most byte) bool { return j < len(s) && s[j] >= '0' && s[j] <= most }
		switch {
		case s[i] != '\\':
			out = append(out, s[i])
		case octal(i+1, '3') && octal(i+2, '7') && octal(i+3, '7'):
			out = append(out, (s[i+1]-'0')<<6|(s[i+2]-'0')<<3|(s[i+3]-'0'))
			i += 3
		case i+1 < len(s) && s[i+1] == '\\':
			out = append(out, '\\')
			i++
		default:
			return nil, fail("22P02", "invalid input syntax for type %s", "bytea")
		}
	}
	return out, nil
}

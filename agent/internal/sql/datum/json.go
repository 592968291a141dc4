package datum

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxJSONDepth bounds recursion; the standard decoder stops at 10,000 itself.
const maxJSONDepth = 1000

// parseJSON checks s; JSONB is brought to PostgreSQL's output form: keys by
// length then bytes, the last of equal keys, one space after ':' and ','.
func parseJSON(t Type, s string) (Datum, error) {
	if !utf8.ValidString(s) {
		return Datum{}, badUTF8(s)
	}
	if t == JSON {
		if !json.Valid([]byte(s)) {
			return Datum{}, badJSON(t)
		}
		return MakeString(JSON, s), nil
	}
	if strings.Contains(s, `\u`) && loneSurrogate(s) {
		return Datum{}, badJSON(t)
	}
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	out, err := normalizeJSON(make([]byte, 0, len(s)+len(s)/8), dec, 0)
	if err == nil {
		if _, err2 := dec.Token(); !errors.Is(err2, io.EOF) {
			err = badJSON(t)
		}
	}
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			return Datum{}, e
		}
		return Datum{}, badJSON(t)
	}
	return MakeString(JSONB, string(out)), nil
}

// loneSurrogate reports whether the escapes of a json have half of a character, which the
// decoder would make another one.
func loneSurrogate(s string) bool {
	high := -1 // where the other half has to stand
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			continue
		}
		at := i
		i++
		if s[i] != 'u' || i+5 > len(s) {
			continue
		}
		v, err := strconv.ParseUint(s[i+1:i+5], 16, 16)
		if err != nil {
			continue
		}
		i += 4
		low := v >= 0xDC00 && v < 0xE000
		if low != (high == at) {
			return true
		}
		if high = -1; v >= 0xD800 && v < 0xDC00 {
			high = i + 1
		}
	}
	return high >= 0
}

func badJSON(t Type) *Error {
	return errorf(codeInvalidText, "invalid input syntax for type %s", t)
}

func normalizeJSON(dst []byte, dec *json.Decoder, depth int) ([]byte, error) {
	if depth > maxJSONDepth {
		return nil, errorf(codeTooManyNesting, "jsonb value is nested deeper than %d levels", maxJSONDepth)
	}
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch v := tok.(type) {
	case json.Delim:
		if v == '[' {
			return normalizeArray(dst, dec, depth)
		}
		return normalizeObject(dst, dec, depth)
	case string:
		if strings.IndexByte(v, 0) >= 0 {
			e := errorf("22P05", "unsupported Unicode escape sequence")
			e.Detail = `\u0000 cannot be converted to text.`
			return nil, e
		}
		return appendJSONString(dst, v), nil
	case json.Number:
		n, err := parseNumeric(v.String())
		if err != nil {
			return nil, err
		}
		return appendNumeric(dst, n.D), nil
	case bool:
		if v {
			return append(dst, "true"...), nil
		}
		return append(dst, "false"...), nil
	default:
		return append(dst, "null"...), nil
	}
}

func normalizeArray(dst []byte, dec *json.Decoder, depth int) ([]byte, error) {
	dst = append(dst, '[')
	for i := 0; dec.More(); i++ {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		var err error
		if dst, err = normalizeJSON(dst, dec, depth+1); err != nil {
			return nil, err
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	return append(dst, ']'), nil
}

type jsonField struct {
	key   string
	value []byte
}

func normalizeObject(dst []byte, dec *json.Decoder, depth int) ([]byte, error) {
	var fields []jsonField
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, err
		}
		key, ok := tok.(string)
		if !ok {
			return nil, badJSON(JSONB)
		}
		value, err := normalizeJSON(nil, dec, depth+1)
		if err != nil {
			return nil, err
		}
		fields = append(fields, jsonField{key, value})
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(fields, func(a, b jsonField) int {
		if len(a.key) != len(b.key) {
			return len(a.key) - len(b.key)
		}
		return strings.Compare(a.key, b.key)
	})
	dst = append(dst, '{')
	first := true
	for i, f := range fields {
		if i+1 < len(fields) && fields[i+1].key == f.key {
			continue // the last of equal keys wins
		}
		if !first {
			dst = append(dst, ", "...)
		}
		first = false
		dst = append(appendJSONString(dst, f.key), ": "...)
		dst = append(dst, f.value...)
	}
	return append(dst, '}'), nil
}

// appendJSONString escapes what PostgreSQL escapes, and nothing else.
func appendJSONString(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			if c < 0x20 {
				dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
			} else {
				dst = append(dst, c)
			}
		}
	}
	return append(dst, '"')
}

// NormalizeJSONB returns text in the form in which JSONB values are kept.
func NormalizeJSONB(text []byte) (Datum, error) {
	return parseJSON(JSONB, string(bytes.TrimSpace(text)))
}

// AppendAsJSON appends d, which must not be null, as to_json has it. Timestamptz is shown in
// loc (nil: UTC).
func AppendAsJSON(dst []byte, d Datum, loc *time.Location) []byte {
	switch {
	case d.Type.IsArray() && !d.Type.IsVector():
		return d.A.appendNested(dst, d.A.Dimensions(), "[]", func(dst []byte, v Datum) []byte {
			if v.Null {
				return append(dst, "null"...)
			}
			return AppendAsJSON(dst, v, loc)
		})
	case d.Type.IsComposite():
		dst = append(dst, '{')
		for i, f := range d.Type.CompositeType().Fields {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendJSONString(dst, f.Name), ':')
			if v := d.A.Values[i]; v.Null {
				dst = append(dst, "null"...)
			} else {
				dst = AppendAsJSON(dst, v, loc)
			}
		}
		return append(dst, '}')
	case d.Type == Bool:
		return strconv.AppendBool(dst, d.I != 0)
	case d.Type == JSON, d.Type == JSONB:
		return append(dst, d.S...)
	}
	text := string(AppendText(nil, d, loc))
	switch {
	case d.Type.IsNumber() && !strings.ContainsAny(text, "NI"): // NaN and Infinity are no numbers of JSON
		return append(dst, text...)
	case d.Type == Timestamp, d.Type == Timestamptz:
		text = isoTime(text, d.Type == Timestamptz)
	}
	return appendJSONString(dst, text)
}

// isoTime makes a timestamp one of ISO 8601.
func isoTime(text string, zoned bool) string {
	text, bc := strings.CutSuffix(text, " BC")
	date, clock, ok := strings.Cut(text, " ")
	if !ok { // infinity
		return text
	}
	if i := strings.LastIndexAny(clock, "+-"); zoned && i == len(clock)-len("+00") {
		clock += ":00"
	}
	text = date + "T" + clock
	if bc {
		text += " BC"
	}
	return text
}

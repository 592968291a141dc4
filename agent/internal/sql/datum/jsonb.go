package datum

import (
	"cmp"
	"iter"
	"strings"
)

// Values of jsonb are kept as text in one form (json.go), so that a part of one is a part
// of its text. What is here reads such texts, and allocates nothing for it.

// JSONKind says what a value of jsonb is. Kinds are in the order that PostgreSQL compares
// values of unlike kinds by.
type JSONKind uint8

// The kinds of jsonb values.
const (
	JSONNull JSONKind = iota
	JSONString
	JSONNumber
	JSONBool
	JSONArray
	JSONObject
)

var jsonKinds = [...]string{"null", "string", "number", "boolean", "array", "object"} //nolint:gochecknoglobals // a table

// String returns the name that jsonb_typeof gives.
func (k JSONKind) String() string { return jsonKinds[k] }

// KindOfJSON returns the kind of a value.
func KindOfJSON(j string) JSONKind {
	switch j[0] {
	case '{':
		return JSONObject
	case '[':
		return JSONArray
	case '"':
		return JSONString
	case 't', 'f':
		return JSONBool
	case 'n':
		return JSONNull
	default:
		return JSONNumber
	}
}

// jsonEnd returns where the value that begins at i ends.
func jsonEnd(s string, i int) int {
	switch s[i] {
	case '"':
		for i++; s[i] != '"'; i++ {
			if s[i] == '\\' {
				i++
			}
		}
		return i + 1
	case '{', '[':
		depth := 0
		for ; ; i++ {
			switch s[i] {
			case '"':
				i = jsonEnd(s, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	default:
		for i++; i < len(s) && s[i] != ',' && s[i] != ']' && s[i] != '}'; i++ {
		}
		return i
	}
}

// jsonGap is what stands between two elements, and between a key and its value.
const jsonGap = 2

// JSONElements goes through an array.
func JSONElements(array string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := 1; array[i] != ']'; {
			end := jsonEnd(array, i)
			if !yield(array[i:end]) {
				return
			}
			if i = end; array[i] == ',' {
				i += jsonGap
			}
		}
	}
}

// JSONFields goes through an object: keys are values of jsonb, too.
func JSONFields(object string) iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		for i := 1; object[i] != '}'; {
			end := jsonEnd(object, i)
			from := end + jsonGap
			to := jsonEnd(object, from)
			if !yield(object[i:end], object[from:to]) {
				return
			}
			if i = to; object[i] == ',' {
				i += jsonGap
			}
		}
	}
}

// JSONText returns the characters of a string.
func JSONText(quoted string) string {
	s := quoted[1 : len(quoted)-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		i++
		switch s[i] {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u': // a control character: no other is written so
			out = append(out, unhex(s[i+3])<<4|unhex(s[i+4]))
			i += 4
		default:
			out = append(out, s[i])
		}
	}
	return string(out)
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c - 'a' + 10
}

// QuoteJSON makes a string of characters.
func QuoteJSON(s string) string {
	return string(appendJSONString(make([]byte, 0, len(s)+2), s))
}

// jsonNumber reads a number.
func jsonNumber(s string) Datum {
	d, err := scanNumeric(s)
	if err != nil { // it was read before
		return MakeInt(Numeric, 0)
	}
	return d
}

// JSONLength returns how many elements an array has, or fields an object.
func JSONLength(j string) int {
	n := 0
	if KindOfJSON(j) == JSONArray {
		for range JSONElements(j) {
			n++
		}
		return n
	}
	for range JSONFields(j) {
		n++
	}
	return n
}

// CompareJSON orders values as PostgreSQL does, but strings by their bytes.
func CompareJSON(a, b string) int {
	if a == b {
		return 0
	}
	// A scalar is an array of one element to PostgreSQL, which an empty array is less than.
	if ka, kb := KindOfJSON(a), KindOfJSON(b); ka == JSONArray && kb < JSONArray && a == "[]" {
		return -1
	} else if kb == JSONArray && ka < JSONArray && b == "[]" {
		return 1
	}
	return compareJSON(a, b)
}

func compareJSON(a, b string) int {
	kind, other := KindOfJSON(a), KindOfJSON(b)
	if kind != other {
		return cmp.Compare(kind, other)
	}
	switch kind {
	case JSONString:
		return strings.Compare(JSONText(a), JSONText(b))
	case JSONNumber:
		return compareJSONNumbers(a, b)
	case JSONBool:
		return strings.Compare(a, b)
	case JSONArray:
		return compareJSONArrays(a, b)
	case JSONObject:
		return compareJSONObjects(a, b)
	default:
		return 0
	}
}

func compareJSONNumbers(a, b string) int {
	if a == b {
		return 0
	}
	return compareNumerics(jsonNumber(a).D, jsonNumber(b).D)
}

func compareJSONArrays(a, b string) int {
	if c := cmp.Compare(JSONLength(a), JSONLength(b)); c != 0 || a == "[]" {
		return c
	}
	next, stop := iter.Pull(JSONElements(b))
	defer stop()
	for x := range JSONElements(a) {
		y, _ := next()
		if c := compareJSON(x, y); c != 0 {
			return c
		}
	}
	return 0
}

func compareJSONObjects(a, b string) int {
	if c := cmp.Compare(JSONLength(a), JSONLength(b)); c != 0 || a == "{}" {
		return c
	}
	next, stop := iter.Pull2(JSONFields(b))
	defer stop()
	for key, x := range JSONFields(a) {
		other, y, _ := next()
		if c := strings.Compare(JSONText(key), JSONText(other)); c != 0 {
			return c
		}
		if c := compareJSON(x, y); c != 0 {
			return c
		}
	}
	return 0
}

// JSONField returns the value of a key; ok is false if j is no object that has it.
func JSONField(j, key string) (value string, ok bool) {
	if j[0] != '{' {
		return "", false
	}
	for k, v := range JSONFields(j) {
		if len(k) == len(key)+2 && k[1:len(k)-1] == key || strings.IndexByte(k, '\\') >= 0 && JSONText(k) == key {
			return v, true
		}
	}
	return "", false
}

// JSONElement returns an element of an array, counted from 0, or from -1 at its end. A
// scalar is an array of itself, as in PostgreSQL.
func JSONElement(j string, n int) (value string, ok bool) {
	switch KindOfJSON(j) {
	case JSONObject:
		return "", false
	case JSONArray:
	default:
		return j, n == 0 || n == -1
	}
	if n < 0 {
		if n += JSONLength(j); n < 0 {
			return "", false
		}
	}
	for v := range JSONElements(j) {
		if n == 0 {
			return v, true
		}
		n--
	}
	return "", false
}

// JSONPath follows keys of objects and numbers of elements, as #> does.
func JSONPath(j string, steps []string) (value string, ok bool) {
	for _, step := range steps {
		switch KindOfJSON(j) {
		case JSONObject:
			j, ok = JSONField(j, step)
		case JSONArray:
			var n Datum
			var err error
			if n, err = parseInt(Int4, step); err != nil {
				return "", false
			}
			j, ok = JSONElement(j, int(n.I))
		default:
			return "", false
		}
		if !ok {
			return "", false
		}
	}
	return j, true
}

// JSONAsText is what ->> makes of a value; ok is false for null.
func JSONAsText(j string) (text string, ok bool) {
	switch KindOfJSON(j) {
	case JSONNull:
		return "", false
	case JSONString:
		return JSONText(j), true
	default:
		return j, true
	}
}

// JSONContains is @>.
func JSONContains(j, part string) bool {
	kind, other := KindOfJSON(j), KindOfJSON(part)
	switch {
	case kind == JSONObject || other == JSONObject:
		return kind == other && objectContains(j, part)
	case kind == JSONArray && other == JSONArray:
		return arrayContains(j, part)
	case kind == JSONArray:
		return hasElement(j, part)
	case other == JSONArray:
		return false
	default:
		return compareJSON(j, part) == 0
	}
}

func objectContains(j, part string) bool {
	for key, want := range JSONFields(part) {
		has, ok := JSONField(j, JSONText(key))
		if !ok || !nestedContains(has, want) {
			return false
		}
	}
	return true
}

// nestedContains is containment below the top, where a scalar is no array.
func nestedContains(j, part string) bool {
	kind := KindOfJSON(part)
	if KindOfJSON(j) != kind {
		return false
	}
	switch kind {
	case JSONArray:
		return arrayContains(j, part)
	case JSONObject:
		return objectContains(j, part)
	default:
		return compareJSON(j, part) == 0
	}
}

func arrayContains(j, part string) bool {
	for want := range JSONElements(part) {
		if !hasElement(j, want) {
			return false
		}
	}
	return true
}

func hasElement(array, want string) bool {
	for has := range JSONElements(array) {
		if nestedContains(has, want) {
			return true
		}
	}
	return false
}

// JSONHas is ?: a key of an object, or a string of an array.
func JSONHas(j, key string) bool {
	switch KindOfJSON(j) {
	case JSONObject:
		_, ok := JSONField(j, key)
		return ok
	case JSONArray:
		for e := range JSONElements(j) {
			if e[0] == '"' && JSONText(e) == key {
				return true
			}
		}
		return false
	case JSONString:
		return JSONText(j) == key
	default:
		return false
	}
}

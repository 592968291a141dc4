package datum

import (
	"math"
	"strconv"
	"strings"
)

// arrayText is the text of an array while it is read.
type arrayText struct {
	whole string // as it was given, for errors
	rest  string
}

func (a *arrayText) malformed(detail string) error {
	bad := errorf(codeInvalidText, "malformed array literal: %q", clip(a.whole))
	bad.Detail = detail
	return bad
}

const arraySpaces = " \t\n\r\v\f"

// parseArrayText reads an array literal: {1,2}, {{1,2},{3,4}} or [0:1]={1,2}.
func (r *Reading) parseArrayText(t Type, s string) (Datum, error) {
	a := &arrayText{whole: s, rest: s}
	dims, err := a.bounds()
	if err != nil {
		return Datum{}, err
	}
	sizes, end, err := a.sizes()
	switch {
	case err != nil:
		return Datum{}, err
	case dims == nil:
		for _, n := range sizes {
			dims = append(dims, Dimension{Size: n, Lower: 1})
		}
	case !sameSizes(dims, sizes):
		return Datum{}, a.malformed("Specified array dimensions do not match array contents.")
	}
	n, err := checkDimensions(dims)
	if err != nil {
		return Datum{}, err
	}
	values := make([]Datum, 0, min(n, int64(len(s))))
	err = eachElement(a.rest[:end], func(text string, quoted bool) error {
		v := MakeNull(t.Elem())
		if quoted || !strings.EqualFold(text, "null") {
			var err error
			if v, err = r.Parse(t.Elem(), text); err != nil {
				return err
			}
		}
		values = append(values, v)
		return nil
	})
	if err != nil {
		return Datum{}, err
	}
	if int64(len(values)) != n { // PostgreSQL makes something else of them
		return Datum{}, errorf(codeNotSupported, "array literals with elements at several depths are not supported")
	}
	return MakeArrayOf(t.Elem(), values, dims), nil
}

func sameSizes(dims []Dimension, sizes []int32) bool {
	if len(dims) != len(sizes) {
		return false
	}
	for i := range dims {
		if dims[i].Size != sizes[i] {
			return false
		}
	}
	return true
}

// bounds reads the [1:3][0:1]= in front of an array; nil without.
func (a *arrayText) bounds() ([]Dimension, error) {
	var dims []Dimension
	for {
		a.rest = strings.TrimLeft(a.rest, arraySpaces)
		if !strings.HasPrefix(a.rest, "[") {
			break
		}
		a.rest = a.rest[1:]
		if len(dims) == maxDimensions {
			return nil, tooManyDimensions(len(dims) + 1)
		}
		upper, ok := a.number()
		if !ok {
			return nil, a.malformed(`"[" must introduce explicitly-specified array dimensions.`)
		}
		lower := int64(1)
		if strings.HasPrefix(a.rest, ":") {
			lower, a.rest = upper, a.rest[1:]
			if upper, ok = a.number(); !ok {
				return nil, a.malformed("Missing array dimension value.")
			}
		}
		if !strings.HasPrefix(a.rest, "]") {
			return nil, a.malformed(`Missing "]" after array dimensions.`)
		}
		a.rest = a.rest[1:]
		if upper < lower {
			return nil, errorf(codeArray, "upper bound cannot be less than lower bound")
		}
		size := min(upper-lower+1, math.MaxInt32) // which no contents have
		dims = append(dims, Dimension{Size: int32(size), Lower: int32(lower)})
	}
	if dims == nil {
		if !strings.HasPrefix(a.rest, "{") {
			return nil, a.malformed(`Array value must start with "{" or dimension information.`)
		}
		return nil, nil
	}
	if !strings.HasPrefix(a.rest, "=") {
		return nil, a.malformed(`Missing "=" after array dimensions.`)
	}
	if a.rest = strings.TrimLeft(a.rest[1:], arraySpaces); !strings.HasPrefix(a.rest, "{") {
		return nil, a.malformed(`Array contents must start with "{".`)
	}
	return dims, nil
}

// number reads a bound as C's atoi does; ok is false if there are no digits.
func (a *arrayText) number() (n int64, ok bool) {
	i := 0
	for i < len(a.rest) && strings.IndexByte("0123456789+-", a.rest[i]) >= 0 {
		i++
	}
	digits := a.rest[:i]
	a.rest = a.rest[i:]
	end := 0
	for end < len(digits) && (digits[end] >= '0' || end == 0) {
		end++
	}
	n, _ = strconv.ParseInt(digits[:end], 10, 32) // the nearest, if it is too large
	return n, i > 0
}

// What came last in the text of an array.
type arrayState int

const (
	noLevel arrayState = iota
	levelStarted
	elementStarted
	quotedStarted
	quotedCompleted
	elementDelimited
	levelCompleted
	levelDelimited
)

func (s arrayState) is(of ...arrayState) bool {
	for _, o := range of {
		if s == o {
			return true
		}
	}
	return false
}

// levels counts what there is on each level of an array.
type levels struct {
	*arrayText
	state   arrayState
	depth   int
	deepest int
	quoted  bool
	some    bool // there is an element
	count   [maxDimensions]int32
	last    [maxDimensions]int32 // of the level before, 0: none
	total   [maxDimensions]int32
}

// sizes finds how many elements each dimension has, and where the braces end. What PostgreSQL
// refuses is refused as it does.
func (a *arrayText) sizes() (sizes []int32, end int, err error) {
	l := &levels{arrayText: a, deepest: 1}
	for i := range l.count {
		l.count[i] = 1
	}
	i := 0
	for done := false; !done; i++ {
		l.some = l.some || l.state.is(elementStarted, quotedStarted)
		switch {
		case i >= len(a.rest), a.rest[i] == '\\' && i+1 >= len(a.rest) && l.takesEscape():
			return nil, 0, a.malformed("Unexpected end of input.")
		case a.rest[i] == '\\':
			if !l.takesEscape() {
				return nil, 0, l.unexpected('\\')
			}
			if l.state != quotedStarted {
				l.state = elementStarted
			}
			i++
		case a.rest[i] == '"':
			if !l.state.is(levelStarted, quotedStarted, elementDelimited) {
				return nil, 0, a.malformed("Unexpected array element.")
			}
			if l.quoted = !l.quoted; l.quoted {
				l.state = quotedStarted
			} else {
				l.state = quotedCompleted
			}
		case l.quoted:
		default:
			if done, err = l.plain(a.rest[i]); err != nil {
				return nil, 0, err
			}
		}
	}
	if strings.TrimLeft(a.rest[i:], arraySpaces) != "" {
		return nil, 0, a.malformed("Junk after closing right brace.")
	}
	if !l.some {
		return nil, i, nil
	}
	return l.total[:l.deepest], i, nil
}

func (l *levels) takesEscape() bool {
	return l.state.is(levelStarted, elementStarted, quotedStarted, elementDelimited)
}

func (l *levels) unexpected(c byte) error {
	return l.malformed(`Unexpected "` + string(c) + `" character.`)
}

// plain takes a character outside of quotes; done says that the array ends with it.
func (l *levels) plain(c byte) (done bool, err error) {
	switch {
	case c == '{':
		if !l.state.is(noLevel, levelStarted, levelDelimited) {
			return false, l.unexpected(c)
		}
		if l.depth >= maxDimensions {
			return false, tooManyDimensions(l.depth + 1)
		}
		l.state, l.total[l.depth] = levelStarted, 0
		l.depth++
		l.deepest = max(l.deepest, l.depth)
	case c == '}':
		return l.close()
	case c == ',':
		if !l.state.is(elementStarted, quotedCompleted, levelCompleted) {
			return false, l.unexpected(c)
		}
		if l.state == levelCompleted {
			l.state = levelDelimited
		} else {
			l.state = elementDelimited
		}
		l.count[l.depth-1]++
		l.total[l.deepest-1]++
	case strings.IndexByte(arraySpaces, c) >= 0:
	case !l.state.is(levelStarted, elementStarted, elementDelimited):
		return false, l.malformed("Unexpected array element.")
	default:
		l.state = elementStarted
	}
	return false, nil
}

func (l *levels) close() (done bool, err error) {
	if !l.state.is(elementStarted, quotedCompleted, levelCompleted) && !(l.depth == 1 && l.state == levelStarted) {
		return false, l.unexpected('}')
	}
	l.state = levelCompleted
	if l.depth == 0 {
		return false, l.malformed(`Unmatched "}" character.`)
	}
	l.depth--
	if l.last[l.depth] != 0 && l.count[l.depth] != l.last[l.depth] {
		return false, l.malformed("Multidimensional arrays must have sub-arrays with matching dimensions.")
	}
	l.last[l.depth], l.count[l.depth] = l.count[l.depth], 1
	if l.depth == 0 {
		l.total[l.deepest-1]++
		return true, nil
	}
	l.total[l.depth-1]++
	return false, nil
}

// eachElement calls f for the elements of a text whose braces are as they should be.
func eachElement(s string, f func(text string, quoted bool) error) error {
	var b strings.Builder
	quoted, within, some, escaped := false, false, false, false
	kept := 0 // of b, what blanks at the end do not take away
	flush := func() error {
		if !some && !quoted {
			return nil
		}
		text := b.String()
		if !quoted {
			text = text[:kept]
		}
		err := f(text, quoted || escaped)
		b.Reset()
		quoted, some, escaped, kept = false, false, false, 0
		return err
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\':
			i++
			b.WriteByte(s[i])
			some, kept = true, b.Len()
			escaped = escaped || !within
		case c == '"':
			within = !within
			quoted = true
		case within:
			b.WriteByte(c)
		case c == '{':
		case c == '}', c == ',':
			if err := flush(); err != nil {
				return err
			}
		case strings.IndexByte(arraySpaces, c) >= 0 && (quoted || !some):
		default:
			b.WriteByte(c)
			some = true
			if strings.IndexByte(arraySpaces, c) < 0 {
				kept = b.Len()
			}
		}
	}
	return nil
}

package builtin

import (
	"strings"
	"unicode/utf8"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// formatter writes what format gives.
type formatter struct {
	env  *Env
	args []datum.Datum // the format first
	next int           // the argument that is next
	s    string        // what is left of the format
	out  strings.Builder
}

// format is format(text, ...).
func format(env *Env, a []datum.Datum) (datum.Datum, error) {
	if a[0].Null {
		return datum.MakeNull(datum.Text), nil
	}
	f := &formatter{env: env, args: a, next: 1, s: a[0].S}
	for {
		before, after, found := strings.Cut(f.s, "%")
		f.out.WriteString(before)
		if !found {
			return datum.MakeText(f.out.String()), nil
		}
		f.s = after
		if rest, ok := strings.CutPrefix(f.s, "%"); ok {
			f.out.WriteByte('%')
			f.s = rest
			continue
		}
		if err := f.specifier(); err != nil {
			return datum.Datum{}, err
		}
	}
}

var errUnterminated = fail("22023", "unterminated format() type specifier")

// specifier writes one of [n$][-][width]s, I or L.
func (f *formatter) specifier() error {
	position, left := 0, false
	n, ok, err := f.number()
	if err != nil {
		return err
	}
	if ok && strings.HasPrefix(f.s, "$") {
		if n == 0 {
			return fail("22023", "format specifies argument 0, but arguments are numbered from 1")
		}
		f.s, position, ok = f.s[1:], n, false
	}
	if !ok {
		for strings.HasPrefix(f.s, "-") {
			f.s, left = f.s[1:], true
		}
		if rest, star := strings.CutPrefix(f.s, "*"); star {
			f.s = rest
			if n, err = f.widthArgument(); err != nil {
				return err
			}
		} else if n, _, err = f.number(); err != nil {
			return err
		}
	}
	width := n
	if width < 0 {
		width, left = -width, true
	}
	if f.s == "" {
		return errUnterminated
	}
	verb, size := utf8.DecodeRuneInString(f.s)
	f.s = f.s[size:]
	if !strings.ContainsRune("sIL", verb) {
		return fail("22023", "unrecognized format() type specifier %q", string(verb))
	}
	d, err := f.argument(position)
	if err != nil {
		return err
	}
	s, err := f.text(verb, d)
	if err != nil {
		return err
	}
	fill := strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
	if left {
		f.out.WriteString(s + fill)
	} else {
		f.out.WriteString(fill + s)
	}
	return nil
}

func (f *formatter) text(verb rune, d *datum.Datum) (string, error) {
	s := ""
	if !d.Null {
		s = string(datum.AppendStyled(nil, *d, &datum.Style{Location: f.env.Location}))
	}
	switch {
	case verb == 'I' && d.Null:
		return "", fail("22004", "null values cannot be formatted as an SQL identifier")
	case verb == 'I':
		return syntax.QuoteIdent(s), nil
	case verb == 'L' && d.Null:
		return "NULL", nil
	case verb == 'L':
		return quoteLiteral(s), nil
	}
	return s, nil
}

// argument is the one with a number, or the next.
func (f *formatter) argument(position int) (*datum.Datum, error) {
	if position == 0 {
		position = f.next
	}
	if position >= len(f.args) {
		return nil, fail("22023", "too few arguments for format()")
	}
	f.next = position + 1
	return &f.args[position], nil
}

// widthArgument reads what follows a star: the width is an argument.
func (f *formatter) widthArgument() (int, error) {
	n, ok, err := f.number()
	switch {
	case err != nil:
		return 0, err
	case ok && !strings.HasPrefix(f.s, "$"):
		return 0, fail("22023", "width argument position must be ended by \"$\"")
	case ok && n == 0:
		return 0, fail("22023", "format specifies argument 0, but arguments are numbered from 1")
	case ok:
		f.s = f.s[1:]
	}
	d, err := f.argument(n)
	if err != nil || d.Null {
		return 0, err
	}
	v, err := datum.ParseText(datum.Int4, string(datum.AppendStyled(nil, *d, &datum.Style{Location: f.env.Location})), nil)
	if err == nil && (v.I > maxBytes || v.I < -maxBytes) {
		err = fail("54000", "requested length too large")
	}
	return int(v.I), err
}

func (f *formatter) number() (n int, ok bool, err error) {
	for f.s != "" && f.s[0] >= '0' && f.s[0] <= '9' {
		if n = n*10 + int(f.s[0]-'0'); n > maxBytes {
			return 0, false, fail("22003", "number is out of range")
		}
		f.s, ok = f.s[1:], true
	}
	return n, ok, nil
}

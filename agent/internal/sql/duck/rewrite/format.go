package rewrite

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// formatConstant is a function whose format must be translated when it is rewritten.
func formatConstant(name string, position int) special {
	return func(_ *rewriter, f *pg.FuncCall) (finish, error) {
		if len(f.Args) <= position {
			return nil, errorf("42883", f.Location, "function %s does not exist", lastName(f.Funcname))
		}
		s, ok := literal(f.Args[position])
		if !ok {
			return nil, unsupported(f.Location, "a format that is not a constant")
		}
		format, ok := strftime(s)
		if !ok {
			return nil, unsupported(f.Location, "the format %s", strconv.Quote(s))
		}
		return func(n *pg.Node) (*pg.Node, error) {
			a := append([]*pg.Node(nil), n.GetFuncCall().Args...)
			a[position] = text(format)
			return call(name, a...), nil
		}, nil
	}
}

// strftime translates a date format of to_char and to_timestamp.
func strftime(s string) (string, bool) {
	patterns := []struct{ from, to string }{
		{"YYYY", "%Y"}, {"HH24", "%H"}, {"HH12", "%I"}, {"MONTH", ""}, {"FMMonth", "%B"}, {"FMDay", "%A"}, {"FMMM", "%-m"}, {"FMDD", "%-d"},
		{"FMHH24", "%-H"}, {"FMHH12", "%-I"}, {"Mon", "%b"}, {"Dy", "%a"}, {"DDD", "%j"}, {"YY", "%y"}, {"MM", "%m"}, {"DD", "%d"},
		{"HH", "%I"}, {"MI", "%M"}, {"SSSS", ""}, {"SS", "%S"}, {"MS", "%g"}, {"US", "%f"}, {"AM", "%p"}, {"PM", "%p"}, {"TZ", "%Z"}, {"IW", "%V"}, {"IYYY", "%G"}, {"ID", "%u"},
	}
	var b strings.Builder
next:
	for s != "" {
		if s[0] == '"' {
			quoted, rest, _ := strings.Cut(s[1:], `"`)
			b.WriteString(strings.ReplaceAll(quoted, "%", "%%"))
			s = rest
			continue
		}
		for _, p := range patterns {
			if strings.HasPrefix(s, p.from) || len(p.from) < 4 && strings.HasPrefix(s, strings.ToLower(p.from)) {
				if p.to == "" {
					return "", false
				}
				b.WriteString(p.to)
				s = s[len(p.from):]
				continue next
			}
		}
		if c := s[0]; c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' && c != 'T' || c >= '0' && c <= '9' {
			if c != 'T' {
				return "", false
			}
		}
		if s[0] == '%' {
			b.WriteByte('%')
		}
		b.WriteByte(s[0])
		s = s[1:]
	}
	return b.String(), true
}

// specialToChar formats dates; numbers are builtin's.
func specialToChar(r *rewriter, f *pg.FuncCall) (finish, error) {
	if len(f.Args) == 2 && (r.typeOf(f.Args[0]) == datum.Interval || r.typeOf(f.Args[0]) == datum.Time) {
		return nil, unsupported(f.Location, "to_char of an interval")
	}
	return formatConstant("strftime", 1)(r, f)
}

// parsedTime is to_date and to_timestamp of a text and a format.
func parsedTime(to string) special {
	parse := formatConstant("strptime", 1)
	return func(r *rewriter, f *pg.FuncCall) (finish, error) {
		if len(f.Args) == 1 {
			return func(n *pg.Node) (*pg.Node, error) { return renamed(n, "to_timestamp", n.GetFuncCall().Args...), nil }, nil
		}
		if format, ok := literal(f.Args[1]); ok && !strings.Contains(strings.ToUpper(format), "YY") {
			return nil, unsupported(f.Location, "%s by a format without a year", lastName(f.Funcname))
		}
		inner, err := parse(r, f)
		if err != nil {
			return nil, err
		}
		return func(n *pg.Node) (*pg.Node, error) {
			n, err := inner(n)
			if err != nil {
				return nil, err
			}
			return cast(n, to), nil
		}, nil
	}
}

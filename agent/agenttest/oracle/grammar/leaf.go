package grammar

import (
	"slices"
	"strings"
)

// literals are values of each type, without quotes where there are none in SQL.
var literals = map[string][]string{
	"int2":  split(`0 | 1 | -1 | 2 | 7 | 100 | 32767 | -32768`),
	"int4":  split(`0 | 1 | -1 | 2 | 3 | 7 | 10 | 100 | 2147483647 | -2147483648 | 65 | 12345`),
	"int8":  split(`0 | 1 | -1 | 7 | 10000000000 | 9223372036854775807 | -9223372036854775808 | 2147483648`),
	"num":   split(`0 | 1 | 1.0 | -1.5 | 0.1 | 2.50 | 100.00 | 1e10 | 123456789.987654321 | 0.000001 | 99999999999999999999999999999999999999.99 | NaN | -0.5 | 1e-30 | Infinity`),
	"f4":    split(`0 | 1 | -1.5 | 0.1 | 1e10 | 3.4e38 | NaN | Infinity | -0 | 1e-40`),
	"f8":    split(`0 | 1 | -1 | 0.5 | 0.1 | 1.5 | 2 | 1e15 | 1e-7 | 1e300 | NaN | -Infinity | -0 | 123456.789`),
	"bool":  split(`true | false`),
	"text":  split(`a | abc | ABC | | a,b,,c | 12 | Hello World | äöü ☃ | %_ | a\b | it's | -1.5 | null | 2024-02-29 | {1,2} | x y z|  lead | trail  |aaa`),
	"vc":    split(`a | abc | Abc | | é | abc |zz top`),
	"char":  split(`a | abc | abcde | | é| b `),
	"bytea": split(`\x | \x00 | \x616263 | \xff00ff | \x61 | \xdeadbeef`),
	"uuid":  split(`a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 | 00000000-0000-0000-0000-000000000000 | ffffffff-ffff-ffff-ffff-ffffffffffff`),
	"mood":  split(`sad | ok | happy`),
	"date":  split(`2024-02-29 | 1999-12-31 | 2000-01-01 | 1970-01-01 | infinity | 0001-01-01 | 0044-03-15 BC | 5874897-12-31 | 2023-01-01`),
	"time":  split(`00:00 | 12:34:56.789 | 23:59:59.999999 | 24:00 | 06:00`),
	"ts":    split(`2024-02-29 12:34:56.789 | 1999-12-31 23:59:59.999999 | 1970-01-01 00:00 | -infinity | 0044-03-15 12:00 BC | 2024-03-31 02:30 | 2024-12-30 00:00`),
	"tstz":  split(`2024-02-29 12:34:56+00 | 1999-12-31 23:59:59.5+05:30 | 2024-07-01 00:00-07 | infinity | 2024-10-27 01:30+02 | 1900-01-01 00:00+00`),
	"iv":    split(`1 day | 1 year 2 mons 3 days 04:05:06.789 | -1 mon | 36 hours | 00:00:00.000001 | 0 | -2 days -03:00 | 1 mon -1 day | 100 years`),
	"json":  split(`{"a": 1, "b": [1, 2], "a": 2} | [1, "two", null] | null | "x" | 1.50 | {} | [] | {"a": {"b": "c"}} | true`),
	"jsonb": split(`{"a": 1, "b": [1, 2]} | [1, "two", null, [3]] | null | "x" | 1.50 | {} | [] | {"a": {"b": "c"}} | false | [{"a": 1}, {"a": 2}] | 1e3`),
	"ia":    split(`{} | {1,2,3} | {null} | {3,1,2,1} | {-1,null,2147483647} | {7}`),
	"ta":    split(`{} | {a,b,c} | {null,x} | {"a,b","c\"d"} | {abc} | {A,a} | {a,1}`),
}

// leaves are words of templates that are no types: texts of SQL.
var leaves = map[string][]string{
	"small": split(`-3 | -1 | 0 | 1 | 2 | 3 | 5 | 12`), "pos": split(`1 | 2 | 3 | 4 | 9`), "frame": split(`1 preceding | 2 preceding | unbounded preceding`),
	"field":  split(`year | month | day | hour | minute | second | milliseconds | microseconds | dow | isodow | doy | week | isoyear | quarter | decade | century | millennium | epoch | julian`),
	"tfield": split(`hour | minute | second | milliseconds | microseconds | epoch`), "ifield": split(`year | month | day | hour | minute | second | milliseconds | epoch | quarter | decade | century`),
	"trunc": split(`microseconds | milliseconds | second | minute | hour | day | week | month | quarter | year | decade | century | millennium`),
	"zone":  quoted(`UTC | Europe/Berlin | America/New_York | Asia/Kathmandu | +03 | -03:30 | EST`), "frac": split(`0 | 0.25 | 0.5 | 1`),
	"re":     quoted(`a | ^a | b$ | [a-c]+ | (a)(b)? | . | \d+ | \w+ | x* | a|b | (?i)ABC | [[:alpha:]]+ | (\w)(\w) | ^$ | a{2,} | \s | ( | [^a] | \mabc\M | .*?c`),
	"like":   quoted(`% | a% | %b% | _b_ | %c | abc | a\%% | #%% | A% | __ | | %\\% | a_%`),
	"fmtts":  quoted(`YYYY-MM-DD HH24:MI:SS | YYYY-MM-DD | DD Mon YYYY | Day, DD Month YYYY | HH12:MI AM | IYYY-IW-ID | Q | J | MS US | DDD D | FMMonth FMDD, YYYY | TZ | YY | Dy DY | cc | "year" YYYY | ddth | FMHH24 | W WW | RM | Y,YYY | BC | SSSS | a.m.`),
	"fmtiv":  quoted(`HH24:MI:SS | DD HH24:MI:SS.MS | YYYY-MM | SSSS | FMHH`),
	"fmtnum": quoted(`999 | 9999.99 | 000.00 | FM999.99 | 9,999,999.9 | S999 | 999MI | 9.99EEEE | $999.99 | RN | FM0000 | PR | 999PR | 99V99 | L999 | 999th | 990.0 | SG99`),
	"key":    quoted(`a | b | z | | missing`), "path": quoted(`{a} | {a,b} | {b,0} | {0} | {} | {-1} | {b,-1,c} | {x,y}`),
	"jsonpath": quoted(`$ | $.a | $.b[*] | $[*] | $.a.b | $[0] | strict $.a | $.b[*] ? (@ > 1) | $.a == 1 | $.** | $[last] | $.b.size() | $.a.type() | $[*].a`),
}

func split(s string) []string {
	out := strings.Split(s, "|")
	for i := range out {
		out[i] = strings.TrimSuffix(strings.TrimPrefix(out[i], " "), " ")
	}
	return out
}

func quoted(s string) []string {
	out := split(s)
	for i := range out {
		out[i] = quote(out[i])
	}
	return out
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// bare are the types whose literals are written without a cast, unless they are no numbers.
func bare(t, s string) bool {
	if t == "bool" {
		return true
	}
	_, number := "", strings.Trim(s, "0123456789.") == ""
	switch t {
	case "int4":
		return number
	case "num":
		return number && strings.Contains(s, ".")
	case "int8":
		return number && len(s) > 10
	}
	return false
}

// literal is a value of a type.
func (g *Generator) literal(t string) *Node {
	s := pick(g, literals[t])
	typed := quote(s) + "::" + names[t]
	switch {
	case g.chance(0.05):
		typed = "null::" + names[t]
	case bare(t, s):
		typed = s
	case t == "text" && g.chance(0.6), g.chance(0.06):
		typed = quote(s)
	}
	return g.simple(&Node{Class: t, Text: []string{typed}})
}

// simple notes what may stand in place of an expression.
func (g *Generator) simple(n *Node) *Node {
	typed := quote(literals[n.Class][1]) + "::" + names[n.Class]
	if bare(n.Class, literals[n.Class][1]) {
		typed = literals[n.Class][1]
	}
	n.Simple = []string{"null::" + names[n.Class], typed}
	return n
}

// column is a column of a type that can be seen; nil: there is none.
func (g *Generator) column(t string) *Node {
	var found []string
	for s := g.scope; s != nil; s = s.outer {
		for _, r := range s.relations {
			for _, c := range r.columns {
				if c.typ == t {
					found = append(found, r.alias+"."+c.name)
				}
			}
		}
		if len(found) > 0 && !g.chance(0.2) {
			break
		}
	}
	if len(found) == 0 {
		return nil
	}
	return g.simple(text(t, pick(g, found)))
}

// order is what of the relations makes an order of all rows.
func (g *Generator) order() *Node {
	var keys []string
	for _, r := range g.scope.relations {
		if r.key != "" {
			keys = append(keys, r.alias+"."+r.key)
			continue
		}
		for _, c := range r.columns {
			switch {
			case c.typ == "json":
				keys = append(keys, r.alias+"."+c.name+"::text")
			case distinct(c.typ):
				keys = append(keys, r.alias+"."+c.name)
			default:
				keys = append(keys, r.alias+"."+c.name, r.alias+"."+c.name+"::text")
			}
		}
	}
	if len(keys) == 0 {
		keys = []string{"'x'::text"}
	}
	return text("", strings.Join(slices.Compact(keys), ", "))
}

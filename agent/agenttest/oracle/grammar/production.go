package grammar

import (
	_ "embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

//go:embed grammar.txt
var source string

// Schema makes the tables.
//
//go:embed schema.sql
var Schema string

// production is a form of an expression of one type.
type production struct {
	result string
	pieces []string // around the gaps
	gaps   []string // what stands in them: a type, %TYPE for a column of one, or a word of leaf
	name   string   // the line, with the type that it is for
}

// productions are all of a kind by their results.
type productions map[string][]*production

// Grammar is what statements are made of.
type Grammar struct{ scalar, aggregate, window productions }

// The types by what can be done with them.
var (
	allTypes  = strings.Fields("int2 int4 int8 num f4 f8 bool text vc char bytea uuid mood date time ts tstz iv json jsonb ia ta")
	unordered = []string{"json"}
	// unlike are those of which equal values may look different.
	unlike = strings.Fields("num f4 f8 char iv jsonb json")
)

func comparable(t string) bool { return !slices.Contains(unordered, t) }

// distinct reports whether equal values of a type look alike.
func distinct(t string) bool { return !slices.Contains(unlike, t) }

var (
	gapPattern = regexp.MustCompile(`\$(?:` + strings.Join(words(), "|") + `)\b|%(?:D|` + strings.Join(allTypes, "|") + `)\b`)
	setPattern = regexp.MustCompile(`^\{(.*)\}$`)
)

// words are what may stand behind a $ in grammar.txt.
func words() []string {
	out := append([]string{"T", "order"}, allTypes...)
	return slices.AppendSeq(out, maps.Keys(leaves))
}

// ReadGrammar reads grammar.txt.
func ReadGrammar() (*Grammar, error) {
	g := &Grammar{productions{}, productions{}, productions{}}
	for number, line := range strings.Split(source, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		head, template, ok := strings.Cut(line, ": ")
		if !ok {
			return nil, fmt.Errorf("grammar.txt, line %d: no type: %q", number+1, line)
		}
		into := g.scalar
		if rest, ok := strings.CutPrefix(head, "agg "); ok {
			into, head = g.aggregate, rest
		} else if rest, ok := strings.CutPrefix(head, "win "); ok {
			into, head = g.window, rest
		}
		for _, t := range typesOf(head) {
			for _, p := range expand(t, template, head) {
				into[p.result] = append(into[p.result], p)
			}
		}
	}
	return g, nil
}

func typesOf(head string) []string {
	if set := setPattern.FindStringSubmatch(head); set != nil {
		return strings.Split(set[1], ",")
	}
	switch head {
	case "T":
		return allTypes
	case "C":
		return slices.DeleteFunc(slices.Clone(allTypes), func(t string) bool { return !comparable(t) })
	}
	return []string{head}
}

// expand makes the productions of a line: one for each type that its T, C or D may be.
func expand(result, template, head string) []*production {
	template = regexp.MustCompile(`([$%])@`).ReplaceAllString(template, "${1}"+result)
	template = strings.ReplaceAll(strings.ReplaceAll(template, "::@", "::"+names[result]), " as @)", " as "+names[result]+")")
	own := map[string]string{}
	if head == "T" || head == "C" {
		own[head] = result
	}
	choices := []string{""}
	for _, hole := range []string{"C", "D"} {
		if own[hole] == "" && strings.Contains(template, "$"+hole) {
			choices = slices.DeleteFunc(slices.Clone(allTypes), func(t string) bool { return !comparable(t) || hole == "D" && !distinct(t) })
			break
		}
	}
	var out []*production
	for _, choice := range choices {
		s := template
		for hole := range strings.SplitSeq("T C D", " ") {
			if t := own[hole]; t != "" {
				s = regexp.MustCompile(`([$%])`+hole+`\b`).ReplaceAllString(s, "${1}"+t)
			} else if choice != "" && hole != "T" {
				s = regexp.MustCompile(`\$`+hole+`\b`).ReplaceAllString(s, "$$"+choice)
			}
		}
		p := &production{result: result, pieces: gapPattern.Split(s, -1), name: s}
		for _, gap := range gapPattern.FindAllString(s, -1) {
			p.gaps = append(p.gaps, strings.TrimPrefix(gap, "$"))
		}
		out = append(out, p)
	}
	return out
}

// names are the types' names in SQL.
var names = map[string]string{
	"int2": "int2", "int4": "int4", "int8": "int8", "num": "numeric", "f4": "float4", "f8": "float8", "bool": "bool", "text": "text",
	"vc": "varchar", "char": "char(5)", "bytea": "bytea", "uuid": "uuid", "mood": "mood", "date": "date", "time": "time",
	"ts": "timestamp", "tstz": "timestamptz", "iv": "interval", "json": "json", "jsonb": "jsonb", "ia": "int[]", "ta": "text[]",
}

package queryplan

import (
	"bytes"
	"encoding/json"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
)

// Step is a part of a plan as EXPLAIN shows it.
type Step struct {
	// Type is its "Node Type" in FORMAT JSON: PostgreSQL's name where that has such a step.
	Type string
	// Fields are what else FORMAT JSON says of it.
	Fields Fields
	// Text has the lines of FORMAT TEXT: the first is the step itself, if it is shown there.
	Text []string
	// Inputs are the steps that its rows come from.
	Inputs []*Step
	// below says that its text stands below that of its only input, in the order in which
	// things are done, and not above.
	below bool
}

// Field is one of the things that EXPLAIN (FORMAT JSON) says.
type Field struct {
	Name  string
	Value any
}

// Fields are shown as a JSON object, in their order.
type Fields []Field

// MarshalJSON writes the object.
func (f Fields) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, field := range f {
		if i > 0 {
			out.WriteByte(',')
		}
		name, err := json.Marshal(field.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(field.Value)
		if err != nil {
			return nil, err
		}
		out.Write(name)
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

func step(kind string, text ...string) *Step { return &Step{Type: kind, Text: text} }

// after is a step with the rows of another, whose text stands below the other's.
func after(kind, text string, rows *Step) *Step {
	return &Step{Type: kind, Text: []string{text}, Inputs: []*Step{rows}, below: true}
}

func (s *Step) with(name string, value any) *Step {
	s.Fields = append(s.Fields, Field{name, value})
	return s
}

// of says which table it is about.
func (s *Step) of(t *catalog.Table) *Step {
	return s.with("Relation Name", t.Name()).with("Schema", t.Schema().Name)
}

func (s *Step) over(input *Step) *Step {
	s.Inputs = append(s.Inputs, input)
	return s
}

// filtered says that rows are left out, and where.
func (s *Step) filtered(text, at string) {
	s.Text = append(s.Text, text)
	s.with("Filter At", at)
}

// Lines are the step and its inputs in FORMAT TEXT.
func (s *Step) Lines() []string {
	var inputs []string
	for _, in := range s.Inputs {
		inputs = append(inputs, in.Lines()...)
	}
	if s.below {
		return append(inputs, indented(s.Text)...)
	}
	if len(s.Text) == 0 {
		return inputs
	}
	return append(append([]string(nil), s.Text...), indented(inputs)...)
}

func indented(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = "  " + l
	}
	return out
}

// MarshalJSON writes the step and its inputs in FORMAT JSON.
func (s *Step) MarshalJSON() ([]byte, error) {
	all := append(Fields{{"Node Type", s.Type}}, s.Fields...)
	if len(s.Inputs) > 0 {
		all = append(all, Field{"Plans", s.Inputs})
	}
	return all.MarshalJSON()
}

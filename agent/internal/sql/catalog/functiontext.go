package catalog

import (
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// FunctionText is a function as PostgreSQL shows it.
type FunctionText struct {
	// Arguments are with defaults, Identity without; Result is "" of a procedure.
	Definition, Arguments, Identity, Result string
}

// FunctionText shows a function.
func (s Scope) FunctionText(o *cluster.Object) FunctionText {
	f := o.Function
	var with, without, columns []string
	for i := range f.Parameters {
		p := &f.Parameters[i]
		text := s.TypeText(p.ValueType)
		if p.Name != "" {
			text = syntax.QuoteName(syntax.Name{Name: p.Name}) + " " + text
		}
		if p.Mode == cluster.ParameterTable {
			columns = append(columns, text)
			continue
		}
		if p.Mode != cluster.ParameterIn || f.Procedure {
			text = p.Mode + " " + text
		}
		without = append(without, text)
		if p.Default != "" {
			text += " DEFAULT " + s.ParameterDefault(p)
		}
		with = append(with, text)
	}
	out := FunctionText{Arguments: strings.Join(with, ", "), Identity: strings.Join(without, ", ")}
	switch {
	case f.Procedure:
	case len(columns) > 0:
		out.Result = "TABLE(" + strings.Join(columns, ", ") + ")"
	default:
		out.Result = s.TypeText(f.Returns)
		if f.SetOf {
			out.Result = "SETOF " + out.Result
		}
	}
	out.Definition = s.functionDefinition(o, &out)
	return out
}

// ParameterDefault shows the default of a parameter.
func (s Scope) ParameterDefault(p *cluster.Parameter) string {
	text := s.NamedCalls(p.Default)
	if strings.HasPrefix(text, "'") && strings.HasSuffix(text, "'") || strings.EqualFold(text, "null") {
		text += "::" + s.TypeText(p.ValueType)
	}
	return text
}

// functionDefinition is what pg_get_functiondef says.
func (s Scope) functionDefinition(o *cluster.Object, text *FunctionText) string {
	f := o.Function
	word := "FUNCTION"
	if f.Procedure {
		word = "PROCEDURE"
	}
	name := syntax.Name{Name: o.Name}
	if schema, ok := s.Object(o.Parent); ok {
		name.Schema = schema.Name
	}
	var out strings.Builder
	out.WriteString("CREATE OR REPLACE " + word + " " + syntax.QuoteName(name) + "(" + text.Arguments + ")\n")
	if !f.Procedure {
		out.WriteString(" RETURNS " + text.Result + "\n")
	}
	out.WriteString(" LANGUAGE " + f.Language + "\n")
	if options := functionOptions(f); options != "" {
		out.WriteString(options + "\n")
	}
	for _, set := range f.Settings {
		out.WriteString(" SET " + syntax.QuoteName(syntax.Name{Name: set.Name}) + " TO " + settingText(set) + "\n")
	}
	if f.Standard {
		out.WriteString(s.standardText(o) + "\n")
		return out.String()
	}
	mark := "$" + strings.ToLower(word)
	for strings.Contains(f.Body, mark+"$") {
		mark += "x"
	}
	out.WriteString("AS " + mark + "$" + f.Body + mark + "$\n")
	return out.String()
}

// functionOptions are the options that are not as they are if nothing is said.
func functionOptions(f *cluster.Function) string {
	var out string
	add := func(yes bool, text string) {
		if yes {
			out += " " + text
		}
	}
	add(f.Volatility != "volatile", strings.ToUpper(f.Volatility))
	add(f.Parallel != "" && f.Parallel != "unsafe", "PARALLEL "+strings.ToUpper(f.Parallel))
	add(f.Strict, "STRICT")
	add(f.Definer, "SECURITY DEFINER")
	add(f.Leakproof, "LEAKPROOF")
	add(f.Cost != "" && f.Cost != "100", "COST "+f.Cost)
	add(f.Rows != "" && f.Rows != "1000", "ROWS "+f.Rows)
	return out
}

// standardText is a body in one of the forms of the standard, by names along the path.
func (s Scope) standardText(o *cluster.Object) string {
	body, err := s.Body(o)
	if err != nil {
		return ""
	}
	inputs := o.Function.Inputs()
	text, err := syntax.BodyText(body.Statements, o.Function.Return, syntax.Shown{
		Relation: s.plain,
		Type: func(schema, name string) bool {
			found, ok := s.UserType(syntax.Name{Name: name})
			same, there := s.UserType(syntax.Name{Schema: schema, Name: name})
			return ok && there && found.ID == same.ID
		},
		Argument: func(n int, within bool) []string {
			switch {
			case n > len(inputs) || inputs[n-1].Name == "":
				return nil
			case within:
				return []string{o.Name, inputs[n-1].Name}
			}
			return []string{inputs[n-1].Name}
		},
	})
	if err != nil {
		return ""
	}
	return s.NamedCalls(text)
}

// settingText is the value of a setting as it is written behind TO.
func settingText(set cluster.FunctionSetting) string {
	if set.Name != "search_path" {
		return quoteLiteral(set.Value)
	}
	parts := strings.Split(set.Value, ",")
	for i, p := range parts {
		parts[i] = quoteLiteral(strings.Trim(strings.TrimSpace(p), `"`))
	}
	return strings.Join(parts, ", ")
}

// TypeOID is the OID of the type of a parameter or a result.
func (s Scope) TypeOID(t cluster.ValueType) uint32 {
	const voidOID, triggerOID, recordOID = 2278, 2279, 2249
	switch t.Type {
	case cluster.VoidType:
		return voidOID
	case cluster.TriggerType:
		return triggerOID
	case cluster.RecordType, cluster.RowType:
		return recordOID
	}
	if typ, ok := s.ValueType(t); ok {
		return typ.OID()
	}
	return 0
}

func quoteLiteral(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

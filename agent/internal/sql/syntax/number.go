package syntax

import (
	"regexp"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// laterNumber is where a number may be in a form that PostgreSQL has only since 16:
// hexadecimal, octal or binary, or with underscores.
var laterNumber = regexp.MustCompile(`[0-9]_[0-9]|0[xXoObB][0-9a-fA-F]`)

// numberForms refuses numbers in such forms.
func numberForms(tree *pg.ParseResult, text string) *Error {
	if !laterNumber.MatchString(text) {
		return nil
	}
	var wrong *Error
	var look func(m protoreflect.Message)
	look = func(m protoreflect.Message) {
		if c, ok := m.Interface().(*pg.A_Const); ok && wrong == nil {
			wrong = numberForm(c, text)
		}
		m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch {
			case f.Message() == nil || f.IsMap():
			case f.IsList():
				for i := range v.List().Len() {
					look(v.List().Get(i).Message())
				}
			default:
				look(v.Message())
			}
			return wrong == nil
		})
	}
	look(tree.ProtoReflect())
	return wrong
}

func numberForm(c *pg.A_Const, text string) *Error {
	at := int(c.Location)
	if c.GetIval() == nil && c.GetFval() == nil || at < 0 || at >= len(text) {
		return nil
	}
	end := at
	if text[end] == '-' || text[end] == '+' {
		for end++; end < len(text) && (text[end] == ' ' || text[end] == '\n' || text[end] == '\t'); end++ {
		}
	}
	start := end
	for end < len(text) && (isWordByte(text[end]) || text[end] == '.') {
		end++
	}
	number := text[start:end]
	if number == "" || number[0] < '0' && number[0] != '.' || number[0] > '9' || !laterNumber.MatchString(number) {
		return nil
	}
	return &Error{Code: codeSyntax, Message: "trailing junk after numeric literal at or near \"" + number + "\"", Position: start + 1}
}

func isWordByte(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

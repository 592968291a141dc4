package syntax

import (
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// NumberSchema is the schema in which expressions that are kept call functions of users by
// their ids, so that they call the same ones whatever those are named, and whatever is in the
// path. What views read stands in another schema.
const NumberSchema = "#f"

const numberLead = `"` + NumberSchema + `"."`

// CallsNumbered reports whether the SQL text of an expression may call a function by its id.
func CallsNumbered(text string) bool { return strings.Contains(text, numberLead) }

// NumberCall has a call be of the function with the id.
func NumberCall(f *pg.FuncCall, id uint64) {
	f.Funcname = []*pg.Node{pg.MakeStrNode(NumberSchema), pg.MakeStrNode(strconv.FormatUint(id, 10))}
}

// NumberedFunction is the id that NumberCall has written; ok is false of names.
func NumberedFunction(name Name) (id uint64, ok bool) {
	if name.Schema != NumberSchema {
		return 0, false
	}
	id, err := strconv.ParseUint(name.Name, 10, 64)
	return id, err == nil
}

// FunctionIDs are the functions that a kept expression or query calls by their ids, by id.
func FunctionIDs(text string) []uint64 {
	if !CallsNumbered(text) {
		return nil
	}
	var out []uint64
	NameFunctions(text, func(id uint64) (string, bool) {
		out = append(out, id)
		return "", false
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// NameFunctions has the functions of a text be called by what name says; one that it does not
// know stays. Nothing in strings is touched.
func NameFunctions(text string, name func(uint64) (string, bool)) string {
	if !CallsNumbered(text) {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); {
		switch {
		case text[i] == '\'':
			end := stringEnd(text, i)
			out.WriteString(text[i:end])
			i = end
		case strings.HasPrefix(text[i:], numberLead):
			digits, _, _ := strings.Cut(text[i+len(numberLead):], `"`)
			whole := text[i:min(len(text), i+len(numberLead)+len(digits)+1)]
			i += len(whole)
			if id, err := strconv.ParseUint(digits, 10, 64); err == nil {
				if called, ok := name(id); ok {
					whole = called
				}
			}
			out.WriteString(whole)
		default:
			out.WriteByte(text[i])
			i++
		}
	}
	return out.String()
}

// stringEnd is where the string ends that begins at start.
func stringEnd(text string, start int) int {
	escapes := start > 0 && (text[start-1] == 'E' || text[start-1] == 'e')
	for i := start + 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && escapes:
			i++
		case text[i] == '\'' && i+1 < len(text) && text[i+1] == '\'':
			i++
		case text[i] == '\'':
			return i + 1
		}
	}
	return len(text)
}

// EachCall calls fn with each call of a function in m.
func EachCall(m proto.Message, fn func(*pg.FuncCall)) {
	_ = eachMessage(m.ProtoReflect(), func(m proto.Message) error {
		if f, ok := m.(*pg.FuncCall); ok && len(f.GetFuncname()) > 0 {
			fn(f)
		}
		return nil
	})
}

// EachSelect calls fn with each SELECT in a query, itself first.
func EachSelect(s *pg.SelectStmt, fn func(*pg.SelectStmt)) {
	_ = eachMessage(s.ProtoReflect(), func(m proto.Message) error {
		if inner, ok := m.(*pg.SelectStmt); ok {
			fn(inner)
		}
		return nil
	})
}

package syntax

import (
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// Explain is what EXPLAIN wants to know of a statement.
type Explain struct {
	// Analyze says to run the statement and to tell how it went.
	Analyze bool `json:",omitempty"`
	// JSON says that the client gets one JSON document, not lines of text.
	JSON bool `json:",omitempty"`
}

func convertExplain(e *pg.ExplainStmt, text string) (Node, *Error) {
	options, err := explainOptions(e.GetOptions())
	if err != nil {
		return nil, err
	}
	node, err := convert(e.GetQuery(), "TABLE", text)
	if err != nil {
		return nil, err
	}
	switch node := node.(type) {
	case *Query:
		node.Explain = options
		return node, nil
	case *ExecuteStatement:
		node.Explain = options
		return node, nil
	default:
		return nil, Unsupported("EXPLAIN of this statement", "SELECT, INSERT, UPDATE, DELETE, MERGE and EXECUTE can be explained.")
	}
}

// explainOptions reads what stands in parentheses. What PostgreSQL counts and NodeDB does not
// (BUFFERS, WAL, ...) is taken, because tools always ask for it, and shows nothing.
func explainOptions(list []*pg.Node) (*Explain, *Error) {
	out, analyzing := &Explain{}, []string{}
	for _, o := range list {
		e := o.GetDefElem()
		name, at := e.GetDefname(), int(e.GetLocation())+1
		if name == "format" {
			switch value := optionText(e.GetArg()); strings.ToLower(value) {
			case "text":
				out.JSON = false
			case "json":
				out.JSON = true
			case "xml", "yaml":
				return nil, Unsupported("EXPLAIN (FORMAT "+strings.ToUpper(value)+")", "FORMAT JSON says the same.")
			default:
				return nil, &Error{Code: "22023", Message: fmt.Sprintf("unrecognized value for EXPLAIN option \"format\": %q", value), Position: at}
			}
			continue
		}
		on, ok := isOn(e.GetArg())
		switch name {
		case "analyze":
			out.Analyze = on
		case "timing", "wal":
			if on {
				analyzing = append(analyzing, strings.ToUpper(name))
			}
		case "verbose", "costs", "buffers", "settings", "summary":
		default:
			return nil, &Error{Code: "42601", Message: fmt.Sprintf("unrecognized EXPLAIN option %q", name), Position: at}
		}
		if !ok {
			return nil, &Error{Code: "42601", Message: name + " requires a Boolean value"}
		}
	}
	if len(analyzing) > 0 && !out.Analyze {
		return nil, &Error{Code: "22023", Message: "EXPLAIN option " + analyzing[0] + " requires ANALYZE"}
	}
	return out, nil
}

// isOn reads an option of PostgreSQL that is on if it stands alone.
func isOn(n *pg.Node) (on, ok bool) {
	if n == nil {
		return true, true
	}
	switch strings.ToLower(optionText(n)) {
	case "true", "on", "1":
		return true, true
	case "false", "off", "0":
		return false, true
	default:
		return false, false
	}
}

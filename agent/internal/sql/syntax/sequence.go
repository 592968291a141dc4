package syntax

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// CreateSequence is CREATE SEQUENCE.
type CreateSequence struct {
	Name        Name
	IfNotExists bool
	Temporary   bool
	Options     SequenceOptions
}

// AlterSequence is ALTER SEQUENCE.
type AlterSequence struct {
	Name     Name
	IfExists bool
	Options  SequenceOptions
}

// SequenceOptions are what is said of a sequence; nil: nothing.
type SequenceOptions struct {
	Type       *TypeName `json:",omitempty"`
	Start      *int64    `json:",omitempty"`
	Increment  *int64    `json:",omitempty"`
	MinValue   *int64    `json:",omitempty"`
	NoMinValue bool      `json:",omitempty"`
	MaxValue   *int64    `json:",omitempty"`
	NoMaxValue bool      `json:",omitempty"`
	Cache      *int64    `json:",omitempty"`
	Cycle      *bool     `json:",omitempty"`
	// Restart says to begin again: at RestartWith, or where it began.
	Restart     bool   `json:",omitempty"`
	RestartWith *int64 `json:",omitempty"`
	// OwnedBy is a column; OwnedByNone is OWNED BY NONE.
	OwnedBy     *Target `json:",omitempty"`
	OwnedByNone bool    `json:",omitempty"`
	// Name is SEQUENCE NAME of an identity.
	Name *Name `json:",omitempty"`
}

func (*CreateSequence) node() {}
func (*AlterSequence) node()  {}

func convertCreateSequence(n *pg.CreateSeqStmt) (Node, *Error) {
	out := &CreateSequence{IfNotExists: n.GetIfNotExists(), Temporary: temporary(n.GetSequence())}
	var err *Error
	if out.Name, err = relationName(n.GetSequence()); err == nil {
		out.Options, err = sequenceOptions(n.GetOptions())
	}
	return out, err
}

func convertAlterSequence(n *pg.AlterSeqStmt) (Node, *Error) {
	out := &AlterSequence{IfExists: n.GetMissingOk()}
	var err *Error
	if out.Name, err = relationName(n.GetSequence()); err == nil {
		out.Options, err = sequenceOptions(n.GetOptions())
	}
	return out, err
}

// sequenceOptions reads the options of a sequence, each at most once.
func sequenceOptions(list []*pg.Node) (SequenceOptions, *Error) {
	var out SequenceOptions
	seen := map[string]bool{}
	for _, o := range list {
		d := o.GetDefElem()
		if seen[d.GetDefname()] {
			return out, &Error{Code: codeSyntax, Message: "conflicting or redundant options", Position: Position(d.GetLocation())}
		}
		seen[d.GetDefname()] = true
		if err := out.set(d); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (s *SequenceOptions) set(d *pg.DefElem) *Error {
	numbers := map[string]**int64{"start": &s.Start, "increment": &s.Increment, "minvalue": &s.MinValue, "maxvalue": &s.MaxValue,
		"cache": &s.Cache, "restart": &s.RestartWith}
	name, arg, pos := d.GetDefname(), d.GetArg(), Position(d.GetLocation())
	if to, ok := numbers[name]; ok {
		s.Restart = s.Restart || name == "restart"
		if arg == nil { // NO MINVALUE, NO MAXVALUE, RESTART
			s.NoMinValue = s.NoMinValue || name == "minvalue"
			s.NoMaxValue = s.NoMaxValue || name == "maxvalue"
			return nil
		}
		text := optionText(arg)
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return &Error{Code: "22003", Message: "value " + strconv.Quote(text) + " is out of range for type bigint", Position: pos}
		}
		*to = &v
		return nil
	}
	var err *Error
	switch name {
	case "as":
		var t TypeName
		t, err = convertType(arg.GetTypeName())
		s.Type = &t
	case "cycle":
		on := arg.GetBoolean().GetBoolval()
		s.Cycle = &on
	case "owned_by":
		items := arg.GetList().GetItems()
		if len(items) == 1 {
			if items[0].GetString_().GetSval() != "none" {
				return &Error{Code: codeSyntax, Message: "invalid OWNED BY option", Hint: "Specify OWNED BY table.column or OWNED BY NONE.", Position: pos}
			}
			s.OwnedByNone = true
			return nil
		}
		var t Target
		t, err = target(KindColumn, arg)
		s.OwnedBy = &t
	case "sequence_name":
		var n Name
		n, err = listName(arg.GetList().GetItems())
		s.Name = &n
	default:
		err = unsupportedAt("the option "+name+" of a sequence", "", pos)
	}
	return err
}

func integerText(v int64) string { return strconv.FormatInt(v, 10) }

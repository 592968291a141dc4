package cluster

import (
	"errors"
	"fmt"
	"strings"
)

// Function is what is called by its name and the types of its arguments.
type Function struct {
	Procedure bool `json:"procedure,omitempty"`
	// Language is sql or plpgsql.
	Language string `json:"language"`
	// Parameters are all that were written, in their order.
	Parameters []Parameter `json:"parameters,omitempty"`
	// Returns is of what follows RETURNS, or of what the OUT parameters come to.
	Returns ValueType `json:"returns"`
	SetOf   bool      `json:"setOf,omitempty"`
	// Body is what stands in AS. Of the standard's forms, RETURN and BEGIN ATOMIC, it is their
	// statements, of RETURN a SELECT, with semicolons between them: arguments stand in it as
	// $1, and what it names as in View.Query, with Reads.
	Body     string     `json:"body"`
	Standard bool       `json:"standard,omitempty"`
	Return   bool       `json:"return,omitempty"`
	Reads    []ViewRead `json:"reads,omitempty"`
	// Volatility is immutable, stable or volatile.
	Volatility string `json:"volatility"`
	Strict     bool   `json:"strict,omitempty"`
	Definer    bool   `json:"definer,omitempty"` // it runs with the rights of its owner
	Leakproof  bool   `json:"leakproof,omitempty"`
	// Parallel, Cost and Rows are kept for catalogs: nothing is planned by them.
	Parallel string `json:"parallel,omitempty"`
	Cost     string `json:"cost,omitempty"`
	Rows     string `json:"rows,omitempty"`
	// Settings are those of SET, name = value, in the order in which they were written.
	Settings []FunctionSetting `json:"settings,omitempty"`
}

// FunctionSetting is a setting that holds while the function runs.
type FunctionSetting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// The modes of parameters.
const (
	ParameterIn    = "IN"
	ParameterOut   = "OUT"
	ParameterInOut = "INOUT"
	ParameterTable = "TABLE" // a column of RETURNS TABLE
)

// Parameter is one of a function.
type Parameter struct {
	Name string `json:"name,omitempty"`
	Mode string `json:"mode"`
	ValueType
	// Default is the SQL text of what stands where a call gives nothing; "": it has to.
	Default string `json:"default,omitempty"`
}

// Input reports whether a call gives the parameter.
func (p *Parameter) Input() bool { return p.Mode == ParameterIn || p.Mode == ParameterInOut }

// Types of values that no column has.
const (
	VoidType    = "void"
	TriggerType = "trigger"
	RecordType  = "record"
	RowType     = "row" // of the relation ValueType.UserType
)

// ValueType is the type of a parameter, or of a result.
type ValueType struct {
	Type string `json:"type"` // as in Column, or one of the above
	// UserType is the enum or the relation that it is; 0: PostgreSQL's own.
	UserType ObjectID `json:"userType,omitempty"`
}

// signed is the type as it stands in a signature.
func (t ValueType) signed() string {
	if t.UserType != 0 {
		return fmt.Sprintf("%d%s", t.UserType, strings.TrimLeft(t.Type, "abcdefghijklmnopqrstuvwxyz_0123456789"))
	}
	return t.Type
}

// Inputs are the parameters that a call gives.
func (f *Function) Inputs() []Parameter {
	var out []Parameter
	for _, p := range f.Parameters {
		if p.Input() {
			out = append(out, p)
		}
	}
	return out
}

// Given are the parameters that have a place in a call: CALL has one for OUT, too.
func (f *Function) Given() []Parameter {
	if f.Procedure {
		return f.Parameters
	}
	return f.Inputs()
}

// Read finds what the body reads of an object.
func (f *Function) Read(id ObjectID) (*ViewRead, bool) { return readOf(f.Reads, id) }

// Outputs are the parameters that make up the result; none: Returns says it all.
func (f *Function) Outputs() []Parameter {
	var out []Parameter
	for _, p := range f.Parameters {
		if p.Mode != ParameterIn {
			out = append(out, p)
		}
	}
	return out
}

// Signature tells functions of one name apart.
func Signature(name string, inputs []Parameter) string {
	types := make([]string, len(inputs))
	for i, p := range inputs {
		types[i] = p.signed()
	}
	return name + "(" + strings.Join(types, ",") + ")"
}

func (f *Function) validate() error {
	if f.Language == "" || f.Body == "" && f.Language != "sql" || f.Standard && f.Language != "sql" {
		return errors.New("a function has a language and a body")
	}
	if f.Returns.Type == "" && !f.Procedure {
		return errors.New("a function returns something")
	}
	for i := range f.Parameters {
		p := &f.Parameters[i]
		switch p.Mode {
		case ParameterIn, ParameterOut, ParameterInOut, ParameterTable:
		default:
			return fmt.Errorf("the parameter %q is of the unknown mode %q", p.Name, p.Mode)
		}
		if p.Type == "" {
			return fmt.Errorf("the parameter %q has no type", p.Name)
		}
	}
	return nil
}

package syntax

import pg "github.com/pganalyze/pg_query_go/v6"

// CreateTrigger is CREATE TRIGGER. What it does is a Body (NodeDB's own form) or a call of
// a function (PostgreSQL's).
type CreateTrigger struct {
	Name    string
	Replace bool
	Table   Name
	// Timing is BEFORE, AFTER or INSTEAD OF.
	Timing string
	// Events are INSERT, UPDATE, DELETE and TRUNCATE.
	Events  []string
	Columns []string // of UPDATE OF
	ForEach string   // ROW or STATEMENT
	When    string   // SQL text
	// OldTable and NewTable are the names that REFERENCING gives.
	OldTable, NewTable string
	// Constraint is CREATE CONSTRAINT TRIGGER, which From, Deferrable and Deferred are of.
	Constraint           bool
	From                 *Name
	Deferrable, Deferred bool
	// One of these is set.
	Body     *Body
	Function *Name
	Args     []string // of Function
}

// CreatePolicy is CREATE POLICY. Expressions are SQL text.
type CreatePolicy struct {
	Name        string
	Table       Name
	Restrictive bool
	Command     string // ALL, SELECT, INSERT, UPDATE or DELETE
	Roles       []RoleName
	Using       string
	Check       string
}

// AlterPolicy is ALTER POLICY; what is nil or "" stays.
type AlterPolicy struct {
	Name         string
	Table        Name
	Roles        []RoleName
	Using, Check string
}

// SetConstraints is SET CONSTRAINTS; Names are empty for ALL.
type SetConstraints struct {
	Names    []Name
	Deferred bool
}

func (*CreateTrigger) node()  {}
func (*CreatePolicy) node()   {}
func (*AlterPolicy) node()    {}
func (*SetConstraints) node() {}

// The bits of PostgreSQL's pg_trigger.
const (
	triggerBefore   = 1 << 1
	triggerInsert   = 1 << 2
	triggerDelete   = 1 << 3
	triggerUpdate   = 1 << 4
	triggerTruncate = 1 << 5
	triggerInstead  = 1 << 6
)

func convertTrigger(n *pg.CreateTrigStmt) (*CreateTrigger, *Error) {
	out := &CreateTrigger{Name: n.GetTrigname(), Replace: n.GetReplace(), Timing: "AFTER", ForEach: "STATEMENT", Columns: texts(n.GetColumns()),
		Constraint: n.GetIsconstraint(), Deferrable: n.GetDeferrable(), Deferred: n.GetInitdeferred(), Args: texts(n.GetArgs())}
	switch {
	case n.GetTiming()&triggerBefore != 0:
		out.Timing = "BEFORE"
	case n.GetTiming()&triggerInstead != 0:
		out.Timing = "INSTEAD OF"
	}
	if n.GetRow() {
		out.ForEach = "ROW"
	}
	for _, e := range []struct {
		bit  int32
		word string
	}{{triggerInsert, "INSERT"}, {triggerUpdate, "UPDATE"}, {triggerDelete, "DELETE"}, {triggerTruncate, "TRUNCATE"}} {
		if n.GetEvents()&e.bit != 0 {
			out.Events = append(out.Events, e.word)
		}
	}
	for _, t := range n.GetTransitionRels() {
		if err := out.transition(t.GetTriggerTransition()); err != nil {
			return nil, err
		}
	}
	return out, out.names(n)
}

// transition reads one name that REFERENCING gives.
func (c *CreateTrigger) transition(r *pg.TriggerTransition) *Error {
	name, word := &c.OldTable, "OLD TABLE"
	if r.GetIsNew() {
		name, word = &c.NewTable, "NEW TABLE"
	}
	switch {
	case !r.GetIsTable():
		return &Error{Code: codeNotSupported, Message: "ROW variable naming in the REFERENCING clause is not supported", Hint: "Use OLD TABLE or NEW TABLE for naming transition tables."}
	case *name != "":
		return &Error{Code: "42P17", Message: word + " cannot be specified multiple times"}
	}
	*name = r.GetName()
	return nil
}

// names reads what may be refused of it.
func (c *CreateTrigger) names(n *pg.CreateTrigStmt) *Error {
	var err *Error
	if c.Table, err = relationName(n.GetRelation()); err != nil {
		return err
	}
	function, err := listName(n.GetFuncname())
	if err != nil {
		return err
	}
	c.Function = &function
	if n.GetConstrrel() != nil {
		from, err := relationName(n.GetConstrrel())
		if err != nil {
			return err
		}
		c.From = &from
	}
	if n.GetWhenClause() != nil {
		c.When, err = deparse(n.GetWhenClause())
	}
	return err
}

// policyCommands are the words of FOR.
var policyCommands = map[string]string{"all": "ALL", "select": "SELECT", "insert": "INSERT", "update": "UPDATE", "delete": "DELETE"}

func convertPolicy(n *pg.CreatePolicyStmt) (Node, *Error) {
	out := &CreatePolicy{Name: n.GetPolicyName(), Restrictive: !n.GetPermissive(), Command: policyCommands[n.GetCmdName()], Roles: roles(n.GetRoles())}
	var err *Error
	if out.Table, err = relationName(n.GetTable()); err != nil {
		return nil, err
	}
	out.Using, out.Check, err = policyTexts(n.GetQual(), n.GetWithCheck())
	return out, err
}

func convertAlterPolicy(n *pg.AlterPolicyStmt) (Node, *Error) {
	out := &AlterPolicy{Name: n.GetPolicyName(), Roles: roles(n.GetRoles())}
	var err *Error
	if out.Table, err = relationName(n.GetTable()); err != nil {
		return nil, err
	}
	out.Using, out.Check, err = policyTexts(n.GetQual(), n.GetWithCheck())
	return out, err
}

func policyTexts(using, check *pg.Node) (usingText, checkText string, err *Error) {
	if using != nil {
		if usingText, err = deparse(using); err != nil {
			return "", "", err
		}
	}
	if check != nil {
		checkText, err = deparse(check)
	}
	return usingText, checkText, err
}

func convertSetConstraints(n *pg.ConstraintsSetStmt) (Node, *Error) {
	out := &SetConstraints{Deferred: n.GetDeferred()}
	for _, c := range n.GetConstraints() {
		name, err := relationName(c.GetRangeVar())
		if err != nil {
			return nil, err
		}
		out.Names = append(out.Names, name)
	}
	return out, nil
}

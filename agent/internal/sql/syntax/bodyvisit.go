package syntax

import "strings"

// BodyVisitor is told what stands in a body; each of its functions may be nil.
type BodyVisitor struct {
	Statement func(BodyStatement)
	Expr      func(*Expr)
	Target    func(*BodyTarget)
}

// EachInBody tells v what stands in a list of statements, and in those that these have.
func EachInBody(list []BodyStatement, v *BodyVisitor) {
	for _, st := range list {
		if v.Statement != nil {
			v.Statement(st)
		}
		v.inside(st)
	}
}

func (v *BodyVisitor) exprs(list ...*Expr) {
	for _, e := range list {
		if e != nil && v.Expr != nil {
			v.Expr(e)
		}
	}
}

func (v *BodyVisitor) into(into *BodyInto) {
	if into != nil {
		v.targets(into.Targets)
	}
}

func (v *BodyVisitor) targets(list []BodyTarget) {
	for i := range list {
		for k := range list[i].Index {
			v.exprs(&list[i].Index[k])
		}
		if v.Target != nil {
			v.Target(&list[i])
		}
	}
}

func (v *BodyVisitor) execute(st *BodyExecute) {
	if st == nil {
		return
	}
	v.exprs(&st.SQL)
	for i := range st.Using {
		v.exprs(&st.Using[i])
	}
	v.into(st.Into)
}

// inside tells what a statement has.
func (v *BodyVisitor) inside(st BodyStatement) {
	switch st := st.(type) {
	case *BodyQuery:
		v.into(st.Into)
	case *BodyExecute:
		v.execute(st)
	case *BodyAssign:
		v.exprs(&st.Value)
		v.targets([]BodyTarget{st.Target})
	case *BodyRaise:
		for i := range st.Args {
			v.exprs(&st.Args[i])
		}
		for _, e := range st.Options {
			v.exprs(&e)
		}
	case *BodyReturn:
		v.exprs(st.Expr)
		if st.Query != nil && v.Statement != nil {
			v.Statement(st.Query)
		}
		v.execute(st.Execute)
	case *BodyExit:
		v.exprs(st.When)
	case *BodyAssert:
		v.exprs(&st.Condition, st.Message)
	case *BodyDiagnostics:
		v.targets(st.Targets)
	default:
		v.nested(st)
	}
}

// nested tells what a statement has that has others.
func (v *BodyVisitor) nested(st BodyStatement) {
	switch st := st.(type) {
	case *BodyIf:
		for i := range st.Arms {
			v.exprs(&st.Arms[i].Condition)
			EachInBody(st.Arms[i].Statements, v)
		}
		EachInBody(st.Else, v)
	case *BodyCase:
		v.exprs(st.Operand)
		for i := range st.Arms {
			for n := range st.Arms[i].Values {
				v.exprs(&st.Arms[i].Values[n])
			}
			EachInBody(st.Arms[i].Statements, v)
		}
		EachInBody(st.Else, v)
	case *BodyLoop:
		v.exprs(st.While, st.From, st.To, st.By, st.Array)
		v.targets(st.Targets)
		if st.Query != nil && v.Statement != nil {
			v.Statement(st.Query)
		}
		if st.Execute != nil && v.Statement != nil {
			v.Statement(st.Execute)
		}
		v.execute(st.Execute)
		EachInBody(st.Statements, v)
	case *BodyBlock:
		for i := range st.Declare {
			v.exprs(st.Declare[i].Default)
		}
		EachInBody(st.Statements, v)
		for i := range st.Handlers {
			EachInBody(st.Handlers[i].Statements, v)
		}
	}
}

// RowFields are the expressions between the parentheses of ROW(...); ok is false if the text
// is none.
func RowFields(text string) (fields string, ok bool) {
	e, err := ParseExpression(text)
	if err != nil || e.GetRowExpr() == nil {
		return "", false
	}
	from, to := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	return text[from+1 : max(to, from+1)], true
}

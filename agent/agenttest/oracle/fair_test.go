package oracle

import (
	"regexp"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/agenttest/oracle/grammar"
)

// leftOpen is the kind of a difference that PostgreSQL's manual (4.2.14) leaves open, made
// small: in which order expressions are evaluated, and whether those are that the answer does
// not need. "": it is none.
func (d *duel) leftOpen(s grammar.Statement, small *grammar.Node, kind string) string {
	switch {
	case kind == codeKind && d.eachAlone(s, small):
		return firstKind
	case (kind == errorsKind || kind == failsKind) && d.unneeded(s, small):
		return unneededKind
	}
	return ""
}

// evaluated reports whether an error is of values that were computed.
func evaluated(o *Outcome) bool {
	return o.Code != "" && (o.ofData() || slices.Contains([]string{"21", "23", "54"}, o.Code[:2]))
}

// scans is a line of EXPLAIN that reads a table.
var scans = regexp.MustCompile(`Scan (using \S+ )?on [a-z]`)

// ofRows reports whether two errors are of rows of tables, of which PostgreSQL's executor tells
// one by the order in which its plan reads rows and computes their values. What it tells of
// constants, or without reading a table, has an order that counts: EXPLAIN would fail, too, or
// reads none.
func (d *duel) ofRows(want, got *Outcome, statement string) bool {
	data := func(o *Outcome) bool { return o.ofData() || strings.HasPrefix(o.Code, "23") }
	if !data(want) || !data(got) {
		return false
	}
	plan, err := d.ask(0, "explain "+statement, "")
	return err == nil && plan.Code == "" && slices.ContainsFunc(plan.Rows, scans.MatchString)
}

// eachAlone reports whether there are two failures in a statement, each of which is
// PostgreSQL's when the other part is taken away: which of them is told first is what
// PostgreSQL leaves open (its manual, 4.2.14), though it has an order.
func (d *duel) eachAlone(s grammar.Statement, small *grammar.Node) bool {
	_, f := d.differs(s, small.String())
	if f == nil || f.kind != codeKind || !evaluated(f.want) || !evaluated(f.got) {
		return false
	}
	alone := map[string]bool{}
	grammar.Reduce(small, 300, func(statement string) bool {
		want, err := d.ask(0, statement, s.After)
		same := err == nil && want.Code != "" && !alone[want.Code]
		for i := 0; i < len(ways) && same; i++ {
			got, err := d.ask(i+1, statement, s.After)
			same = err == nil && got.Code == want.Code
		}
		if same {
			alone[want.Code] = true
		}
		return false
	})
	return alone[f.want.Code] && alone[f.got.Code]
}

// unneeded reports whether one of the two fails for an expression that the answer of the
// other does not need: it fails in both when it stands alone, and both give that answer
// whatever value stands in its place.
func (d *duel) unneeded(s grammar.Statement, small *grammar.Node) bool {
	_, f := d.differs(s, small.String())
	if f == nil {
		return false
	}
	failed, answer := f.want, f.got
	if f.kind == failsKind {
		failed, answer = f.got, f.want
	}
	if !evaluated(failed) {
		return false
	}
	return grammar.Expressions(small, func(at *grammar.Node, with func(text string) string) bool {
		if !d.failsAlone(at.String(), small.String(), failed.Code) {
			return false
		}
		return !slices.ContainsFunc(at.Simple, func(value string) bool { return !d.allAnswer(s, with(value), answer) })
	})
}

// columnPattern is a column in an expression, by the name of what it is of.
var columnPattern = regexp.MustCompile(`\b(chg|[tqwrf]\d+)\.[a-z]`)

// failsAlone reports whether an expression, over the tables of a statement whose columns it
// has, fails everywhere by that SQLSTATE.
func (d *duel) failsAlone(expression, statement, code string) bool {
	var from []string
	for _, column := range columnPattern.FindAllStringSubmatch(expression, -1) {
		item := regexp.MustCompile(`\b(num|txt|dat|doc|emp|chg|big) ` + column[1] + `\b`).FindString(statement)
		switch {
		case column[1] == "chg":
			item = "chg"
		case item == "":
			return false // of a query, a function
		}
		if !slices.Contains(from, item) {
			from = append(from, item)
		}
	}
	alone := "select " + expression
	if len(from) > 0 {
		alone += " from " + strings.Join(from, ", ")
	}
	for i := range d.conns {
		if got, err := d.ask(i, alone, ""); err != nil || got.Code != code {
			return false
		}
	}
	return true
}

// allAnswer reports whether a statement has an answer everywhere.
func (d *duel) allAnswer(s grammar.Statement, statement string, answer *Outcome) bool {
	for i := range d.conns {
		got, err := d.ask(i, statement, s.After)
		if err != nil || answer.difference(got, s.Ordered && ordered(statement), s.Rough && s.After == "", s.Lazy) != sameKind {
			return false
		}
	}
	return true
}

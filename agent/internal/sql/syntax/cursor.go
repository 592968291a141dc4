package syntax

import (
	"math"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// DeclareCursor is DECLARE name CURSOR FOR query.
type DeclareCursor struct {
	Name  string
	Query *Query
	// Hold says that the cursor outlives its transaction.
	Hold, Binary bool
	// Scroll and NoScroll say whether it can go back; neither: nothing was said.
	Scroll, NoScroll bool
	Insensitive      bool
}

// FetchCursor is FETCH and MOVE.
type FetchCursor struct {
	Name      string
	Direction FetchDirection
	// Count is of rows, or a place; FetchAll: all rows.
	Count int64
	Move  bool
}

// FetchAll is the count of FETCH ALL.
const FetchAll = math.MaxInt64

// FetchDirection is what the count of a FetchCursor counts.
type FetchDirection string

// The directions.
const (
	FetchForward  FetchDirection = "forward"
	FetchBackward FetchDirection = "backward"
	FetchAbsolute FetchDirection = "absolute"
	FetchRelative FetchDirection = "relative"
)

// CloseCursor is CLOSE; All has no name.
type CloseCursor struct {
	Name string
	All  bool
}

func (*DeclareCursor) node() {}
func (*FetchCursor) node()   {}
func (*CloseCursor) node()   {}

// The bits of a cursor's options in PostgreSQL's tree.
const (
	optionBinary = 1 << iota
	optionScroll
	optionNoScroll
	optionInsensitive
	optionAsensitive
	optionHold
)

// convertCursor reads what is about cursors.
func convertCursor(stmt *pg.Node, _, text string) (Node, *Error) {
	switch n := stmt.GetNode().(type) {
	case *pg.Node_DeclareCursorStmt:
		return convertDeclare(n.DeclareCursorStmt, text)
	case *pg.Node_FetchStmt:
		f := n.FetchStmt
		out := &FetchCursor{Name: f.GetPortalname(), Count: f.GetHowMany(), Move: f.GetIsmove(), Direction: FetchForward}
		switch f.GetDirection() {
		case pg.FetchDirection_FETCH_BACKWARD:
			out.Direction = FetchBackward
		case pg.FetchDirection_FETCH_ABSOLUTE:
			out.Direction = FetchAbsolute
		case pg.FetchDirection_FETCH_RELATIVE:
			out.Direction = FetchRelative
		}
		return out, nil
	case *pg.Node_ClosePortalStmt:
		name := n.ClosePortalStmt.GetPortalname()
		return &CloseCursor{Name: name, All: name == ""}, nil
	default:
		return nil, nil
	}
}

func convertDeclare(d *pg.DeclareCursorStmt, text string) (Node, *Error) {
	has := func(option int32) bool { return d.GetOptions()&option != 0 }
	invalid := func(message string) (Node, *Error) { return nil, &Error{Code: "42P11", Message: message} }
	switch {
	case has(optionScroll) && has(optionNoScroll):
		return invalid("cannot specify both SCROLL and NO SCROLL")
	case has(optionAsensitive) && has(optionInsensitive):
		return invalid("cannot specify both INSENSITIVE and ASENSITIVE")
	}
	inner, err := convert(d.GetQuery(), "TABLE", text)
	if err != nil {
		return nil, err
	}
	q, ok := inner.(*Query)
	if !ok || q.Select == nil {
		return invalid("DECLARE CURSOR must be of a SELECT that makes no table")
	}
	out := &DeclareCursor{Name: d.GetPortalname(), Query: q, Hold: has(optionHold), Binary: has(optionBinary), Scroll: has(optionScroll), NoScroll: has(optionNoScroll), Insensitive: has(optionInsensitive)}
	return out, out.checkLocks()
}

// checkLocks refuses what a cursor that locks its rows cannot be.
func (d *DeclareCursor) checkLocks() *Error {
	if len(d.Query.Select.GetLockingClause()) == 0 {
		return nil
	}
	strength := lockWords[d.Query.Select.GetLockingClause()[0].GetLockingClause().GetStrength()]
	switch {
	case d.Hold:
		return &Error{Code: "0A000", Message: "DECLARE CURSOR WITH HOLD ... " + strength + " is not supported", Detail: "Holdable cursors must be READ ONLY."}
	case d.Scroll:
		return &Error{Code: "0A000", Message: "DECLARE SCROLL CURSOR ... " + strength + " is not supported", Detail: "Scrollable cursors must be READ ONLY."}
	case d.Insensitive:
		return &Error{Code: "42P11", Message: "DECLARE INSENSITIVE CURSOR ... " + strength + " is not valid", Detail: "Insensitive cursors must be READ ONLY."}
	}
	return nil
}

// lockWords are the strengths of locks as they are written.
var lockWords = map[pg.LockClauseStrength]string{ //nolint:gochecknoglobals // never changed
	pg.LockClauseStrength_LCS_FORKEYSHARE: "FOR KEY SHARE", pg.LockClauseStrength_LCS_FORSHARE: "FOR SHARE",
	pg.LockClauseStrength_LCS_FORNOKEYUPDATE: "FOR NO KEY UPDATE", pg.LockClauseStrength_LCS_FORUPDATE: "FOR UPDATE",
}

package duck

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// The numbers of duckdb_error_type that matter here.
const (
	classOutOfRange     = 1
	classConversion     = 2
	classDecimal        = 4
	classMismatch       = 5
	classDivideByZero   = 6
	classNotImplemented = 11
	classExpression     = 12
	classCatalog        = 13
	classParser         = 14
	classSyntax         = 22
	classBinder         = 24
	classInterrupt      = 29
	classFatal          = 30
	classInternal       = 31
	classInvalidInput   = 32
	classOutOfMemory    = 33
	classPermission     = 34
)

// phrase is something DuckDB says and what PostgreSQL would.
type phrase struct {
	pattern *regexp.Regexp
	code    string
	message string // $1 ... are the pattern's groups
}

var phrases = []phrase{
	{regexp.MustCompile(`ND([0-9A-Z]{5}) (.+)`), "", "$2"},
	{regexp.MustCompile(`Referenced column "([^"]+)" (?:not found|was not found)`), "42703", `column "$1" does not exist`},
	{regexp.MustCompile(`Table "([^"]+)" does not have a column named "([^"]+)"`), "42703", `column $1.$2 does not exist`},
	{regexp.MustCompile(`Values list "([^"]+)" does not have a column named "([^"]+)"`), "42703", `column $1.$2 does not exist`},
	{regexp.MustCompile(`column "([^"]+)" must appear in the GROUP BY clause`), "42803", `column "$1" must appear in the GROUP BY clause or be used in an aggregate function`},
	{regexp.MustCompile(`Referenced table "([^"]+)" not found`), "42P01", `missing FROM-clause entry for table "$1"`},
	{regexp.MustCompile(`Ambiguous reference to column name "([^"]+)"`), "42702", `column reference "$1" is ambiguous`},
	{regexp.MustCompile(`Duplicate alias "([^"]+)"`), "42712", `table name "$1" specified more than once`},
	{regexp.MustCompile(`(?i)WHERE clause cannot contain aggregates`), "42803", `aggregate functions are not allowed in WHERE`},
	{regexp.MustCompile(`(?i)GROUP BY clause cannot contain aggregates`), "42803", `aggregate functions are not allowed in GROUP BY`},
	{regexp.MustCompile(`(?i)WHERE clause cannot contain window functions`), "42P20", `window functions are not allowed in WHERE`},
	{regexp.MustCompile(`(?i)aggregate function calls cannot be nested`), "42803", `aggregate function calls cannot be nested`},
	{regexp.MustCompile(`(?i)Set operations can only apply to expressions with the same number of result columns`), "42601", `each set operation query must have the same number of columns`},
	{regexp.MustCompile(`(?i)Subquery returns (\d+) columns`), "42601", `subquery must return only one column`},
	{regexp.MustCompile(`(?i)More than one row returned by a subquery`), "21000", `more than one row returned by a subquery used as an expression`},
	{regexp.MustCompile(`Could not convert string '(.*)' to INT\d+`), "22P02", `invalid input syntax for type integer: "$1"`},
	{regexp.MustCompile(`Could not convert string '(.*)' to (?:DOUBLE|FLOAT)`), "22P02", `invalid input syntax for type double precision: "$1"`},
	{regexp.MustCompile(`Could not convert string '(.*)' to (?:UUID|INT128)`), "22P02", `invalid input syntax for type uuid: "$1"`},
	{regexp.MustCompile(`Could not convert string "(.*)" to DECIMAL`), "22P02", `invalid input syntax for type numeric: "$1"`},
	{regexp.MustCompile(`invalid (date|timestamp|time) field format: "([^"]*)"`), "22007", `invalid input syntax for type $1: "$2"`},
	{regexp.MustCompile(`(date|timestamp|time) field value out of range: "([^"]*)"`), "22008", `$1 field value out of range: "$2"`},
	{regexp.MustCompile(`(?i)Malformed JSON`), "22P02", `invalid input syntax for type json`},
	{regexp.MustCompile(`(?i)cannot take square root of a negative number`), "2201F", `cannot take square root of a negative number`},
	{regexp.MustCompile(`(?i)cannot take logarithm of a negative number`), "2201E", `cannot take logarithm of a negative number`},
	{regexp.MustCompile(`(?i)cannot take logarithm of zero`), "2201E", `cannot take logarithm of zero`},
	{regexp.MustCompile(`(?i)Overflow in (?:addition|subtraction|multiplication|negation) of INT32`), "22003", `integer out of range`},
	{regexp.MustCompile(`(?i)Overflow in (?:addition|subtraction|multiplication|negation) of INT64`), "22003", `bigint out of range`},
	{regexp.MustCompile(`(?i)Overflow in (?:addition|subtraction|multiplication|negation) of INT16`), "22003", `smallint out of range`},
	{regexp.MustCompile(`(?i)value .* is out of range for the destination type|value .* can't be cast .*out of range`), "22003", `value out of range`},
	{regexp.MustCompile(`(?i)Overflow|out of range`), "22003", `value out of range`},
	{regexp.MustCompile(`No function matches the given name and argument types '([a-zA-Z0-9_<>=!~*+/|&^%@?-]+)\(`), "42883", `function $1 does not exist for these argument types`},
	{regexp.MustCompile(`Cannot compare values of type (\S+) and (?:type )?([A-Z0-9_(),\[\]]+)`), "0A000", `a comparison of these types in this statement is not supported`},
	{regexp.MustCompile(`Cannot mix values of type`), "42804", `the types of alternatives do not match`},
	{regexp.MustCompile(`(?i)LIMIT.*negative|LIMIT/OFFSET cannot be negative`), "2201W", `LIMIT must not be negative`},
}

// fromWorker makes PostgreSQL's error of DuckDB's. What is not known is told by its
// class alone: the text would quote the rewritten statement.
func fromWorker(f *frame.Failure) *Error {
	switch f.Class {
	case classInterrupt:
		return &Error{Code: "57014", Message: "canceling statement due to user request"}
	case classOutOfMemory:
		return outOfMemory()
	case classFatal, classInternal:
		e := errLost()
		e.Message, e.cause = "the SQL worker process failed inside", said(f)
		return e
	}
	text, _, _ := strings.Cut(f.Message, "\n")
	if m := tooGreat.FindStringSubmatch(text); m != nil {
		return overflow(m[1], m[2])
	}
	for _, p := range phrases {
		m := p.pattern.FindStringSubmatchIndex(text)
		if m == nil {
			continue
		}
		e := &Error{Code: p.code, Message: string(p.pattern.ExpandString(nil, p.message, text, m))}
		if e.Code == "" {
			e.Code = text[m[2]:m[3]]
		}
		e.Message = strings.ReplaceAll(e.Message, "nd_", "")
		return e
	}
	if strings.Contains(text, "Out of Memory Error") {
		return outOfMemory()
	}
	e := byClass(f.Class)
	e.cause = said(f)
	return e
}

// tooGreat is what DuckDB says of a number that a decimal of so many digits cannot hold.
var tooGreat = regexp.MustCompile(`(?i)(?:Could not cast value .* to|Casting value .* to type) DECIMAL\((\d+), ?(\d+)\)`)

// overflow is the error of a number that a numeric cannot hold; that one of all digits cannot is
// a bound of the engine.
func overflow(precision, scale string) *Error {
	p, _ := strconv.Atoi(precision)
	s, _ := strconv.Atoi(scale)
	if p >= frame.MaxDecimalWidth {
		return byClass(classOutOfRange)
	}
	bad := datum.NumericOverflow(int64(p), int32(s)) //nolint:gosec // at most 38
	return &Error{Code: bad.Code, Message: bad.Message, Detail: bad.Detail}
}

// said is DuckDB's text: the first line, without the statement below it.
func said(f *frame.Failure) error {
	text, _, _ := strings.Cut(f.Message, "\n")
	return fmt.Errorf("duckdb (class %d): %.500s", f.Class, text)
}

func outOfMemory() *Error {
	return &Error{Code: "53200", Message: "out of memory", Hint: "The statement needs more memory than the SQL worker process may take (sqlMemory), and more of the disk beside it (sqlSpill), if that would help. A condition of a join may be missing."}
}

func byClass(class uint32) *Error {
	switch class {
	case classOutOfRange:
		return &Error{Code: "22003", Message: "value out of range"}
	case classConversion:
		return &Error{Code: "22P02", Message: "invalid input syntax: a value cannot be converted to the type that is needed"}
	case classDivideByZero:
		return &Error{Code: "22012", Message: "division by zero"}
	case classMismatch, classExpression, classCatalog, classBinder, classInvalidInput, classDecimal:
		return &Error{Code: "0A000", Message: "this form of statement, or an operator or function in it of values of these types, is not supported", Hint: "Cast the values to other types, or write a simpler statement."}
	case classParser, classSyntax, classNotImplemented:
		return &Error{Code: "0A000", Message: "this form of statement is not supported"}
	case classPermission:
		return &Error{Code: "42501", Message: "permission denied"}
	}
	return &Error{Code: "XX000", Message: "the statement could not be run"}
}

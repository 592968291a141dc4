package datum

import (
	"fmt"
	"strings"
)

// Error is a value that cannot be what it should, with PostgreSQL's code.
type Error struct {
	Code    string // SQLSTATE
	Message string
	Detail  string
}

func (e *Error) Error() string { return e.Message }

// The codes of this package.
const (
	codeInvalidText    = "22P02" // invalid_text_representation
	codeInvalidBinary  = "22P03" // invalid_binary_representation
	codeOutOfRange     = "22003" // numeric_value_out_of_range
	codeBitLength      = "22026" // string_data_length_mismatch
	codeTooLong        = "22001" // string_data_right_truncation
	codeBadDatetime    = "22007" // invalid_datetime_format
	codeDatetimeRange  = "22008" // datetime_field_overflow
	codeIntervalRange  = "22015" // interval_field_overflow
	codeBadEncoding    = "22021" // character_not_in_repertoire
	codeCorrupt        = "XX001" // data_corrupted
	codeNotSupported   = "0A000" // feature_not_supported
	codeTooManyNesting = "54001" // statement_too_complex
	codeTooMany        = "54000" // program_limit_exceeded
	codeArray          = "2202E" // array_subscript_error
	codeWider          = "40001" // serialization_failure
)

func errorf(code, format string, args ...any) *Error {
	format = strings.ReplaceAll(format, "%q", `"%s"`) // as PostgreSQL, which escapes nothing within its quotes
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// wider is of a stored value that is none of t, but of the wider type that its column got
// since: whoever reads it has not heard of that yet, and will have when it tries again.
func wider(t Type, value any) *Error {
	return errorf(codeWider, "could not serialize access: a row holds %v, which is no %s: its column has been made wider meanwhile", value, t.SQLName())
}

func invalidText(t Type, s string) *Error {
	return errorf(codeInvalidText, "invalid input syntax for type %s: %q", t.SQLName(), clip(s))
}

func outOfRange(t Type, s string) *Error {
	return errorf(codeOutOfRange, "value %q is out of range for type %s", clip(s), t.SQLName())
}

// clip keeps messages short: the value may be megabytes.
func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "..."
	}
	return s
}

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
	codeProtocol       = "08P01" // protocol_violation
	codeOtherType      = "42804" // datatype_mismatch
	codeWider          = "40001" // serialization_failure
)

func errorf(code, format string, args ...any) *Error {
	format = strings.ReplaceAll(format, "%q", `"%s"`) // as PostgreSQL, which escapes nothing within its quotes
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// ErrSurplus is of a binary value with more bytes than its type has.
var ErrSurplus = errorf(codeInvalidBinary, "incorrect binary data format") //nolint:gochecknoglobals // never changed

// tooShort is of a binary value that ends before its type does.
func tooShort() *Error { return errorf(codeProtocol, "insufficient data left in message") }

// noByte is that where PostgreSQL reads single bytes.
func noByte() *Error { return errorf(codeProtocol, "no data left in message") }

// external is what is wrong with the part of a binary value.
func external(part string, t Type) *Error {
	return errorf(codeInvalidBinary, "invalid %s in external %q value", part, t.SQLName())
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

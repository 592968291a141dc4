package queryplan

import (
	"errors"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// errSlow says that Go cannot do it: the slow path can.
var errSlow = errors.New("not for the fast path") //nolint:gochecknoglobals // a sentinel

// isSlow reports whether err only means that the fast path is not the way.
func isSlow(err error) bool { return errors.Is(err, errSlow) }

// isRefused reports whether an error says that something is not supported.
func isRefused(err error) bool {
	var s *syntax.Error
	var d *duck.Error
	switch {
	case errors.As(err, &s):
		return s.Code == "0A000"
	case errors.As(err, &d):
		return d.Code == "0A000"
	}
	return false
}

func fail(code string, position int, format string, args ...any) *syntax.Error {
	return &syntax.Error{Code: code, Message: fmt.Sprintf(format, args...), Position: position}
}

// at gives a value's error the position of its literal.
func at(err error, position int) error {
	var d *datum.Error
	if position > 0 && errors.As(err, &d) {
		return &syntax.Error{Code: d.Code, Message: d.Message, Detail: d.Detail, Position: position}
	}
	return err
}

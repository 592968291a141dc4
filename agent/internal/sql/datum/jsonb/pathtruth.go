package jsonb

import (
	"errors"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// truth is what a predicate is.
type truth uint8

const (
	falsehood truth = iota
	truthful
	unknown
)

// truth evaluates a predicate.
func (e *evaluation) truth(n *pathNode, j string) (truth, error) {
	switch n.kind {
	case pathAnd, pathOr:
		decided, neutral := falsehood, truthful
		if n.kind == pathOr {
			decided, neutral = truthful, falsehood
		}
		left, err := e.truth(n.left, j)
		if err != nil || left == decided {
			return left, err
		}
		right, err := e.truth(n.right, j)
		if right == neutral {
			return left, err
		}
		return right, err
	case pathNot:
		v, err := e.truth(n.left, j)
		switch v {
		case truthful:
			return falsehood, err
		case falsehood:
			return truthful, err
		}
		return v, err
	case pathIsUnknown:
		v, err := e.truth(n.left, j)
		if v == unknown {
			return truthful, err
		}
		return falsehood, err
	case pathExists:
		return e.exists(n, j)
	case pathCompare:
		return e.pairs(n, j, true, func(a, b string) truth { return comparePath(n.name, a, b) })
	case pathStarts:
		return e.pairs(n, j, false, func(a, b string) truth {
			if a[0] != '"' || b[0] != '"' {
				return unknown
			}
			return truthOf(strings.HasPrefix(datum.JSONText(a), datum.JSONText(b)))
		})
	default: // pathLike
		return e.pairs(n, j, false, func(a, _ string) truth {
			if a[0] != '"' {
				return unknown
			}
			return truthOf(n.pattern.MatchString(datum.JSONText(a)))
		})
	}
}

func truthOf(b bool) truth {
	if b {
		return truthful
	}
	return falsehood
}

func (e *evaluation) exists(n *pathNode, j string) (truth, error) {
	found := false
	err := e.item(n.left, j, !e.strict, func(string) error {
		if found = true; e.strict {
			return nil
		}
		return errFound
	})
	switch {
	case errors.Is(err, errFound):
		return truthful, nil
	case unraised(err):
		return unknown, nil
	}
	return truthOf(found), err
}

// pairs holds each item of the left side against each of the right one.
func (e *evaluation) pairs(n *pathNode, j string, unwrapRight bool, holds func(a, b string) truth) (truth, error) {
	left, err := e.unwrapped(n.left, j)
	if err != nil {
		return unknownIf(err)
	}
	right := []string{""}
	if n.right != nil {
		right = nil
		if unwrapRight {
			right, err = e.unwrapped(n.right, j)
		} else {
			err = e.item(n.right, j, !e.strict, collect(&right))
		}
		if err != nil {
			return unknownIf(err)
		}
	}
	found, failed := false, false
	for _, a := range left {
		for _, b := range right {
			switch holds(a, b) {
			case unknown:
				if e.strict {
					return unknown, nil
				}
				failed = true
			case truthful:
				if !e.strict {
					return truthful, nil
				}
				found = true
			}
		}
	}
	switch {
	case found:
		return truthful, nil
	case failed:
		return unknown, nil
	}
	return falsehood, nil
}

// unknownIf has a predicate be unknown for an error of the path.
func unknownIf(err error) (truth, error) {
	if unraised(err) {
		return unknown, nil
	}
	return unknown, err
}

func comparePath(op, a, b string) truth {
	ka, kb := datum.KindOfJSON(a), datum.KindOfJSON(b)
	if ka != kb {
		if ka == datum.JSONNull || kb == datum.JSONNull {
			return truthOf(op == "!=")
		}
		return unknown
	}
	if !isScalar(a) {
		return unknown
	}
	c := datum.CompareJSON(a, b)
	switch op {
	case "==":
		return truthOf(c == 0)
	case "!=":
		return truthOf(c != 0)
	case "<":
		return truthOf(c < 0)
	case "<=":
		return truthOf(c <= 0)
	case ">":
		return truthOf(c > 0)
	default:
		return truthOf(c >= 0)
	}
}

package datum

import (
	"strings"
	"time"
)

// DateOrder is in which order a date of three numbers has them, if the first of them is no
// year of more than two digits.
type DateOrder uint8

// The orders of DateStyle. Who does not know the session's reads no such date.
const (
	OrderUnknown DateOrder = iota
	OrderMDY
	OrderDMY
	OrderYMD
)

// Reading is what the text of a value means something by, beside its type.
type Reading struct {
	Location *time.Location // nil: UTC
	Order    DateOrder
	Now      time.Time // when the transaction began, for 'now' and 'today'; zero: they are refused
}

// AtHand reports whether a text of a type is nothing but a word for the time at hand.
func AtHand(t Type, s string) bool {
	if t != Date && t != Timestamp && t != Timestamptz {
		return false
	}
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "now", "today", "tomorrow", "yesterday":
		return true
	}
	return false
}

// ParseText is Parse where nothing but the time zone is known.
func ParseText(t Type, s string, loc *time.Location) (Datum, error) {
	r := Reading{Location: loc}
	return r.Parse(t, s)
}

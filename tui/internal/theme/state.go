package theme

import "github.com/nodedb/nodedb/tui/internal/cell"

// Level is how much a state needs a person: the more, the worse.
type Level int

// The levels.
const (
	Quiet  Level = iota // as it should be, or gone for good
	Moving              // on its way by itself
	Alarm               // look at it
	Broken              // something is not served
)

// Mark is the shape and the style of a level.
func (t *Theme) Mark(l Level) (string, cell.Style) {
	switch l {
	case Moving:
		return t.Sym.Busy, t.Busy
	case Alarm:
		return t.Sym.Warn, t.Warn
	case Broken:
		return t.Sym.Bad, t.Bad
	}
	return t.Sym.OK, t.OK
}

// Banner is the style of a level's bar.
func (t *Theme) Banner(l Level) cell.Style {
	switch l {
	case Moving:
		return t.BusyBar
	case Alarm:
		return t.WarnBar
	case Broken:
		return t.BadBar
	}
	return t.OKBar
}

// Word is the style of a state's word: quiet when all is well.
func (t *Theme) Word(l Level) cell.Style {
	if l == Quiet {
		return t.Plain
	}
	_, s := t.Mark(l)
	return s
}

// Health is the level of the cluster's health.
func Health(word string) Level {
	switch word {
	case "healthy":
		return Quiet
	case "degraded":
		return Alarm
	}
	return Broken
}

// NodeStatus is the level of a node's status.
func NodeStatus(word string) Level {
	switch word {
	case "ready", "decommissioned":
		return Quiet
	case "starting", "joining", "draining", "decommissioning", "stopping":
		return Moving
	case "dead", "left":
		return Broken
	}
	return Alarm // suspect, cordoned, drained, unknown
}

// Liveness is the level of what gossip says of a node.
func Liveness(word string) Level {
	switch word {
	case "alive":
		return Quiet
	case "dead", "left":
		return Broken
	}
	return Alarm
}

// RangeState is the level of a range's state.
func RangeState(word string) Level {
	switch word {
	case "healthy":
		return Quiet
	case "moving", "over", "electing":
		return Moving
	case "no-quorum":
		return Broken
	}
	return Alarm // under, unknown
}

// Operation is the level of an operation's state.
func Operation(state string) Level {
	switch state {
	case "succeeded", "cancelled":
		return Quiet
	case "failed":
		return Broken
	case "blocked", "paused":
		return Alarm
	}
	return Moving
}

// Operation's mark: what was cancelled is as nobody wanted it in the end, which is
// neither well done nor broken.
func (t *Theme) OperationMark(state string) (string, cell.Style) {
	if state == "cancelled" {
		return t.Sym.Off, t.Dim
	}
	return t.Mark(Operation(state))
}

// Severity is the level of an event or a finding.
func Severity(word string) Level {
	switch word {
	case "error", "refuse":
		return Broken
	case "warn", "unknown":
		return Alarm
	}
	return Quiet
}

// RangeGlyph is one cell for a range's state in the map.
func (t *Theme) RangeGlyph(word string) string {
	switch word {
	case "healthy":
		return t.Sym.Dot
	case "moving":
		return "m"
	case "electing":
		return "e"
	case "under":
		return "u"
	case "over":
		return "o"
	case "no-quorum":
		return "!"
	}
	return "?"
}

// Full is the level of how full something is.
func Full(share float64) Level {
	switch {
	case share >= 0.9:
		return Broken
	case share >= 0.8:
		return Alarm
	}
	return Quiet
}

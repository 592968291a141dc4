package action

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
)

// Typed makes the drain or decommission that words ask for, with the options that
// they name as nodedbctl does: drain n3 --shutdown --reason disk swap. Nil
// without an error: the words are of something else, or have no options.
func Typed(words []string) (*Action, error) {
	if len(words) < 3 || words[0] != "drain" && words[0] != "decommission" {
		return nil, nil //nolint:nilnil // it is neither an action nor a mistake
	}
	node, err := strconv.ParseUint(strings.TrimPrefix(words[1], "n"), 10, 32)
	if err != nil {
		return nil, fmt.Errorf("%s is no node: name it as n3", words[1])
	}
	a, spec := Drain(uint32(node)), drainSpec(uint32(node))
	if words[0] == "decommission" {
		a, spec = Decommission(uint32(node)), decommissionSpec(uint32(node))
	}
	rest := words[2:]
	for len(rest) > 0 {
		if rest, err = option(spec, a, rest); err != nil {
			return nil, err
		}
	}
	return operation(spec, *a), nil
}

// option takes one option off words. The reason takes all that follow.
func option(spec *adminpb.OperationSpec, a *Action, words []string) (rest []string, err error) {
	name, value, joined := strings.Cut(words[0], "=")
	rest = words[1:]
	if !joined && len(rest) > 0 {
		value = rest[0]
	}
	after := func() []string {
		if joined || len(rest) == 0 {
			return rest
		}
		return rest[1:]
	}
	drains := spec.GetKind() == "drain"
	switch {
	case name == "--shutdown" && drains && !joined:
		spec.Shutdown, spec.Ttl = true, 0
		a.Command, a.Undo = a.Command+" --shutdown", ""
		return rest, nil
	case name == "--keep-running" && !drains && !joined:
		spec.KeepRunning = true
		a.Command += " --keep-running"
		return rest, nil
	case name == "--lb-wait" && drains:
		d, err := time.ParseDuration(value)
		if err != nil || d < 0 {
			return nil, fmt.Errorf("--lb-wait takes a duration: 10s, 1m")
		}
		spec.LbWait = d.Seconds()
	case name == "--rate" && !drains:
		n, ok := bytesPerSecond(value)
		if !ok {
			return nil, fmt.Errorf("--rate takes bytes per second: 16MiB/s")
		}
		spec.Rate = n
	case name == "--reason":
		text := strings.Trim(strings.TrimSpace(strings.TrimPrefix(strings.Join(words, " "), name)), "=\"'")
		if text == "" {
			return nil, fmt.Errorf("--reason takes a text")
		}
		a.Reason = text
		a.Command += " --reason '" + strings.ReplaceAll(text, "'", "'\\''") + "'"
		return nil, nil
	default:
		if drains {
			return nil, fmt.Errorf("options of a drain: --shutdown, --lb-wait 10s, --reason TEXT")
		}
		return nil, fmt.Errorf("options of a decommission: --rate 16MiB/s, --keep-running, --reason TEXT")
	}
	a.Command += " " + name + " " + value
	return after(), nil
}

// bytesPerSecond reads 64KiB/s, 16MiB, 1000.
func bytesPerSecond(text string) (uint64, bool) {
	text = strings.TrimSuffix(text, "/s")
	factor := uint64(1)
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if s, ok := strings.CutSuffix(text, unit); ok {
			text, factor = s, 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseUint(text, 10, 32)
	return n * factor, err == nil && n > 0
}

package metastate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/nodedb/nodedb/agent/internal/gate"
)

// formatVersion is the first byte of every command, result and record.
const formatVersion byte = 1

// EncodeCommand returns the bytes of c to propose.
func EncodeCommand(c Command) ([]byte, error) { return encode("command", c) }

// DecodeCommand reads what EncodeCommand made, as a binary does that supports s.
// Whatever it does not know is gate.ErrNewer: a field or a kind that only some
// replicas understood would let them drift apart.
func DecodeCommand(b []byte, s gate.Support) (Command, error) {
	var c Command
	if err := decode("command", b, &c); err != nil {
		return c, err
	}
	if needs, what := c.needs(); needs > s.Max {
		return c, gate.Newer("a meta command with %s", what)
	}
	return c, nil
}

// CheckCommand refuses what may not be proposed: what a binary that supports s
// cannot read, and what the active version does not allow. active 0 asks for the
// first alone.
func CheckCommand(b []byte, s gate.Support, active gate.Version) error {
	c, err := DecodeCommand(b, s)
	if err != nil {
		return err
	}
	if needs, what := c.needs(); active != 0 && needs > active {
		return &gate.ClosedError{What: "a meta command with " + what, Needs: needs, Active: active}
	}
	return nil
}

// EncodeResult returns the bytes of r.
func EncodeResult(r Result) ([]byte, error) { return encode("result", r) }

// DecodeResult reads what EncodeResult made.
func DecodeResult(b []byte) (Result, error) {
	var r Result
	err := decode("result", b, &r)
	return r, err
}

func encode(what string, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode meta %s: %w", what, err)
	}
	return append([]byte{formatVersion}, b...), nil
}

func decode(what string, b []byte, into any) error {
	if len(b) == 0 || b[0] != formatVersion {
		return gate.Newer("a meta %s of another format", what)
	}
	d := json.NewDecoder(bytes.NewReader(b[1:]))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return gate.Newer("decode meta %s: %v", what, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return gate.Newer("decode meta %s: data after the object", what)
	}
	return nil
}

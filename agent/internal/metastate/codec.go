package metastate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// formatVersion is the first byte of every command, result and record.
const formatVersion byte = 1

// errFormat says that bytes are of no version this node knows.
var errFormat = errors.New("unknown format version")

// EncodeCommand returns the bytes of c to propose.
func EncodeCommand(c Command) ([]byte, error) { return encode("command", c) }

// DecodeCommand reads what EncodeCommand made. Unknown fields are errors: a
// field that only some replicas understood would let them drift apart.
func DecodeCommand(b []byte) (Command, error) {
	var c Command
	err := decode("command", b, &c)
	return c, err
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
		return fmt.Errorf("decode meta %s: %w", what, errFormat)
	}
	d := json.NewDecoder(bytes.NewReader(b[1:]))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("decode meta %s: %w", what, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("decode meta %s: data after the object", what)
	}
	return nil
}

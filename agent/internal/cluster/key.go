package cluster

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Key is a place in the key space of a pool, and so what bounds a range: the raw
// bytes of a data key after its pool byte. The first key of a vshard is its two
// bytes; a bound inside a vshard is a whole row, which ends in zero. The last bound
// of a pool is the key of the vshard VShards.
type Key string

const (
	vshardKeyLen = 2
	// leastRow is the length of the shortest row: vshard, collection, space, terminator.
	leastRow = vshardKeyLen + 8 + 1 + 1
)

// ErrNoKey marks text and bytes that are no Key.
var ErrNoKey = errors.New("no key")

// Key returns the first key of the vshard.
func (v VShard) Key() Key {
	return Key(binary.BigEndian.AppendUint16(make([]byte, 0, vshardKeyLen), uint16(v)))
}

// VShard returns the vshard in which k lies; 0 for no key.
func (k Key) VShard() VShard {
	if len(k) < vshardKeyLen {
		return 0
	}
	return VShard(uint16(k[0])<<8 | uint16(k[1]))
}

// Whole reports whether k is the first key of a vshard: as a bound it divides none.
func (k Key) Whole() bool { return len(k) == vshardKeyLen }

// NextVShard returns the first vshard of which no key lies before k.
func (k Key) NextVShard() VShard {
	if len(k) > vshardKeyLen {
		return k.VShard() + 1
	}
	return k.VShard()
}

// String is for people: the number of a vshard for its first key, else 0x and hex
// digits. ParseKey reads both.
func (k Key) String() string {
	if k.Whole() {
		return strconv.Itoa(int(k.VShard()))
	}
	return "0x" + k.Hex()
}

// Text is for sentences: vshard 417, or key 0x and hex digits.
func (k Key) Text() string {
	if k.Whole() {
		return "vshard " + k.String()
	}
	return "key " + k.String()
}

// Hex returns the bytes in lower-case hex, as JSON has them.
func (k Key) Hex() string { return hex.EncodeToString([]byte(k)) }

// ParseKey reads what String returns.
func ParseKey(s string) (Key, error) {
	if digits, ok := strings.CutPrefix(s, "0x"); ok {
		return KeyOfHex(digits)
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n > VShards {
		return "", fmt.Errorf("%w: %q is neither a vshard from 0 to %d nor 0x and the hex digits of a key", ErrNoKey, s, VShards)
	}
	return VShard(n).Key(), nil
}

// KeyOfHex reads what Hex returns.
func KeyOfHex(digits string) (Key, error) {
	var k Key
	if err := k.UnmarshalText([]byte(digits)); err != nil {
		return "", err
	}
	return k, k.Validate()
}

// MarshalText returns k in lower-case hex.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.Hex()), nil }

// UnmarshalText reads what MarshalText returns, be it a bound or not.
func (k *Key) UnmarshalText(digits []byte) error {
	b, err := hex.DecodeString(string(digits))
	if err != nil {
		return fmt.Errorf("%w: %q are no hex digits of whole bytes", ErrNoKey, digits)
	}
	*k = Key(b)
	return nil
}

// Validate refuses what cannot bound a range.
func (k Key) Validate() error {
	switch {
	case len(k) < vshardKeyLen || k.VShard() > VShards || k.VShard() == VShards && !k.Whole():
		return fmt.Errorf("%w: %q begins with no vshard from 0 to %d", ErrNoKey, k.Hex(), VShards)
	case !k.Whole() && (len(k) < leastRow || k[len(k)-1] != 0 || binary.BigEndian.Uint64([]byte(k[vshardKeyLen:])) == 0):
		return fmt.Errorf("%w: %q is neither the beginning of a vshard nor a whole row", ErrNoKey, k.Hex())
	}
	return nil
}

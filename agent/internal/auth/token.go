package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
)

// Errors of tokens never quote the token.
var (
	ErrJoinToken   = errors.New("not a join token: it has the form ndbjoin1.<id>.<secret>.<pin>")
	ErrBearerToken = errors.New("not a token: it has the form ndb_<id>_<secret>, and its checksum must be right")
)

const (
	joinPrefix   = "ndbjoin1"
	bearerPrefix = "ndb"
)

// lower32 has no characters that shells, URLs or people mistake.
var lower32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const (
	idLen           = 8  // characters of base32: 40 bits
	joinSecretLen   = 24 // bytes
	bearerSecretLen = 32 // bytes
)

// JoinToken is the parsed form of a join token.
type JoinToken struct {
	ID     string
	Secret string
	Pin    [32]byte // of the CA's public key
}

// NewJoinToken makes a join token for the cluster whose roots are caPEM. hash is
// what is stored.
func NewJoinToken(caPEM []byte) (id, token string, hash [32]byte, err error) {
	roots, err := ParseCerts(caPEM)
	if err != nil {
		return "", "", hash, fmt.Errorf("the cluster's CA certificate: %w", err)
	}
	var secret [joinSecretLen]byte
	_, _ = rand.Read(secret[:]) // never fails
	t := JoinToken{ID: newTokenID(), Secret: base64.RawURLEncoding.EncodeToString(secret[:]), Pin: Pin(roots[0])}
	return t.ID, t.Encode(), t.Hash(), nil
}

// ParseJoinToken reads a join token. Space around it is ignored.
func ParseJoinToken(s string) (JoinToken, error) {
	p := strings.Split(strings.TrimSpace(s), ".")
	if len(p) != 4 || p[0] != joinPrefix || !validTokenID(p[1]) {
		return JoinToken{}, ErrJoinToken
	}
	secret, err := strict64.DecodeString(p[2])
	if err != nil || len(secret) != joinSecretLen {
		return JoinToken{}, ErrJoinToken
	}
	pin, err := strict64.DecodeString(p[3])
	if err != nil || len(pin) != 32 {
		return JoinToken{}, ErrJoinToken
	}
	return JoinToken{ID: p[1], Secret: p[2], Pin: [32]byte(pin)}, nil
}

// strict64 accepts one spelling of each value.
var strict64 = base64.RawURLEncoding.Strict()

// Hash is what is stored of the secret.
func (t JoinToken) Hash() [32]byte { return sha256.Sum256([]byte(t.Secret)) }

// String leaves the secret out.
func (t JoinToken) String() string { return "join token " + t.ID }

// GoString leaves the secret out of %#v too.
func (t JoinToken) GoString() string { return t.String() }

// Encode is the whole token, the secret with it.
func (t JoinToken) Encode() string {
	return strings.Join([]string{joinPrefix, t.ID, t.Secret, base64.RawURLEncoding.EncodeToString(t.Pin[:])}, ".")
}

// NewBearerToken makes a token of the admin API. hash is what is stored.
func NewBearerToken() (id, token string, hash [32]byte) {
	var secret [bearerSecretLen]byte
	_, _ = rand.Read(secret[:]) // never fails
	id = newTokenID()
	s := lower32.EncodeToString(secret[:])
	body := bearerPrefix + "_" + id + "_" + s
	return id, body + checksum(body), sha256.Sum256([]byte(s))
}

// ParseBearer reads a bearer token. The checksum tells a mistyped token from an
// unknown one without asking anybody.
func ParseBearer(token string) (id string, hash [32]byte, err error) {
	token = strings.TrimSpace(token)
	p := strings.Split(token, "_")
	n := lower32.EncodedLen(bearerSecretLen)
	if len(p) != 3 || p[0] != bearerPrefix || !validTokenID(p[1]) || len(p[2]) != n+lower32.EncodedLen(4) {
		return "", hash, ErrBearerToken
	}
	body, secret := token[:len(token)-lower32.EncodedLen(4)], p[2][:n]
	if checksum(body) != p[2][n:] {
		return "", hash, ErrBearerToken
	}
	if raw, err := lower32.DecodeString(secret); err != nil || lower32.EncodeToString(raw) != secret {
		return "", hash, ErrBearerToken
	}
	return p[1], sha256.Sum256([]byte(secret)), nil
}

func checksum(body string) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], crc32.ChecksumIEEE([]byte(body)))
	return lower32.EncodeToString(b[:])
}

func newTokenID() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails
	return lower32.EncodeToString(b[:])
}

func validTokenID(s string) bool {
	if len(s) != idLen {
		return false
	}
	_, err := lower32.DecodeString(s)
	return err == nil
}

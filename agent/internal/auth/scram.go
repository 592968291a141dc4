package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
)

// SCRAMIterations is the work factor of new verifiers. The client pays it at
// each login: 2 ms here.
const SCRAMIterations = 10610

const (
	scramPrefix   = "SCRAM-SHA-256"
	scramSaltLen  = 16
	minIterations = 4096
	maxIterations = 10_000_000
)

// ErrVerifier marks text that is no SCRAM verifier. It never quotes the text:
// somebody may have put a password there.
var ErrVerifier = errors.New("not a SCRAM-SHA-256 verifier of the form SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>")

// NewSCRAMVerifier makes the verifier of a password in PostgreSQL's form.
func NewSCRAMVerifier(password string) (string, error) {
	if password == "" {
		return "", errors.New("an empty password is no password")
	}
	c, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		// As PostgreSQL does: what SASLprep cannot prepare is used as it is.
		if c, err = scram.SHA256.NewClientUnprepped("", password, ""); err != nil {
			return "", errors.New("the password cannot be used")
		}
	}
	salt := make([]byte, scramSaltLen)
	_, _ = rand.Read(salt) // never fails
	v, err := c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: SCRAMIterations})
	if err != nil {
		return "", fmt.Errorf("derive the verifier: %w", err)
	}
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s$%d:%s$%s:%s", scramPrefix, v.Iters, b64(salt), b64(v.StoredKey), b64(v.ServerKey)), nil
}

// IsSCRAMVerifier reports whether text is a verifier, so that CREATE ROLE can
// take one in place of a password.
func IsSCRAMVerifier(text string) bool {
	_, err := ParseSCRAMVerifier(text)
	return err == nil
}

// ParseSCRAMVerifier reads a verifier into what xdg-go/scram's server needs.
func ParseSCRAMVerifier(text string) (scram.StoredCredentials, error) {
	var none scram.StoredCredentials
	p := strings.Split(text, "$")
	if len(p) != 3 || p[0] != scramPrefix {
		return none, ErrVerifier
	}
	iters, salt64, ok1 := strings.Cut(p[1], ":")
	stored64, server64, ok2 := strings.Cut(p[2], ":")
	n, err := strconv.Atoi(iters)
	if !ok1 || !ok2 || err != nil || n < minIterations || n > maxIterations {
		return none, ErrVerifier
	}
	dec := base64.StdEncoding.Strict().DecodeString
	salt, err1 := dec(salt64)
	stored, err2 := dec(stored64)
	server, err3 := dec(server64)
	if errors.Join(err1, err2, err3) != nil || len(salt) == 0 || len(stored) != sha256.Size || len(server) != sha256.Size {
		return none, ErrVerifier
	}
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(salt), Iters: n}, StoredKey: stored, ServerKey: server,
	}, nil
}

// FakeCredentials are for a user that does not exist: the same for the same
// name, so that the exchange does not tell, and right for no password. secret
// is any bytes that outsiders do not know.
func FakeCredentials(secret []byte, user string) scram.StoredCredentials {
	mac := func(what string) []byte {
		h := hmac.New(sha256.New, secret)
		_, _ = fmt.Fprintf(h, "%s\x00%s", what, user)
		return h.Sum(nil)
	}
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(mac("salt")[:scramSaltLen]), Iters: SCRAMIterations},
		StoredKey:  mac("stored"), ServerKey: mac("server"),
	}
}

// NewPassword makes a password for a generated login: 160 bits, easy to paste.
func NewPassword() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails
	return lower32.EncodeToString(b[:])
}

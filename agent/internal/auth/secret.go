package auth

import (
	"crypto/hmac"
	"crypto/sha256"
)

// DeriveSecret makes a secret for one purpose from one that the whole cluster
// has: the same on every node, and of no use for finding the first.
func DeriveSecret(secret []byte, purpose string) []byte {
	h := hmac.New(sha256.New, secret)
	_, _ = h.Write([]byte("nodedb " + purpose))
	return h.Sum(nil)
}

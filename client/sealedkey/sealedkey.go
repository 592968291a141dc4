// Package sealedkey encrypts a private key by a passphrase.
package sealedkey

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/scrypt"
)

// Type is the type of the PEM block that Seal makes.
const Type = "NODEDB SEALED PRIVATE KEY"

// The cost of scrypt: 32 MiB and about a tenth of a second for each guess. What a
// block says of itself must be this: a made-up block cannot ask for more.
const (
	costN, costR, costP = 1 << 15, 8, 1
	method              = "scrypt-32768-8-1 AES-256-GCM"

	headerMethod = "Method"
	headerSalt   = "Salt"
	saltBytes    = 16
	keyBytes     = 32
)

// Seal encrypts a key (PKCS 8 DER) and returns it as PEM.
func Seal(der, passphrase []byte) ([]byte, error) {
	salt := make([]byte, saltBytes)
	if _, err := rand.Read(salt); err != nil {
		return nil, fmt.Errorf("draw a salt: %w", err)
	}
	aead, err := newAEAD(passphrase, salt)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{
		Type: Type, Headers: map[string]string{headerMethod: method, headerSalt: base64.StdEncoding.EncodeToString(salt)},
		Bytes: aead.Seal(nil, nil, der, []byte(method)),
	}), nil
}

// Open decrypts the block that Seal made. It cannot tell a wrong passphrase from a
// damaged block.
func Open(b *pem.Block, passphrase []byte) (der []byte, err error) {
	if b.Headers[headerMethod] != method {
		return nil, fmt.Errorf("the key is encrypted by the method %q, which this version does not know", b.Headers[headerMethod])
	}
	salt, err := base64.StdEncoding.DecodeString(b.Headers[headerSalt])
	if err != nil || len(salt) != saltBytes {
		return nil, errors.New("the salt of the encrypted key is damaged: restore the file from its backup")
	}
	aead, err := newAEAD(passphrase, salt)
	if err != nil {
		return nil, err
	}
	if der, err = aead.Open(nil, nil, b.Bytes, []byte(method)); err != nil {
		return nil, errors.New("the passphrase is wrong, or the file is damaged")
	}
	return der, nil
}

// newAEAD draws its nonces itself and puts them before what it seals.
func newAEAD(passphrase, salt []byte) (cipher.AEAD, error) {
	key, err := scrypt.Key(passphrase, salt, costN, costR, costP, keyBytes)
	if err != nil {
		return nil, fmt.Errorf("derive a key from the passphrase: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("derive a key from the passphrase: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

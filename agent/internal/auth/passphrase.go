package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/nodedb/nodedb/client/sealedkey"
)

// PassphraseVariable is the environment variable that has the passphrase of the
// CA's key where no file is named.
const PassphraseVariable = "NODEDB_CA_PASSPHRASE"

// ErrSealed marks a CA's key that is here but cannot be opened.
var ErrSealed = errors.New("the CA's key cannot be opened")

// Passphrase encrypts the CA's key on this node's disk, if it has a text. Opening
// takes a tenth of a second and 32 MiB: what was opened once is remembered, and so
// is what could not be.
type Passphrase struct {
	text []byte
	err  error // it could not be read

	mu     sync.Mutex
	opened map[[sha256.Size]byte]opened // by the sealed text
}

type opened struct {
	key *ecdsa.PrivateKey
	err error
}

// ReadPassphrase reads the passphrase in a file (mode 0600), or that of the
// environment if none is named. It has none if there is neither.
func ReadPassphrase(file string) *Passphrase {
	p := &Passphrase{text: []byte(os.Getenv(PassphraseVariable)), opened: map[[sha256.Size]byte]opened{}}
	if file == "" {
		return p
	}
	text, err := ReadSecret(file)
	p.text = bytes.TrimRight(text, "\r\n")
	if err == nil && len(p.text) == 0 {
		err = fmt.Errorf("%s is empty: write the passphrase of the CA's key into it", file)
	}
	p.err = err
	return p
}

// Err says why the passphrase could not be read.
func (p *Passphrase) Err() error { return p.err }

// Set reports whether keys are encrypted here.
func (p *Passphrase) Set() bool { return p.err != nil || len(p.text) > 0 }

// seal returns a key as its file on this node is to hold it.
func (p *Passphrase) seal(key *ecdsa.PrivateKey) ([]byte, error) {
	plain, err := KeyPEM(key)
	if err != nil || !p.Set() {
		return plain, err
	}
	if p.err != nil {
		return nil, p.err
	}
	b, _ := pem.Decode(plain)
	return sealedkey.Seal(b.Bytes, p.text)
}

// parse reads a CA's key, encrypted or not.
func (p *Passphrase) parse(text []byte) (*ecdsa.PrivateKey, error) {
	b, _ := pem.Decode(text)
	if b == nil || b.Type != sealedkey.Type {
		return ParseKey(text)
	}
	switch {
	case p.err != nil:
		return nil, fmt.Errorf("%w: %w", ErrSealed, p.err)
	case len(p.text) == 0:
		return nil, fmt.Errorf("%w: it is encrypted: set caKeyPassphraseFile in node.yaml, or %s in the environment, and restart", ErrSealed, PassphraseVariable)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	sum := sha256.Sum256(text)
	o, ok := p.opened[sum]
	if !ok {
		o = p.open(b)
		p.opened[sum] = o
	}
	return o.key, o.err
}

func (p *Passphrase) open(b *pem.Block) opened {
	der, err := sealedkey.Open(b, p.text)
	if err != nil {
		return opened{err: fmt.Errorf("%w: %w: caKeyPassphraseFile in node.yaml, or %s, says which passphrase is used; set the right one and restart", ErrSealed, err, PassphraseVariable)}
	}
	key, err := ParseKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return opened{key: key, err: err}
}

func readCAKey(path string, p *Passphrase) (*ecdsa.PrivateKey, error) {
	text, err := ReadSecret(path)
	if err != nil {
		return nil, err
	}
	k, err := p.parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

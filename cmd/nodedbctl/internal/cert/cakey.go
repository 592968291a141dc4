package cert

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"os"

	"github.com/spf13/pflag"

	"github.com/nodedb/nodedb/client/sealedkey"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
)

// caKeyFlags say where the CA's key is, and what opens it.
type caKeyFlags struct{ file, passphrase string }

func (k *caKeyFlags) bind(f *pflag.FlagSet, usage string) {
	f.StringVar(&k.file, "ca-key", "", usage)
	f.StringVar(&k.passphrase, "ca-passphrase-file", "", "file (mode 0600) of the passphrase that the CA's key is encrypted by")
}

// read reads the CA's key. Errors do not quote it.
func (k *caKeyFlags) read() (*ecdsa.PrivateKey, error) {
	text, err := readSecret("--ca-key", k.file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" && block.Type != sealedkey.Type {
		return nil, ctl.Usagef("%s holds no PEM private key", k.file)
	}
	der := block.Bytes
	if block.Type == sealedkey.Type {
		if der, err = k.open(block); err != nil {
			return nil, err
		}
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return nil, ctl.Usagef("%s holds no ECDSA key", k.file)
	}
	return key, nil
}

func (k *caKeyFlags) open(block *pem.Block) ([]byte, error) {
	if k.passphrase == "" {
		return nil, ctl.Usagef("%s is encrypted: say with --ca-passphrase-file which file holds its passphrase", k.file)
	}
	passphrase, err := readSecret("--ca-passphrase-file", k.passphrase)
	if err != nil {
		return nil, err
	}
	der, err := sealedkey.Open(block, bytes.TrimRight(passphrase, "\r\n"))
	if err != nil {
		return nil, ctl.Usagef("%s: %v", k.file, err)
	}
	return der, nil
}

// readSecret reads a file that only its owner may read.
func readSecret(flag, file string) ([]byte, error) {
	fi, err := os.Stat(file)
	if err != nil {
		return nil, ctl.Usagef("%s: %v", flag, err)
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return nil, ctl.Usagef("%s may be read by others (mode %04o): chmod 600 %s", file, fi.Mode().Perm(), file)
	}
	text, err := os.ReadFile(file) //nolint:gosec // the operator names it
	if err != nil {
		return nil, ctl.Usagef("%s: %v", flag, err)
	}
	return text, nil
}

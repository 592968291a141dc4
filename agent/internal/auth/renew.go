package auth

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// The files of a CA that is to come, on the node that made it.
const (
	NextCACertFile = "ca-next.crt"
	NextCAKeyFile  = "ca-next.key"
)

// Fingerprint is the hexadecimal SHA-256 of a certificate's public key.
func Fingerprint(cert *x509.Certificate) string {
	p := Pin(cert)
	return hex.EncodeToString(p[:])
}

// RenewAfter is when a certificate should be replaced: at two thirds of its life.
func RenewAfter(cert *x509.Certificate) time.Time {
	return cert.NotBefore.Add(cert.NotAfter.Sub(cert.NotBefore) * 2 / 3)
}

// ReplaceNode replaces a node's certificate and key in dir, so that a crash
// leaves the old pair, the new one, or what FinishReplace makes the new one of.
func ReplaceNode(dir string, certPEM []byte, key *ecdsa.PrivateKey) error {
	keyPEM, err := KeyPEM(key)
	if err != nil {
		return err
	}
	for name, b := range map[string][]byte{NodeCertFile: certPEM, NodeKeyFile: keyPEM} {
		if err := writeSynced(filepath.Join(dir, name+newSuffix), b); err != nil {
			return fmt.Errorf("write the new %s: %w", name, err)
		}
	}
	// The key goes first: see FinishReplace.
	if err := os.Rename(filepath.Join(dir, NodeKeyFile+newSuffix), filepath.Join(dir, NodeKeyFile)); err != nil {
		return fmt.Errorf("replace the node's key: %w", err)
	}
	return FinishReplace(dir)
}

const newSuffix = ".new"

// FinishReplace ends a ReplaceNode that a crash cut off: the new certificate
// belongs to the key that is in force once the new key is no longer aside.
func FinishReplace(dir string) error {
	aside := filepath.Join(dir, NodeCertFile+newSuffix)
	if _, err := os.Stat(filepath.Join(dir, NodeKeyFile+newSuffix)); err == nil {
		// Not begun: nothing that is in force was touched.
		return errors.Join(removeFile(aside), removeFile(filepath.Join(dir, NodeKeyFile+newSuffix)))
	}
	err := os.Rename(aside, filepath.Join(dir, NodeCertFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("replace the node's certificate: %w", err)
	}
	return syncDir(dir)
}

// ReplaceRoots replaces ca.crt in dir, if the node's certificate is signed by one
// of them: else the node could not start again.
func ReplaceRoots(dir string, rootsPEM []byte) error {
	roots, err := ParseCerts(rootsPEM)
	if err != nil {
		return fmt.Errorf("replace the roots: %w", err)
	}
	certs, err := readCerts(filepath.Join(dir, NodeCertFile))
	if err != nil {
		return err
	}
	if signerOf(certs[0], roots) == nil {
		return errors.New("replace the roots: this node's certificate is signed by none of the new ones; it must be renewed first")
	}
	return replaceFile(filepath.Join(dir, CACertFile), rootsPEM)
}

func signerOf(leaf *x509.Certificate, roots []*x509.Certificate) *x509.Certificate {
	for _, r := range roots {
		if leaf.CheckSignatureFrom(r) == nil {
			return r
		}
	}
	return nil
}

// TakeCAKey puts the CA's key (PEM), which another node gave away, into dir. It must
// be that of a root that dir knows.
func TakeCAKey(dir string, keyPEM []byte, p *Passphrase) (*CA, error) {
	key, err := ParseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("take the CA's key: %w", err)
	}
	roots, err := readCerts(filepath.Join(dir, CACertFile))
	if err != nil {
		return nil, err
	}
	if _, err := caOf(key, roots); err != nil {
		return nil, fmt.Errorf("take the CA's key: %w", err)
	}
	sealed, err := p.seal(key)
	if err != nil {
		return nil, fmt.Errorf("take the CA's key: %w", err)
	}
	if err := replaceFile(filepath.Join(dir, CAKeyFile), sealed); err != nil {
		return nil, err
	}
	return LoadCA(dir, p)
}

// DropCAKey removes the CA's key from dir.
func DropCAKey(dir string) error {
	return errors.Join(removeFile(filepath.Join(dir, CAKeyFile)), syncDir(dir))
}

// StageCA makes the CA that is to come beside the one in dir, or returns the one
// that was made before. Only a node that holds the CA's key may.
func StageCA(dir, clusterID string, p *Passphrase) (certPEM []byte, err error) {
	if _, err := LoadCA(dir, p); err != nil {
		return nil, err
	}
	if b, err := os.ReadFile(filepath.Join(dir, NextCACertFile)); err == nil {
		if _, kerr := readCAKey(filepath.Join(dir, NextCAKeyFile), p); kerr == nil {
			return b, nil
		}
	}
	ca, err := NewCA(clusterID)
	if err != nil {
		return nil, err
	}
	keyPEM, err := ca.SealedPEM(p)
	if err != nil {
		return nil, err
	}
	if err := replaceFile(filepath.Join(dir, NextCAKeyFile), keyPEM); err != nil {
		return nil, err
	}
	return ca.CertPEM(), replaceFile(filepath.Join(dir, NextCACertFile), ca.CertPEM())
}

// ActivateCA makes the staged CA the one that signs, if it was made here and its
// public key has the fingerprint.
func ActivateCA(dir, fingerprint string) (activated bool, err error) {
	certs, err := readCerts(filepath.Join(dir, NextCACertFile))
	if errors.Is(err, fs.ErrNotExist) || err == nil && Fingerprint(certs[0]) != fingerprint {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := os.Rename(filepath.Join(dir, NextCAKeyFile), filepath.Join(dir, CAKeyFile)); err != nil {
		return false, fmt.Errorf("activate the staged CA: %w", err)
	}
	return true, errors.Join(removeFile(filepath.Join(dir, NextCACertFile)), syncDir(dir))
}

// DropStagedCA forgets a staged CA.
func DropStagedCA(dir string) error {
	return errors.Join(removeFile(filepath.Join(dir, NextCACertFile)), removeFile(filepath.Join(dir, NextCAKeyFile)))
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func replaceFile(path string, b []byte) error {
	if err := writeSynced(path+newSuffix, b); err != nil {
		return err
	}
	if err := os.Rename(path+newSuffix, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // in the node's own directory
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the node's own directory
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

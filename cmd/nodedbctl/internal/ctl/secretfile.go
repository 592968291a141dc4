package ctl

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"
)

// SecretFile is the flag --out of verbs that show a secret once.
type SecretFile struct{ path string }

// Bind adds the flag.
func (s *SecretFile) Bind(f *pflag.FlagSet) {
	f.StringVar(&s.path, "out", "", "write the secret to this new file, mode 0600, and not to stdout")
}

// Reserve makes the file before the secret is made: one that cannot be kept is not
// asked for. cancel removes the file again. Without the flag nothing happens.
func (s *SecretFile) Reserve() (cancel func(), err error) {
	if s.path == "" {
		return func() {}, nil
	}
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the operator names it
	if errors.Is(err, os.ErrExist) {
		return nil, Usagef("--out %s is there already: name a new file", s.path)
	}
	if err != nil {
		return nil, fmt.Errorf("--out: %w", err)
	}
	return func() { _ = os.Remove(s.path) }, f.Close()
}

// Keep writes the secret into the file, if there is one. shown is what is left to
// show: the secret, or nothing; where says "in FILE" or that it is shown once.
func (s *SecretFile) Keep(secret string) (shown, where string, err error) {
	if s.path == "" {
		return secret, "this is shown once", nil
	}
	if err := os.WriteFile(s.path, []byte(secret+"\n"), 0o600); err != nil {
		return "", "", fmt.Errorf("--out: %w", err)
	}
	return "", "it is in " + s.path, nil
}

// ShowSecret writes what Keep left to show.
func ShowSecret(w io.Writer, shown string) error {
	if shown == "" {
		return nil
	}
	_, err := fmt.Fprintln(w, shown)
	return err
}

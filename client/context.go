package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// FileVersion is the version of the context file's format.
const FileVersion = 1

// Context says how to reach one cluster and as whom. Paths may be relative to
// the directory of the context file.
type Context struct {
	Name  string   `yaml:"name"`
	Addrs []string `yaml:"addrs"` // admin addresses, host:port; tried in this order
	CA    string   `yaml:"ca,omitempty"`
	Cert  string   `yaml:"cert,omitempty"`
	Key   string   `yaml:"key,omitempty"`
	// TokenFile holds a bearer token; the token itself is never in the context.
	TokenFile string `yaml:"tokenFile,omitempty"`
	// SQLUser is who nodedbctl sql logs in as. Empty: the name in Cert.
	SQLUser string `yaml:"sqlUser,omitempty"`
	// SQLPasswordFile holds that user's password, for those without Cert.
	SQLPasswordFile string `yaml:"sqlPasswordFile,omitempty"`
	// Protected contexts refuse --yes: each plan is confirmed by its id.
	Protected bool `yaml:"protected,omitempty"`
	// Known are more admin addresses of the cluster, learnt from its nodes. They are
	// tried after Addrs and are not part of the context file; see File.Recall.
	Known []string `yaml:"-"`
}

// File is the context file.
type File struct {
	Version  int       `yaml:"version"`
	Current  string    `yaml:"current"`
	Contexts []Context `yaml:"contexts"`

	path string
	gone []string // contexts whose knowledge goes at the next Write
}

// ErrNoContext is returned by File.Select when there is nothing to choose from.
var ErrNoContext = errors.New("no context")

// DefaultPath returns where the context file is when nobody says otherwise.
func DefaultPath() (string, error) {
	d, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the user's configuration directory: %w", err)
	}
	return filepath.Join(d, "nodedb", "context.yaml"), nil
}

// ReadFile reads the context file at path. A file that does not exist is an
// empty one; unknown keys are errors.
func ReadFile(path string) (*File, error) {
	f := &File{Version: FileVersion, path: path}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read context file: %w", err)
	}
	if err := f.decode(b); err != nil {
		return nil, fmt.Errorf("context file %s: %w", path, err)
	}
	return f, nil
}

func (f *File) decode(b []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(f); err != nil && !errors.Is(err, io.EOF) {
		return plainYAML(err)
	}
	if f.Version > FileVersion {
		return fmt.Errorf("version %d is newer than this program knows (%d)", f.Version, FileVersion)
	}
	seen := map[string]bool{}
	for _, c := range f.Contexts {
		if c.Name == "" {
			return errors.New("a context has no name")
		}
		if seen[c.Name] {
			return fmt.Errorf("context %q is there twice", c.Name)
		}
		seen[c.Name] = true
	}
	return nil
}

// goType is how the YAML library names the type that lacks a field.
var goType = regexp.MustCompile(`field (\S+) not found in type \S+`)

// plainYAML says what is wrong in words of the file, not of this program.
func plainYAML(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:\n  ")
	return errors.New(goType.ReplaceAllString(strings.ReplaceAll(text, "\n  ", "; "), "there is no setting $1"))
}

// Path is where the file was read from and will be written to.
func (f *File) Path() string { return f.path }

// Select returns the context called name, or the current one when name is
// empty, with its paths made absolute and what is known of its cluster.
func (f *File) Select(name string) (Context, error) {
	if name == "" {
		name = f.Current
	}
	if name == "" && len(f.Contexts) == 1 {
		name = f.Contexts[0].Name
	}
	if name == "" {
		return Context{}, ErrNoContext
	}
	i := f.index(name)
	if i < 0 {
		return Context{}, fmt.Errorf("%w %q in %s", ErrNoContext, name, f.path)
	}
	c := f.Contexts[i]
	dir := filepath.Dir(f.path)
	for _, p := range []*string{&c.CA, &c.Cert, &c.Key, &c.TokenFile, &c.SQLPasswordFile} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	c.Known = f.Recall(c).Addrs
	return c, nil
}

// Put adds c, or replaces the context of its name. The first one becomes current.
func (f *File) Put(c Context) {
	if i := f.index(c.Name); i >= 0 {
		f.Contexts[i] = c
	} else {
		f.Contexts = append(f.Contexts, c)
	}
	if f.Current == "" {
		f.Current = c.Name
	}
}

// Remove takes the context called name out, with what was learnt through it, and
// reports whether it was there.
func (f *File) Remove(name string) bool {
	i := f.index(name)
	if i < 0 {
		return false
	}
	f.gone = append(f.gone, name)
	f.Contexts = slices.Delete(f.Contexts, i, i+1)
	if f.Current == name {
		f.Current = ""
	}
	return true
}

// Names lists the contexts in the file's order.
func (f *File) Names() []string {
	names := make([]string, len(f.Contexts))
	for i, c := range f.Contexts {
		names[i] = c.Name
	}
	return names
}

func (f *File) index(name string) int {
	return slices.IndexFunc(f.Contexts, func(c Context) bool { return c.Name == name })
}

// Write saves the file, readable by its owner only. A crash leaves the old file
// or the new one.
func (f *File) Write() error {
	b, err := yaml.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode context file: %w", err)
	}
	if err := writeFile(f.path, b); err != nil {
		return fmt.Errorf("write context file: %w", err)
	}
	for _, name := range f.gone {
		if err := f.forget(name); err != nil {
			return err
		}
	}
	f.gone = nil
	return nil
}

// writeFile puts b in the place of the file at path, readable by its owner only,
// whole or not at all.
func writeFile(path string, b []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	t, err := os.CreateTemp(dir, ".context-*") // CreateTemp makes it 0600
	if err != nil {
		return err
	}
	_, werr := t.Write(b)
	if err := errors.Join(werr, t.Close()); err != nil {
		return errors.Join(err, os.Remove(t.Name()))
	}
	if err := os.Rename(t.Name(), path); err != nil {
		return errors.Join(err, os.Remove(t.Name()))
	}
	return nil
}

// readSecret reads a file that holds one secret, and refuses one that others
// can read.
func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s can be read by others (mode %04o): chmod 600 %s", path, info.Mode().Perm(), path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return s, nil
}

// SQLPassword reads the password that SQLPasswordFile holds; empty without one.
func (c *Context) SQLPassword() (string, error) {
	if c.SQLPasswordFile == "" {
		return "", nil
	}
	s, err := readSecret(c.SQLPasswordFile)
	if err != nil {
		return "", fmt.Errorf("read SQL password: %w", err)
	}
	return s, nil
}

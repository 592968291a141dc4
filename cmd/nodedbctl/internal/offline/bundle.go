package offline

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Limits of what is read of a bundle.
const (
	fileMost  = 64 << 20
	totalMost = 512 << 20
	filesMost = 20000
)

// ManifestName is the file that says what is in a bundle.
const ManifestName = "manifest.json"

// Manifest is the kind BundleManifest: what was collected, and what is missing.
type Manifest struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	CreatedAt  time.Time `json:"createdAt"`
	Cluster    string    `json:"cluster"`
	Version    string    `json:"version"` // of nodedbctl
	Steps      []Step    `json:"steps"`
}

// Step is one thing that was to be collected.
type Step struct {
	Name      string  `json:"name"` // calls/ListNodes, nodes/n1/log
	File      string  `json:"file"` // empty: missing
	Error     string  `json:"error,omitempty"`
	Bytes     int     `json:"bytes"`
	Seconds   float64 `json:"seconds"`
	Truncated bool    `json:"truncated,omitempty"`
}

// Missing lists the steps that gave nothing.
func (m *Manifest) Missing() []Step {
	var out []Step
	for _, s := range m.Steps {
		if s.File == "" {
			out = append(out, s)
		}
	}
	return out
}

// Bundle is a debug bundle in memory.
type Bundle struct {
	Manifest Manifest
	files    map[string][]byte
}

// Open reads the bundle at path.
func Open(path string) (*Bundle, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open bundle: %w", err)
	}
	defer func() { _ = f.Close() }()
	b, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", path, err)
	}
	return b, nil
}

// Read reads a bundle.
func Read(r io.Reader) (*Bundle, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("not a tar.gz: %w", err)
	}
	b := &Bundle{files: map[string][]byte{}}
	total := 0
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read: %w", err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(io.LimitReader(t, fileMost+1))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", h.Name, err)
		}
		if total += len(content); len(content) > fileMost || total > totalMost || len(b.files) >= filesMost {
			return nil, fmt.Errorf("%s: larger than any bundle", h.Name)
		}
		b.files[inside(h.Name)] = content
	}
	m, ok := b.files[ManifestName]
	if !ok {
		return nil, errors.New("it has no " + ManifestName + ": not a debug bundle")
	}
	if err := json.Unmarshal(m, &b.Manifest); err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestName, err)
	}
	return b, nil
}

// inside is a name without the bundle's own directory.
func inside(name string) string {
	if _, rest, ok := strings.Cut(name, "/"); ok {
		return rest
	}
	return name
}

// why says why a step gave nothing.
func (b *Bundle) why(step string) string {
	for _, s := range b.Manifest.Steps {
		if s.Name == step && s.Error != "" {
			return s.Error
		}
	}
	return "it was not collected"
}

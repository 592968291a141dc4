package offline

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"testing"

	"github.com/nodedb/nodedb/client/adminpb"
)

// pack makes a bundle of one answer.
func pack(t testing.TB, manifest, name, answer string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	w := tar.NewWriter(z)
	for n, text := range map[string]string{"b/" + ManifestName: manifest, name: answer} {
		if err := w.WriteHeader(&tar.Header{Name: n, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(text))}); err != nil {
			t.Skip(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// FuzzBundle reads bundles from elsewhere: each is refused or answers, whatever
// is in it.
func FuzzBundle(f *testing.F) {
	f.Add(`{"kind":"BundleManifest"}`, "b/calls/ListNodes.json", `{"nodes":[{"id":1}]}`)
	f.Add(`{`, "../../etc/passwd", "x")
	f.Add(`{}`, "b/calls/ListNodes.json", `{"nodes":7}`)
	f.Fuzz(func(t *testing.T, manifest, name, answer string) {
		b, err := Read(bytes.NewReader(pack(t, manifest, name, answer)))
		if err != nil {
			return
		}
		c := b.Client("x")
		r, err := c.ListNodes(t.Context(), &adminpb.ListNodesRequest{})
		if (r == nil) == (err == nil) {
			t.Errorf("got %v and %v", r, err)
		}
	})
}

func FuzzNoBundle(f *testing.F) {
	f.Add([]byte("x"))
	f.Add(pack(f, "{}", "b/x", "y"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if b, err := Read(bytes.NewReader(raw)); (b == nil) == (err == nil) {
			t.Errorf("got %v and %v", b, err)
		}
	})
}

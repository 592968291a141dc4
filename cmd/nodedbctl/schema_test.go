package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/schema"
)

// schemaDir is where the published schemas are, from this package.
var schemaDir, _ = filepath.Abs("../../docs/schema")

// valid checks that a file, or the standard output of the last command, is what
// the published schema of its kind says: "valid stdout", one document or one per
// line.
func valid(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: valid FILE")
	}
	d := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	for n := 0; ; n++ {
		var raw json.RawMessage
		if err := d.Decode(&raw); errors.Is(err, io.EOF) && n > 0 {
			return
		} else if err != nil {
			ts.Fatalf("document %d: %v", n+1, err)
		}
		err := validate(raw)
		if err != nil && !neg {
			ts.Fatalf("document %d: %v", n+1, err)
		}
		if err == nil && neg {
			ts.Fatalf("document %d is valid", n+1)
		}
	}
}

func validate(document []byte) error {
	var head struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(document, &head); err != nil {
		return err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile(filepath.Join(schemaDir, head.Kind+".json"))
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// TestSchemasArePublished holds docs/schema to what the types are.
func TestSchemasArePublished(t *testing.T) {
	for _, k := range schema.Kinds() {
		item := reflect.TypeOf(k.Item)
		if item.Kind() != reflect.Struct {
			continue // rows of SQL have the columns that they have
		}
		if f, ok := item.FieldByName("Meta"); ok && f.Tag.Get("json") == "meta" && !k.List {
			t.Errorf("%s has a field meta, which the head of every answer has too", k.Name)
		}
		want, err := schema.Of(k)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(schemaDir, k.Name+".json"))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: docs/schema/%s.json is missing or stale (%v): run make generate", k.Name, k.Name, err)
		}
	}
}

var kindLiteral = regexp.MustCompile(`\b(?:Kind|Line):\s+"([A-Z][A-Za-z]+)"`)

// TestEveryKindHasASchema finds the kinds that the code writes.
func TestEveryKindHasASchema(t *testing.T) {
	known := map[string]bool{}
	for _, k := range schema.Kinds() {
		known[k.Name] = true
	}
	found := 0
	err := filepath.WalkDir("internal", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range kindLiteral.FindAllStringSubmatch(string(text), -1) {
			found++
			if !known[m[1]] {
				t.Errorf("%s writes the kind %s, which has no schema: add it to view.Kinds and run make generate", path, m[1])
			}
			if item := strings.TrimSuffix(m[1], "List"); !known[item] {
				t.Errorf("%s writes lines of the kind %s, which has no schema: add it to view.Kinds and run make generate", path, item)
			}
		}
		return err
	})
	if err != nil || found < 20 {
		t.Fatalf("found %d kinds, %v: has the code changed its shape?", found, err)
	}
}

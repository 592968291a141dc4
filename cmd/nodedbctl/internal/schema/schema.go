// Package schema makes the JSON schemas of all that -o json writes, out of the
// types in package view.
package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/demo"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/offline"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

// New makes the command schema, which writes docs/schema.
func New(*ctl.Env) *cobra.Command {
	return &cobra.Command{
		Use: "schema DIR", Short: "Write the JSON schema of each kind into a directory", Args: cobra.ExactArgs(1), Hidden: true,
		RunE: func(_ *cobra.Command, args []string) error { return write(args[0]) },
	}
}

func write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // schemas are for everybody
		return ctl.Usagef("%v", err)
	}
	for _, k := range Kinds() {
		text, err := Of(k)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, k.Name+".json"), text, 0o644); err != nil { //nolint:gosec // as above
			return fmt.Errorf("write schema: %w", err)
		}
	}
	return nil
}

// Kinds are all kinds: those of views, and those that other packages write.
func Kinds() []view.Kind {
	return append(view.Kinds(), view.Kind{Name: "DemoReport", Item: demo.Report{}}, view.Kind{Name: "BundleManifest", Item: offline.Manifest{}})
}

// object is a JSON object in the making; encoding/json sorts its keys, so the
// same types give the same bytes.
type object = map[string]any

// Of is the schema of a kind.
func Of(k view.Kind) ([]byte, error) {
	item := of(reflect.TypeOf(k.Item))
	s := object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": render.APIVersion + "/" + k.Name, "title": k.Name, "type": "object",
	}
	head := object{
		"apiVersion": object{"const": render.APIVersion}, "kind": object{"const": k.Name}, "meta": of(reflect.TypeOf(render.Meta{})),
	}
	if k.List {
		head["items"] = object{"type": "array", "items": item}
		s["properties"], s["required"] = head, []string{"apiVersion", "kind", "meta", "items"}
	} else {
		props, _ := item["properties"].(object)
		required, _ := item["required"].([]string)
		for name, p := range props {
			if head[name] == nil {
				head[name] = p
			}
		}
		required = slices.DeleteFunc(required, func(name string) bool { return name == "apiVersion" || name == "kind" })
		// A line of -o jsonl has no meta.
		s["properties"], s["required"] = head, append([]string{"apiVersion", "kind"}, required...)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	err := e.Encode(s)
	return b.Bytes(), err
}

var timeType = reflect.TypeOf(time.Time{})

// of is the schema of a type as encoding/json writes it.
func of(t reflect.Type) object {
	if t == timeType {
		return object{"type": "string", "format": "date-time"}
	}
	if t == reflect.TypeFor[json.RawMessage]() { // what a command was asked with
		return object{"type": []string{"object", "null"}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		s := of(t.Elem())
		if text, ok := s["type"].(string); ok {
			s["type"] = []string{text, "null"}
		}
		return s
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Slice, reflect.Array:
		return object{"type": "array", "items": of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": of(t.Elem())}
	case reflect.Struct:
		props, required := object{}, []string{}
		fields(t, props, &required)
		return object{"type": "object", "properties": props, "required": required}
	}
	return object{}
}

// fields adds the fields of a struct, those of embedded structs too.
func fields(t reflect.Type, props object, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			fields(f.Type, props, required)
		case name == "-" || !f.IsExported():
		default:
			if name == "" {
				name = f.Name
			}
			props[name] = of(f.Type)
			if !strings.Contains(opts, "omitempty") && !strings.Contains(opts, "omitzero") {
				*required = append(*required, name)
			}
		}
	}
}

// Command apidoc writes docs/API.md from the .proto files and their comments.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/nodedb/nodedb/client/adminpb"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: apidoc OUT.md FILE.proto...")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "apidoc:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out string, files []string) error {
	c := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{"."}}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	compiled, err := c.Compile(ctx, files...)
	if err != nil {
		return fmt.Errorf("compile: %w", err)
	}
	d := &document{files: compiled}
	if err := d.write(); err != nil {
		return err
	}
	return os.WriteFile(out, []byte(d.String()), 0o644)
}

// document is docs/API.md in the making.
type document struct {
	strings.Builder

	files linker.Files
}

func (d *document) line(format string, args ...any) { fmt.Fprintf(d, format+"\n", args...) }

func (d *document) write() error {
	var admin protoreflect.ServiceDescriptor
	for _, f := range d.files {
		if s := f.Services().ByName("Admin"); s != nil {
			admin = s
		}
	}
	if admin == nil {
		return errors.New("no service Admin in the files")
	}
	d.line("%s", intro)
	d.methods(admin)
	d.line("## Methods\n")
	used := map[string]bool{}
	for i := range admin.Methods().Len() {
		m := admin.Methods().Get(i)
		if err := d.method(m); err != nil {
			return err
		}
		used[string(m.Name())] = true
	}
	for name := range examples {
		if !used[name] {
			return fmt.Errorf("there is an example of %s, but no such method", name)
		}
	}
	d.messages()
	return nil
}

// methods is the table of all methods.
func (d *document) methods(s protoreflect.ServiceDescriptor) {
	d.line("| method | role | |\n|---|---|---|")
	for i := range s.Methods().Len() {
		m := s.Methods().Get(i)
		d.line("| [%s](#%s) | %s | %s |", m.Name(), strings.ToLower(string(m.Name())), role(m), kind(m))
	}
	d.line("")
}

func kind(m protoreflect.MethodDescriptor) string {
	o, _ := m.Options().(*descriptorpb.MethodOptions)
	switch {
	case m.IsStreamingServer():
		return "stream"
	case o.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS:
		return "reads"
	}
	return "changes"
}

// role reads the option by its number: the compiler made it of the files, not of
// the generated code.
func role(m protoreflect.MethodDescriptor) string {
	word := "nobody"
	raw, err := proto.Marshal(m.Options())
	if err != nil {
		return word
	}
	o := &descriptorpb.MethodOptions{}
	if proto.Unmarshal(raw, o) != nil {
		return word
	}
	r, ok := proto.GetExtension(o, adminpb.E_RequiredRole).(adminpb.Role)
	if ok {
		word = strings.ToLower(strings.TrimPrefix(r.String(), "ROLE_"))
	}
	return word
}

func (d *document) method(m protoreflect.MethodDescriptor) error {
	d.line("### %s\n", m.Name())
	if c := comment(m); c != "" {
		d.line("%s\n", c)
	}
	d.line("Role: %s. Takes [%s](#%s), answers %s[%s](#%s).\n", role(m), m.Input().Name(), strings.ToLower(string(m.Input().Name())),
		map[bool]string{true: "a stream of "}[m.IsStreamingServer()], m.Output().Name(), strings.ToLower(string(m.Output().Name())))
	ex, ok := examples[string(m.Name())]
	if !ok {
		return fmt.Errorf("method %s has no example in examples.go", m.Name())
	}
	if err := check(m.Input(), ex.body); err != nil {
		return fmt.Errorf("example of %s: %w", m.Name(), err)
	}
	d.line("```sh\n%s\n```\n", ex.curl(m))
	return nil
}

// messages lists the messages and enums, by name.
func (d *document) messages() {
	d.line("## Messages\n")
	d.line("Names are those in JSON. `bytes` are base64, `uint64` and `int64` are strings, times are RFC 3339.\n")
	var all []protoreflect.MessageDescriptor
	var enums []protoreflect.EnumDescriptor
	for _, f := range d.files {
		for i := range f.Messages().Len() {
			all = append(all, f.Messages().Get(i))
		}
		for i := range f.Enums().Len() {
			enums = append(enums, f.Enums().Get(i))
		}
	}
	slices.SortFunc(all, func(a, b protoreflect.MessageDescriptor) int {
		return strings.Compare(string(a.Name()), string(b.Name()))
	})
	slices.SortFunc(enums, func(a, b protoreflect.EnumDescriptor) int { return strings.Compare(string(a.Name()), string(b.Name())) })
	for _, m := range all {
		d.message(m)
	}
	d.line("## Enums\n")
	for _, e := range enums {
		d.line("### %s\n", e.Name())
		if c := comment(e); c != "" {
			d.line("%s\n", c)
		}
		d.line("| value | |\n|---|---|")
		for i := range e.Values().Len() {
			d.line("| `%s` | %s |", e.Values().Get(i).Name(), comment(e.Values().Get(i)))
		}
		d.line("")
	}
}

func (d *document) message(m protoreflect.MessageDescriptor) {
	d.line("### %s\n", m.Name())
	if c := comment(m); c != "" {
		d.line("%s\n", c)
	}
	if m.Fields().Len() == 0 {
		d.line("No fields.\n")
		return
	}
	d.line("| field | type | |\n|---|---|---|")
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		d.line("| `%s` | %s | %s |", f.JSONName(), typeOf(f), strings.ReplaceAll(comment(f), "|", "\\|"))
	}
	d.line("")
}

func typeOf(f protoreflect.FieldDescriptor) string {
	word := f.Kind().String()
	switch {
	case f.IsMap():
		return "map"
	case f.Message() != nil && strings.HasPrefix(string(f.Message().FullName()), "google.protobuf."):
		word = strings.ToLower(string(f.Message().Name()))
	case f.Message() != nil:
		word = fmt.Sprintf("[%s](#%s)", f.Message().Name(), strings.ToLower(string(f.Message().Name())))
	case f.Enum() != nil:
		word = fmt.Sprintf("[%s](#%s)", f.Enum().Name(), strings.ToLower(string(f.Enum().Name())))
	}
	if f.IsList() {
		return "list of " + word
	}
	return word
}

// comment is what stands above a thing, and behind it on its line.
func comment(d protoreflect.Descriptor) string {
	at := d.ParentFile().SourceLocations().ByDescriptor(d)
	text := strings.TrimSpace(at.LeadingComments) + " " + strings.TrimSpace(at.TrailingComments)
	return strings.Join(strings.Fields(text), " ")
}

// check refuses an example that the node would refuse as malformed.
func check(m protoreflect.MessageDescriptor, body string) error {
	return unmarshal(body, dynamicpb.NewMessage(m))
}

package adminpb_test

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/nodedb/nodedb/client/adminpb"
)

var update = flag.Bool("update", false, "take additions into testdata/v1.binpb")

const golden = "testdata/v1.binpb"

// TestNothingBreaks holds v1 of the protocol to its word: what an older client
// or server knows keeps its name, number, type and role.
func TestNothingBreaks(t *testing.T) {
	now := protocol()
	if !*update {
		b, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		var before descriptorpb.FileDescriptorProto
		if err := proto.Unmarshal(b, &before); err != nil {
			t.Fatal(err)
		}
		compareFiles(t, &before, now)
	}
	if t.Failed() {
		return
	}
	if *update {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(now)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// protocol is all files of the protocol as one: what matters on the wire.
func protocol() *descriptorpb.FileDescriptorProto {
	all := &descriptorpb.FileDescriptorProto{Package: proto.String(string(adminpb.File_admin_proto.Package()))}
	for _, fd := range files() {
		f := protodesc.ToFileDescriptorProto(fd)
		all.MessageType = append(all.MessageType, f.GetMessageType()...)
		all.EnumType = append(all.EnumType, f.GetEnumType()...)
		all.Service = append(all.Service, f.GetService()...)
	}
	return all
}

func files() []protoreflect.FileDescriptor {
	var fds []protoreflect.FileDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage(adminpb.File_admin_proto.Package(), func(fd protoreflect.FileDescriptor) bool {
		fds = append(fds, fd)
		return true
	})
	slices.SortFunc(fds, func(a, b protoreflect.FileDescriptor) int { return strings.Compare(a.Path(), b.Path()) })
	return fds
}

func compareFiles(t *testing.T, before, now *descriptorpb.FileDescriptorProto) {
	t.Helper()
	messages := map[string]map[int32]*descriptorpb.FieldDescriptorProto{}
	for _, m := range now.GetMessageType() {
		fields := map[int32]*descriptorpb.FieldDescriptorProto{}
		for _, f := range m.GetField() {
			fields[f.GetNumber()] = f
		}
		messages[m.GetName()] = fields
	}
	for _, m := range before.GetMessageType() {
		fields, ok := messages[m.GetName()]
		if !ok {
			t.Errorf("message %s is gone", m.GetName())
			continue
		}
		for _, f := range m.GetField() {
			got := fields[f.GetNumber()]
			if got == nil || got.GetName() != f.GetName() || got.GetType() != f.GetType() || got.GetTypeName() != f.GetTypeName() || got.GetLabel() != f.GetLabel() {
				t.Errorf("%s field %d was %s %s, is %v", m.GetName(), f.GetNumber(), f.GetName(), f.GetType(), got)
			}
		}
	}
	enums := map[string]map[int32]string{}
	for _, e := range now.GetEnumType() {
		enums[e.GetName()] = map[int32]string{}
		for _, v := range e.GetValue() {
			enums[e.GetName()][v.GetNumber()] = v.GetName()
		}
	}
	for _, e := range before.GetEnumType() {
		for _, v := range e.GetValue() {
			if enums[e.GetName()][v.GetNumber()] != v.GetName() {
				t.Errorf("enum %s: %d was %s", e.GetName(), v.GetNumber(), v.GetName())
			}
		}
	}
	compareMethods(t, before, now)
}

func compareMethods(t *testing.T, before, now *descriptorpb.FileDescriptorProto) {
	t.Helper()
	methods := map[string]*descriptorpb.MethodDescriptorProto{}
	for _, s := range now.GetService() {
		for _, m := range s.GetMethod() {
			methods[s.GetName()+"."+m.GetName()] = m
		}
	}
	for _, s := range before.GetService() {
		for _, m := range s.GetMethod() {
			got := methods[s.GetName()+"."+m.GetName()]
			if got == nil || got.GetInputType() != m.GetInputType() || got.GetOutputType() != m.GetOutputType() || got.GetServerStreaming() != m.GetServerStreaming() {
				t.Errorf("method %s.%s was %v, is %v", s.GetName(), m.GetName(), m, got)
				continue
			}
			if role(got.GetOptions()) < role(m.GetOptions()) {
				t.Errorf("method %s needs %s, needed %s: a role is never lowered", m.GetName(), role(got.GetOptions()), role(m.GetOptions()))
			}
		}
	}
}

func role(o *descriptorpb.MethodOptions) adminpb.Role {
	r, _ := proto.GetExtension(o, adminpb.E_RequiredRole).(adminpb.Role)
	return r
}

// TestEveryMethodHasARole keeps new methods from being callable by nobody, or
// worse, from being thought open to everybody.
func TestEveryMethodHasARole(t *testing.T) {
	services := adminpb.File_admin_proto.Services()
	for i := range services.Len() {
		methods := services.Get(i).Methods()
		for j := range methods.Len() {
			m := methods.Get(j)
			if o, _ := m.Options().(*descriptorpb.MethodOptions); role(o) == adminpb.Role_ROLE_UNSPECIFIED {
				t.Errorf("%s has no required_role", m.FullName())
			}
		}
	}
}

// TestNumbersInJSON keeps ids numbers in JSON: 64-bit integers become strings.
func TestNumbersInJSON(t *testing.T) {
	for _, m := range protocol().GetMessageType() {
		for _, f := range m.GetField() {
			switch f.GetName() {
			case "id", "node", "nodes", "range", "ranges", "leader":
				if f.GetType() == descriptorpb.FieldDescriptorProto_TYPE_UINT64 || f.GetType() == descriptorpb.FieldDescriptorProto_TYPE_INT64 {
					t.Errorf("%s.%s is a 64-bit integer", m.GetName(), f.GetName())
				}
			}
		}
	}
}

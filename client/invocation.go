package client

import (
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Invocation are the flags that nodedbctl was told with which cluster it talks
// to, and as whom: "--context", "tour". A command that people are shown, to run
// or to copy, carries them, or it would act on another cluster.
type Invocation []string

const program = "nodedbctl"

// Complete puts the flags into each command of nodedbctl in text that names no
// cluster yet.
func (v Invocation) Complete(text string) string {
	if len(v) == 0 || !strings.Contains(text, program+" ") || strings.HasSuffix(text, " --help") {
		return text
	}
	flags := v.String() + " "
	var b strings.Builder
	for {
		at := strings.Index(text, program+" ")
		if at < 0 {
			b.WriteString(text)
			return b.String()
		}
		end := at + len(program) + 1
		b.WriteString(text[:end])
		begins := at == 0 || strings.ContainsRune(" \t\n('\"`;|&", rune(text[at-1]))
		if rest := text[end:]; begins && !isVersion(rest) && !strings.HasPrefix(rest, "--context") && !strings.HasPrefix(rest, "--from") && !strings.HasPrefix(rest, flags) {
			b.WriteString(flags)
		}
		text = text[end:]
	}
}

// isVersion tells "nodedbctl v1.2" from a command.
func isVersion(rest string) bool {
	return len(rest) > 1 && rest[0] == 'v' && rest[1] >= '0' && rest[1] <= '9'
}

// String writes the flags as a shell takes them.
func (v Invocation) String() string {
	words := make([]string, len(v))
	for i, w := range v {
		words[i] = ShellWord(w)
	}
	return strings.Join(words, " ")
}

// ShellWord writes w so that a shell reads it as one word.
func ShellWord(w string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:,=@%+", r)
	}
	if w != "" && strings.IndexFunc(w, func(r rune) bool { return !plain(r) }) < 0 {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}

// commandField is what the protocol calls a command that people may run.
const commandField = "command"

// fill completes every command in m.
func (v Invocation) fill(m protoreflect.Message) {
	if len(v) == 0 || !hasCommands(m.Descriptor()) {
		return
	}
	m.Range(func(f protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case f.IsMap():
		case f.Kind() == protoreflect.StringKind && f.Name() == commandField && !f.IsList():
			m.Set(f, protoreflect.ValueOfString(v.Complete(value.String())))
		case f.Kind() != protoreflect.MessageKind:
		case f.IsList():
			for i := range value.List().Len() {
				v.fill(value.List().Get(i).Message())
			}
		default:
			v.fill(value.Message())
		}
		return true
	})
}

// withCommands remembers which messages may hold a command: lists of thousands of
// ranges need not be walked.
var withCommands sync.Map // protoreflect.FullName to bool

func hasCommands(d protoreflect.MessageDescriptor) bool {
	if known, ok := withCommands.Load(d.FullName()); ok {
		return known.(bool)
	}
	found := searchCommands(d, map[protoreflect.FullName]bool{})
	withCommands.Store(d.FullName(), found)
	return found
}

func searchCommands(d protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if seen[d.FullName()] {
		return false
	}
	seen[d.FullName()] = true
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if f.Name() == commandField && f.Kind() == protoreflect.StringKind {
			return true
		}
		if f.Kind() == protoreflect.MessageKind && searchCommands(f.Message(), seen) {
			return true
		}
	}
	return false
}

// Invoked has the client complete the commands in what the cluster answers. It
// must be called before the first call.
func (c *Client) Invoked(v Invocation) { c.invocation = v }

// Invocation returns what Invoked was given.
func (c *Client) Invocation() Invocation { return c.invocation }

// took is told of every answer.
func (c *Client) took(msg any) {
	c.note(msg)
	if m, ok := msg.(proto.Message); ok {
		c.invocation.fill(m.ProtoReflect())
	}
}

// tookError is told of every error.
func (c *Client) tookError(e *Error) *Error {
	for _, f := range e.Fixes {
		f.Command = c.invocation.Complete(f.Command)
	}
	return e
}

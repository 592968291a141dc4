// Package term is the command's door to the outside: streams, colour, prompts,
// live progress. Nothing else of the command knows of file descriptors.
package term

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Streams are where the command reads and writes: data to Out, conversation to Err.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer

	// InTTY, OutTTY and ErrTTY say which of them are terminals.
	InTTY, OutTTY, ErrTTY bool
	// Width is that of the terminal at Out, 0 if there is none.
	Width int
	// Color says that escape sequences for colour may be written to terminals.
	Color bool
	// Quiet leaves out all conversation but errors.
	Quiet bool
	// Commands completes the commands in what people read, so that they act on the
	// cluster that was asked; nil: they are complete.
	Commands func(string) string

	lines *bufio.Reader
}

// System returns the process's own streams.
func System() *Streams {
	s := &Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	s.InTTY, _ = terminal(os.Stdin)
	s.OutTTY, s.Width = terminal(os.Stdout)
	s.ErrTTY, _ = terminal(os.Stderr)
	dumb := os.Getenv("TERM") == "dumb"
	s.Color = os.Getenv("NO_COLOR") == "" && !dumb
	if dumb { // no cursor movement: as if it were no terminal
		s.ErrTTY = false
	}
	return s
}

func terminal(f *os.File) (bool, int) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return false, 0
	}
	return true, int(size.Col)
}

// Say writes one line of conversation.
func (s *Streams) Say(format string, args ...any) {
	if !s.Quiet {
		s.Tell(format, args...)
	}
}

// Tell writes one line that is said even when quiet: why something was not done.
func (s *Streams) Tell(format string, args ...any) {
	_, _ = io.WriteString(s.Err, s.Complete(fmt.Sprintf(format, args...))+"\n") // nobody is left to be told
}

// Complete completes the commands in text.
func (s *Streams) Complete(text string) string {
	if s.Commands == nil {
		return text
	}
	return s.Commands(text)
}

// Redraw shows text from the top of the terminal at Out, over what is there, with
// a line below. It is one write, so that nothing flickers.
func (s *Streams) Redraw(text []byte, foot string) {
	var b strings.Builder
	b.WriteString("\x1b[H")
	for line := range strings.SplitSeq(strings.TrimRight(string(text), "\n"), "\n") {
		b.WriteString(line + "\x1b[K\n")
	}
	b.WriteString("\x1b[K\n" + s.Paint(Dim, foot) + "\x1b[K\n\x1b[J")
	_, _ = io.WriteString(s.Out, b.String()) // a terminal that is gone needs none
}

// CanAsk reports whether a person can be asked something.
func (s *Streams) CanAsk() bool { return s.InTTY && s.ErrTTY }

// Ask asks for a yes. Anything else, the end of input included, is a no. The end
// of ctx is its error.
func (s *Streams) Ask(ctx context.Context, question string) (bool, error) {
	_, _ = fmt.Fprintf(s.Err, "%s [y/N] ", question)
	type answer struct {
		line string
		err  error
	}
	got := make(chan answer, 1)
	// Nothing can interrupt a read of a terminal: after Ctrl-C it is left to the
	// end of the process.
	go func() {
		line, err := s.ReadLine()
		got <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		s.Tell("")
		return false, ctx.Err()
	case a := <-got:
		if a.err != nil && !errors.Is(a.err, io.EOF) {
			return false, fmt.Errorf("read answer: %w", a.err)
		}
		line := strings.ToLower(strings.TrimSpace(a.line))
		return line == "y" || line == "yes", nil
	}
}

// ReadLine reads one line of In, without its end.
func (s *Streams) ReadLine() (string, error) {
	if s.lines == nil {
		s.lines = bufio.NewReader(s.In)
	}
	line, err := s.lines.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

// Style is a way to show text.
type Style string

// The styles. Shape and word come first: colour only repeats what they say.
const (
	Plain Style = ""
	Good  Style = "\x1b[32m"
	Warn  Style = "\x1b[33m"
	Bad   Style = "\x1b[31m"
	Dim   Style = "\x1b[2m"
	Bold  Style = "\x1b[1m"
)

// Paint shows text in a style if it goes to Out and that is a terminal.
func (s *Streams) Paint(style Style, text string) string {
	if style == Plain || !s.Color || !s.OutTTY {
		return text
	}
	return string(style) + text + "\x1b[0m"
}

package figures

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// File is what a file of figures holds.
type File struct {
	Run     Run
	Steps   []Step
	Figures []Figure
	Skips   []Skip
	// Took is 0 if the run did not come to its end.
	Took time.Duration
}

// head is what every line has.
type head struct {
	Format int    `json:"format"`
	Kind   string `json:"kind"`
}

type (
	runLine struct {
		head
		Run
	}
	stepLine struct {
		head
		Step
	}
	figureLine struct {
		head
		Figure
	}
	skipLine struct {
		head
		Skip
	}
	endLine struct {
		head
		Seconds float64 `json:"seconds"`
	}
)

// Log writes a file, line by line, and keeps what it wrote.
type Log struct {
	File
	w io.Writer
}

// NewLog begins a file on w.
func NewLog(w io.Writer, run Run) (*Log, error) {
	l := &Log{File: File{Run: run}, w: w}
	return l, l.write(runLine{head{Format, "run"}, run})
}

// Step begins a part.
func (l *Log) Step(s Step) error {
	l.Steps = append(l.Steps, s)
	return l.write(stepLine{head{Format, "step"}, s})
}

// Add adds a figure.
func (l *Log) Add(f Figure) error {
	l.Figures = append(l.Figures, f)
	return l.write(figureLine{head{Format, "figure"}, f})
}

// Skip says what is not measured.
func (l *Log) Skip(s Skip) error {
	l.Skips = append(l.Skips, s)
	return l.write(skipLine{head{Format, "skipped"}, s})
}

// End says that the run is complete.
func (l *Log) End(took time.Duration) error {
	l.Took = took
	return l.write(endLine{head{Format, "end"}, took.Seconds()})
}

func (l *Log) write(line any) error {
	text, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("encode a figure: %w", err)
	}
	if _, err := l.w.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("write the file of figures: %w", err)
	}
	return nil
}

// Load reads the file at path.
func Load(path string) (*File, error) {
	f, err := os.Open(path) //nolint:gosec // the path is the user's
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	file, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return file, nil
}

// Read reads a file of figures. A last line that was cut off is passed over: the
// run was broken off.
func Read(r io.Reader) (*File, error) {
	file := &File{}
	in := bufio.NewReader(r)
	for number := 1; ; number++ {
		text, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			if number == 1 {
				return nil, errors.New("no figures: the file is empty")
			}
			return file, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read figures: %w", err)
		}
		if err := file.take(bytes.TrimSpace(text), number == 1); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
}

func (f *File) take(text []byte, first bool) error {
	var h head
	if err := json.Unmarshal(text, &h); err != nil {
		return fmt.Errorf("not a line of figures: %w", err)
	}
	if h.Format != Format {
		return fmt.Errorf("format %d, and this program knows %d: read it with the benchreport of the tree that wrote it", h.Format, Format)
	}
	if first != (h.Kind == "run") {
		return fmt.Errorf("a line of kind %q is not where it belongs: a file begins with its one run", h.Kind)
	}
	var err error
	switch h.Kind {
	case "run":
		err = json.Unmarshal(text, &f.Run)
	case "step":
		err = appendLine(&f.Steps, text)
	case "figure":
		err = appendLine(&f.Figures, text)
	case "skipped":
		err = appendLine(&f.Skips, text)
	case "end":
		var end endLine
		err = json.Unmarshal(text, &end)
		f.Took = time.Duration(end.Seconds * float64(time.Second))
	default:
		err = fmt.Errorf("kind %q is not known", h.Kind)
	}
	return err
}

func appendLine[T any](to *[]T, text []byte) error {
	var v T
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	*to = append(*to, v)
	return nil
}

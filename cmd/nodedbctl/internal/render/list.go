// Package render writes answers as tables, JSON, YAML, CSV, names or through a
// template. Every format is made of the same values, so that all have the same
// field names.
package render

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"text/template"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
)

// APIVersion names the version of all JSON that the command writes.
const APIVersion = "nodedb.admin/v1"

// Formats are the values of -o.
const Formats = "table|wide|json|jsonl|yaml|csv|name|template=TEXT"

// Options say how to write.
type Options struct {
	Format    string // one of Formats; empty: table
	Columns   []string
	Sort      string   // [-]column
	Filter    []string // all must hold
	NoHeaders bool
}

// OptionError says that an option does not fit what is to be written.
type OptionError struct{ Message string }

func (e *OptionError) Error() string { return e.Message }

func optionf(format string, args ...any) error { return &OptionError{fmt.Sprintf(format, args...)} }

// Text reports whether people read the output, rather than programs.
func (o Options) Text() bool { return o.Format == "" || o.Format == "table" || o.Format == "wide" }

// Check says what is wrong with the options.
func (o Options) Check() error {
	kind, text, hasText := strings.Cut(o.Format, "=")
	switch kind {
	case "", "table", "wide", "json", "jsonl", "yaml", "csv", "name":
		if hasText {
			return fmt.Errorf("-o %s takes no text", kind)
		}
	case "template":
		if _, err := template.New("o").Parse(text); err != nil {
			return fmt.Errorf("-o template: %w", err)
		}
	default:
		return fmt.Errorf("unknown output %q: %s", o.Format, Formats)
	}
	_, err := parseFilter(o.Filter)
	return err
}

// AsOf says how fresh an answer is.
type AsOf struct {
	MetaIndex uint64    `json:"metaIndex"`
	Time      time.Time `json:"time"`
}

// Meta heads every answer.
type Meta struct {
	Cluster  string   `json:"cluster"`
	AsOf     AsOf     `json:"asOf"`
	Complete bool     `json:"complete"`
	Missing  []uint32 `json:"missing"`
}

// Column is one column of a table.
type Column[T any] struct {
	Head  string
	Wide  bool // only with -o wide
	Less  bool // left out where the terminal is too narrow
	Right bool // numbers are aligned to the right
	// Key is the JSON field that --sort and --filter compare and CSV writes;
	// empty: the cell's text.
	Key   string
	Cell  func(T) string
	Style func(T) term.Style // nil: plain
}

// Show returns columns with the one under head shown by default, or with -o wide
// only. Its place stays: scripts count the fields of CSV.
func Show[T any](columns []Column[T], head string, show bool) []Column[T] {
	out := slices.Clone(columns)
	for i := range out {
		if out[i].Head == head {
			out[i].Wide = !show
		}
	}
	return out
}

// List is an answer of several items of one kind.
type List[T any] struct {
	Kind    string // NodeList
	Line    string // kind of one item in -o jsonl; empty: Kind without List
	Meta    Meta
	Items   []T
	Name    func(T) string
	Columns []Column[T]
	// Empty is said on stderr when there is nothing to show.
	Empty string
}

// row is an item with its JSON form.
type row[T any] struct {
	item   T
	fields map[string]any
}

// Print writes the list.
func (l *List[T]) Print(s *term.Streams, o Options) error {
	rows, err := l.rows(o)
	if err != nil {
		return err
	}
	columns, err := l.columns(o)
	if err != nil {
		return err
	}
	kind, text, _ := strings.Cut(o.Format, "=")
	switch kind {
	case "json", "yaml":
		items := make([]T, len(rows))
		for i, r := range rows {
			items[i] = r.item
		}
		return document(s.Out, kind, struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Meta       Meta   `json:"meta"`
			Items      []T    `json:"items"`
		}{APIVersion, l.Kind, l.Meta, items})
	case "jsonl":
		for _, r := range rows {
			if err := Line(s.Out, cmp.Or(l.Line, strings.TrimSuffix(l.Kind, "List")), r.item); err != nil {
				return err
			}
		}
		return nil
	case "name":
		for _, r := range rows {
			if _, err := fmt.Fprintln(s.Out, l.Name(r.item)); err != nil {
				return err
			}
		}
		return nil
	case "template":
		for _, r := range rows {
			if err := runTemplate(s.Out, text, r.fields); err != nil {
				return err
			}
		}
		return nil
	}
	if kind == "csv" {
		return writeCSV(s.Out, columns, rows, o.NoHeaders)
	}
	if len(rows) == 0 && l.Empty != "" {
		s.Say("%s", l.Empty)
	}
	if len(o.Columns) == 0 && kind != "wide" && s.OutTTY && s.Width > 0 {
		columns = fitting(columns, rows, s.Width)
	}
	return table(s, columns, rows, o.NoHeaders || len(rows) == 0)
}

// rows filters and sorts the items.
func (l *List[T]) rows(o Options) ([]row[T], error) {
	filter, err := parseFilter(o.Filter)
	if err != nil {
		return nil, err
	}
	for _, c := range filter {
		if err := l.check(c.field); err != nil {
			return nil, err
		}
	}
	if o.Sort != "" {
		if err := l.check(strings.TrimPrefix(o.Sort, "-")); err != nil {
			return nil, err
		}
	}
	rows := make([]row[T], 0, len(l.Items))
	for _, it := range l.Items {
		f, err := fieldsOf(it)
		if err != nil {
			return nil, err
		}
		r := row[T]{it, f}
		keep, err := filter.match(func(field string) (shown, error) { return l.shown(r, field) })
		if err != nil {
			return nil, err
		}
		if keep {
			rows = append(rows, r)
		}
	}
	if o.Sort == "" {
		return rows, nil
	}
	field, desc := strings.CutPrefix(o.Sort, "-")
	keys := make([]any, len(rows))
	order := make([]int, len(rows))
	for i := range rows {
		order[i] = i
		if keys[i], err = l.value(rows[i], field); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		c := compare(keys[a], keys[b])
		if desc {
			return -c
		}
		return c
	})
	sorted := make([]row[T], len(rows))
	for i, at := range order {
		sorted[i] = rows[at]
	}
	return sorted, nil
}

// shown is field of r as the table and as JSON have it.
func (l *List[T]) shown(r row[T], field string) (shown, error) {
	v, err := l.value(r, field)
	if err != nil {
		return shown{}, err
	}
	for _, c := range l.Columns {
		if strings.EqualFold(c.Head, field) || c.Key != "" && strings.EqualFold(c.Key, field) {
			s := shown{cell: c.Cell(r.item), has: true}
			if c.Key != "" {
				s.json = v
			}
			return s, nil
		}
	}
	return shown{json: v}, nil
}

// check refuses a field that no item can have, also where there are no items.
func (l *List[T]) check(field string) error {
	same := func(name string) bool { return strings.EqualFold(name, field) }
	if slices.ContainsFunc(l.heads(), same) || slices.ContainsFunc(fieldNames(reflect.TypeFor[T]()), same) {
		return nil
	}
	return optionf("no column %q: %s", field, strings.Join(l.heads(), ", "))
}

// value is what field (a JSON field or a column's head) is in r.
func (l *List[T]) value(r row[T], field string) (any, error) {
	for _, c := range l.Columns {
		if strings.EqualFold(c.Head, field) {
			if c.Key != "" {
				return r.fields[c.Key], nil
			}
			return c.Cell(r.item), nil
		}
	}
	for k, v := range r.fields {
		if strings.EqualFold(k, field) {
			return v, nil
		}
	}
	if l.check(field) == nil {
		return nil, nil //nolint:nilnil // the field is left out where it is empty
	}
	return nil, optionf("no column %q: %s", field, strings.Join(l.heads(), ", "))
}

func (l *List[T]) heads() []string {
	hs := make([]string, len(l.Columns))
	for i, c := range l.Columns {
		hs[i] = strings.ToLower(c.Head)
	}
	return hs
}

func (l *List[T]) columns(o Options) ([]Column[T], error) {
	if len(o.Columns) == 0 {
		wide := o.Format == "wide" || o.Format == "csv"
		return slices.DeleteFunc(slices.Clone(l.Columns), func(c Column[T]) bool { return c.Wide && !wide }), nil
	}
	var out []Column[T]
	for _, name := range o.Columns {
		i := slices.IndexFunc(l.Columns, func(c Column[T]) bool { return strings.EqualFold(c.Head, name) || strings.EqualFold(c.Key, name) })
		if i < 0 {
			return nil, optionf("no column %q: %s", name, strings.Join(l.heads(), ", "))
		}
		out = append(out, l.Columns[i])
	}
	return out, nil
}

// fitting leaves out columns that can be spared, the last first, until the rest
// fits into width.
func fitting[T any](columns []Column[T], rows []row[T], width int) []Column[T] {
	size := func(c Column[T]) int {
		n := len([]rune(c.Head))
		for _, r := range rows {
			n = max(n, len([]rune(c.Cell(r.item))))
		}
		return n + 2
	}
	total := -2
	for _, c := range columns {
		total += size(c)
	}
	columns = slices.Clone(columns)
	for i := len(columns) - 1; i >= 0 && total > width; i-- {
		if columns[i].Less {
			total -= size(columns[i])
			columns = slices.Delete(columns, i, i+1)
		}
	}
	return columns
}

func table[T any](s *term.Streams, columns []Column[T], rows []row[T], noHeaders bool) error {
	cells := make([][]string, 0, len(rows)+1)
	if !noHeaders {
		heads := make([]string, len(columns))
		for i, c := range columns {
			heads[i] = c.Head
		}
		cells = append(cells, heads)
	}
	for _, r := range rows {
		line := make([]string, len(columns))
		for i, c := range columns {
			line[i] = c.Cell(r.item)
		}
		cells = append(cells, line)
	}
	width := make([]int, len(columns))
	for _, line := range cells {
		for i, c := range line {
			width[i] = max(width[i], len([]rune(c)))
		}
	}
	var b strings.Builder
	for n, line := range cells {
		at := n - (len(cells) - len(rows)) // index of the row; negative: the head
		for i, c := range line {
			pad := strings.Repeat(" ", width[i]-len([]rune(c)))
			shown := c
			if at >= 0 && columns[i].Style != nil {
				shown = s.Paint(columns[i].Style(rows[at].item), c)
			}
			switch {
			case columns[i].Right:
				b.WriteString(pad + shown)
			case i == len(line)-1:
				b.WriteString(shown)
			default:
				b.WriteString(shown + pad)
			}
			if i < len(line)-1 {
				b.WriteString("  ")
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(s.Out, b.String())
	return err
}

func writeCSV[T any](w io.Writer, columns []Column[T], rows []row[T], noHeaders bool) error {
	out := csv.NewWriter(w)
	line := make([]string, len(columns))
	if !noHeaders {
		for i, c := range columns {
			line[i] = strings.ToLower(c.Head)
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	for _, r := range rows {
		for i, c := range columns {
			line[i] = c.Cell(r.item)
			if v, ok := r.fields[c.Key]; ok {
				if text, scalar := plain(v); scalar {
					line[i] = text
				}
			}
			if line[i] == None {
				line[i] = ""
			}
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// plain writes a JSON value that is no object or array.
func plain(v any) (string, bool) {
	switch x := v.(type) {
	case nil:
		return "", true
	case string:
		return x, true
	case json.Number:
		return x.String(), true
	case bool:
		return fmt.Sprint(x), true
	}
	return "", false
}

func document(w io.Writer, format string, v any) error {
	if format == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	// JSON is YAML: read as YAML, the order of the fields is kept.
	var n yaml.Node
	if err := yaml.Unmarshal(b, &n); err != nil {
		return err
	}
	blockStyle(&n)
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(&n); err != nil {
		return err
	}
	return e.Close()
}

func blockStyle(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		blockStyle(c)
	}
}

func runTemplate(w io.Writer, text string, fields map[string]any) error {
	t, err := template.New("o").Option("missingkey=error").Parse(text)
	if err != nil {
		return err
	}
	if err := t.Execute(w, fields); err != nil {
		return optionf("-o template: %v", err)
	}
	_, err = io.WriteString(w, "\n")
	return err
}

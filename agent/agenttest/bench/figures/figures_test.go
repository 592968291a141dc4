package figures_test

import (
	"bytes"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest/bench/figures"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{4}, 4}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := figures.Median(tt.values); got != tt.want {
			t.Errorf("Median(%v) = %v, want %v", tt.values, got, tt.want)
		}
	}
}

// TestRatioOf: each round is divided by its own, so that a machine that becomes
// twice as slow between rounds changes nothing.
func TestRatioOf(t *testing.T) {
	r, ok := figures.RatioOf([]float64{100, 60, 40}, []float64{50, 20, 20})
	if want := (figures.Ratio{Median: 2, Min: 2, Max: 3}); !ok || r != want {
		t.Errorf("RatioOf = %+v, %v; want %+v", r, ok, want)
	}
	if r, ok := figures.RatioOf([]float64{1, 4}, []float64{0, 2}); !ok || r != (figures.Ratio{Median: 2, Min: 2, Max: 2}) {
		t.Errorf("a round without a figure counts: %+v", r)
	}
	if _, ok := figures.RatioOf([]float64{1}, []float64{0}); ok {
		t.Error("a ratio to nothing")
	}
}

func TestVerdict(t *testing.T) {
	ratio := func(m float64) map[string]figures.Ratio { return map[string]figures.Ratio{"etcd": {Median: m}} }
	for _, tt := range []struct {
		f    figures.Figure
		want string
	}{
		{figures.Figure{Value: 1}, ""},
		{figures.Figure{Value: 5, Better: figures.More, Target: &figures.Target{Reach: 4, Aim: 6}}, "reached"},
		{figures.Figure{Value: 6, Better: figures.More, Target: &figures.Target{Reach: 4, Aim: 6}}, "aim"},
		{figures.Figure{Value: 3, Better: figures.More, Target: &figures.Target{Reach: 4, Aim: 6}}, "MISSED"},
		{figures.Figure{Value: 0, Better: figures.Less, Target: &figures.Target{Reach: 0}}, "reached"},
		{figures.Figure{Value: 3, Better: figures.Less, Target: &figures.Target{Reach: 2, Aim: 1}}, "MISSED"},
		{figures.Figure{Value: 99, Better: figures.More, Against: ratio(1.5), Target: &figures.Target{Of: "etcd", Reach: 1.6}}, "MISSED"},
		{figures.Figure{Value: 1, Better: figures.More, Against: ratio(1.7), Target: &figures.Target{Of: "etcd", Reach: 1.6, Aim: 2}}, "reached"},
		{figures.Figure{Value: 99, Better: figures.More, Target: &figures.Target{Of: "etcd", Reach: 1.6}}, "not compared"},
	} {
		if got := tt.f.Verdict(); got != tt.want {
			t.Errorf("%+v is %q, want %q", tt.f, got, tt.want)
		}
	}
}

// sample is a run of one case, in which NodeDB does ours writes a second in each
// round, and etcd theirs.
func sample(t *testing.T, ours, theirs []float64) *figures.File {
	t.Helper()
	var out bytes.Buffer
	l, err := figures.NewLog(&out, figures.Run{At: time.Unix(1, 0), Versions: map[string]string{"etcd": "3.7.3"}, CPUs: 2, Go: "go1"})
	if err != nil {
		t.Fatal(err)
	}
	f := figures.Of("insert", "64 clients", figures.Ours, "rate", "/s", figures.More, ours...)
	r, _ := figures.RatioOf(ours, theirs)
	f.Against = map[string]figures.Ratio{"etcd": r}
	f.Target = &figures.Target{Of: "etcd", Reach: 1.6, Aim: 2.5}
	err = errors.Join(
		l.Step(figures.Step{Name: "insert", Title: "one row", Notes: []string{"a note"}}),
		l.Add(f),
		l.Add(figures.Of("insert", "64 clients", "etcd", "rate", "/s", figures.More, theirs...)),
		l.Add(figures.Of("insert", "64 clients", figures.Ours, "p99", "ms", figures.Less, 12.5)),
		l.Skip(figures.Skip{Step: "insert", What: "postgres", Why: "it is not here"}),
		l.End(90*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	file, err := figures.Read(&out)
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Figures) != 3 || file.Took != 90*time.Second || file.Run.CPUs != 2 || len(file.Skips) != 1 || len(file.Steps) != 1 {
		t.Fatalf("read back: %+v", file)
	}
	return file
}

func TestPrint(t *testing.T) {
	var out bytes.Buffer
	if err := sample(t, []float64{4000, 5000, 4500}, []float64{4000, 4000, 4000}).Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"etcd 3.7.3", "insert: one row", "CASE", "RATE", "NODEDB / THIS", "4,500/s [4,000-5,000]", "1.12x [1.00-1.25]", "12.5 ms",
		"target: 64 clients, rate against etcd: 1.12x, at least 1.60x (aim 2.50x): MISSED", "skipped: postgres: it is not here", "note: a note",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestPrintMarkdown(t *testing.T) {
	var out bytes.Buffer
	if err := sample(t, []float64{4000, 5000, 4500}, []float64{4000, 4000, 4000}).PrintMarkdown(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| insert: 64 clients, rate | 4,500/s [4,000-5,000] | 1.12x [1.00-1.25] etcd | >= 1.60x etcd (aim 2.50x) | MISSED |",
		"| insert: postgres | skipped: it is not here | | | |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "p99") {
		t.Errorf("a figure without a target that is not the first of its case:\n%s", out.String())
	}
}

func TestAmount(t *testing.T) {
	for _, tt := range []struct {
		v          float64
		unit, want string
	}{{12345.6, "/s", "12,346/s"}, {1234567, "rows/s", "1,234,567/s"}, {0.25, "ms", "0.250 ms"}, {2, "", "2"}, {-1500, "ms", "-1,500 ms"}, {1.756, "x", "1.76x"}, {56.78, "%", "56.8 %"}, {5.678, "s", "5.68 s"}} {
		if got := figures.Amount(tt.v, tt.unit); got != tt.want {
			t.Errorf("Amount(%v, %q) = %q, want %q", tt.v, tt.unit, got, tt.want)
		}
	}
}

func TestCompare(t *testing.T) {
	base := sample(t, []float64{4000, 4100, 4200}, []float64{4000, 4000, 4000})
	for name, tt := range map[string]struct {
		ours, theirs []float64
		want         string
		drift        float64
	}{
		"twice as fast":                         {[]float64{8000, 8200, 8400}, []float64{4000, 4000, 4000}, "better", 1},
		"a slow machine hides a gain":           {[]float64{4000, 4100, 4200}, []float64{2000, 2000, 2000}, "better", 0.5},
		"a slow machine is nobody's loss":       {[]float64{2000, 2050, 2100}, []float64{2000, 2000, 2000}, "noise", 0.5},
		"slower":                                {[]float64{2000, 2050, 2100}, []float64{4000, 4000, 4000}, "worse", 1},
		"spans overlap":                         {[]float64{4150, 5000, 5000}, []float64{4000, 4000, 4000}, "noise", 1},
		"the same":                              {[]float64{4000, 4100, 4200}, []float64{4000, 4000, 4000}, "same", 1},
		"a fast machine does not hide slowness": {[]float64{4400, 4500, 4600}, []float64{8000, 8000, 8000}, "worse", 2},
	} {
		changes, drift, alone := figures.Compare(base, sample(t, tt.ours, tt.theirs))
		if got := changes[0].Verdict; got != tt.want || alone != 0 {
			t.Errorf("%s: %q, want %q (%+v)", name, got, tt.want, changes[0])
		}
		if math.Abs(drift.Median-tt.drift) > 0.01 {
			t.Errorf("%s: the machine's drift is %v, want %v", name, drift, tt.drift)
		}
	}
}

// TestCompareOnce: a figure that was measured a single time says less.
func TestCompareOnce(t *testing.T) {
	once := func(rate float64) *figures.File { return sample(t, []float64{rate}, []float64{4000}) }
	for rate, want := range map[float64]string{5500: "noise", 2900: "noise", 6500: "better", 2500: "worse"} {
		if changes, _, _ := figures.Compare(once(4000), once(rate)); changes[0].Verdict != want {
			t.Errorf("4,000/s became %v/s in one round: %q, want %q", rate, changes[0].Verdict, want)
		}
	}
}

// TestCompareWithoutPeers: with nobody to tell the machine's drift, only large
// changes count, of what depends on the machine.
func TestCompareWithoutPeers(t *testing.T) {
	file := func(rate, memory float64) *figures.File {
		return &figures.File{Figures: []figures.Figure{
			figures.Of("hot", "64 clients", figures.Ours, "rate", "/s", figures.More, rate),
			figures.Of("rows", "1,000", figures.Ours, "memory", "MiB", figures.Less, memory),
			figures.Of("hot", "64 clients", figures.Ours, "failed", "", figures.Less, rate-100),
		}}
	}
	changes, _, _ := figures.Compare(file(100, 200), file(150, 150))
	if got := []string{changes[0].Verdict, changes[1].Verdict, changes[2].Verdict}; strings.Join(got, " ") != "noise better worse" {
		t.Errorf("half as much again, a quarter less memory, 50 failures instead of none: %q", got)
	}
	if changes, _, _ := figures.Compare(file(100, 200), file(2000, 200)); changes[0].Verdict != "better" {
		t.Errorf("20 times as fast is %q", changes[0].Verdict)
	}
	var out bytes.Buffer
	newer := file(2000, 200)
	newer.Figures = append(newer.Figures, figures.Of("idle", "64 ranges", figures.Ours, "CPU", "%", figures.Less, 2))
	if err := figures.PrintChanges(&out, file(100, 200), newer); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"no peer was measured in both runs", "20.00x", "better", "1 figures are in one"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestReadRefuses(t *testing.T) {
	const run = `{"format":1,"kind":"run","cpus":2}` + "\n"
	for text, want := range map[string]string{
		"":                                  "the file is empty",
		"x\n":                               "line 1: not a line of figures",
		`{"format":2,"kind":"run"}` + "\n":  "format 2, and this program knows 1",
		`{"format":1,"kind":"step"}` + "\n": "a file begins with its one run",
		run + run:                           "line 2: a line of kind \"run\"",
		run + `{"format":1,"kind":"guess"}` + "\n":              `kind "guess" is not known`,
		run + `{"format":1,"kind":"figure","value":"x"}` + "\n": "line 2: json",
	} {
		if _, err := figures.Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Read(%q) = %v, want %q", text, err, want)
		}
	}
	if f, err := figures.Read(strings.NewReader(run + `{"format":1,"ki`)); err != nil || f.Run.CPUs != 2 || f.Took != 0 {
		t.Errorf("a run that was broken off: %+v, %v", f, err)
	}
	if _, err := figures.Load(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestDiskFull(t *testing.T) {
	if _, err := figures.NewLog(full{}, figures.Run{}); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("NewLog on a full disk: %v", err)
	}
}

package figures

import (
	"slices"
	"time"
)

// Format is the version of the file's lines.
const Format = 1

// Ours is the system that the others are compared with.
const Ours = "nodedb"

// Run says where and how figures were made.
type Run struct {
	At time.Time `json:"at"`
	// Versions of all systems, by name.
	Versions map[string]string `json:"versions"`
	CPUs     int               `json:"cpus"`
	Go       string            `json:"go"`
	// Load is the machine's load average over a minute before the run began: above
	// a tenth or so of the CPUs, somebody else was at work.
	Load     float64           `json:"load"`
	Settings map[string]string `json:"settings"`
}

// Step is one part of a run.
type Step struct {
	Name  string   `json:"step"`
	Title string   `json:"title"`
	Notes []string `json:"notes,omitempty"`
}

// Skip says why something was not measured.
type Skip struct {
	Step string `json:"step"`
	What string `json:"what"`
	Why  string `json:"why"`
}

// Better says which way a figure should go.
type Better string

// The ways.
const (
	More Better = "more"
	Less Better = "less"
)

// Figure is one measured number.
type Figure struct {
	Step   string  `json:"step"`
	Case   string  `json:"case"`
	System string  `json:"system"`
	Metric string  `json:"metric"`
	Value  float64 `json:"value"` // the median of the rounds
	Unit   string  `json:"unit"`  // "/s", "rows/s", "ms", "s", "%", "x", "MiB", or "" for a count
	Better Better  `json:"better"`
	// Rounds are the values that Value is the median of, in the order measured.
	Rounds []float64 `json:"rounds,omitempty"`
	// Against is Ours divided by that system, for figures of Ours.
	Against map[string]Ratio `json:"against,omitempty"`
	Target  *Target          `json:"target,omitempty"`
}

// Ratio is the median, the least and the greatest of the ratios of all rounds.
type Ratio struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Target is what a figure should reach, and what it aims at; 0 is none.
type Target struct {
	// Of names the system that the ratio is to; empty: the value itself counts.
	Of    string  `json:"of,omitempty"`
	Reach float64 `json:"reach"`
	Aim   float64 `json:"aim,omitempty"`
}

// Of makes a figure of its rounds.
func Of(step, name, system, metric, unit string, better Better, rounds ...float64) Figure {
	return Figure{Step: step, Case: name, System: system, Metric: metric, Unit: unit, Better: better, Value: Median(rounds), Rounds: rounds}
}

// Median returns the middle of values, and 0 of none. Of an even number it is
// the mean of the two in the middle.
func Median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// RatioOf divides round by round; rounds in which theirs is 0 do not count. ok is
// false if none is left.
func RatioOf(ours, theirs []float64) (r Ratio, ok bool) {
	var all []float64
	for i := range min(len(ours), len(theirs)) {
		if theirs[i] != 0 {
			all = append(all, ours[i]/theirs[i])
		}
	}
	if len(all) == 0 {
		return Ratio{}, false
	}
	return Ratio{Median: Median(all), Min: slices.Min(all), Max: slices.Max(all)}, true
}

// Verdict says how a figure stands to its target: "aim", "reached", "MISSED",
// "not compared" if the system that it should be compared with was not there, or
// nothing if there is no target.
func (f Figure) Verdict() string {
	if f.Target == nil {
		return ""
	}
	v := f.Value
	if f.Target.Of != "" {
		r, ok := f.Against[f.Target.Of]
		if !ok {
			return "not compared"
		}
		v = r.Median
	}
	reaches := func(goal float64) bool {
		if f.Better == Less {
			return v <= goal
		}
		return v >= goal
	}
	switch {
	case f.Target.Aim != 0 && reaches(f.Target.Aim):
		return "aim"
	case reaches(f.Target.Reach):
		return "reached"
	}
	return "MISSED"
}

// span is the least and the greatest of the rounds.
func (f Figure) span() (low, high float64) {
	if len(f.Rounds) == 0 {
		return f.Value, f.Value
	}
	return slices.Min(f.Rounds), slices.Max(f.Rounds)
}

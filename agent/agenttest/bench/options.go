package bench

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options are what a run is asked for. All of it comes from the environment,
// where make puts its variables.
type Options struct {
	Quick   bool          // a fifth of the run, in about 3 minutes
	Only    []string      // steps to run; empty: all of the full or the quick run
	Out     string        // file for the figures
	Turn    time.Duration // how long a contender is measured at a time
	Rounds  int           // how many turns each has, and how often a statement is repeated
	Faults  int           // how often a fault is repeated
	Clients []int
	Fill    int    // rows that point reads choose from
	Rows    int    // rows of the step rows
	Profile string // directory for CPU profiles of the nodes
}

// OptionsFrom reads them; get is os.Getenv.
func OptionsFrom(get func(string) string) (Options, error) {
	o := Options{Turn: time.Second, Rounds: 3, Faults: 3, Clients: []int{1, 16, 64, 256}, Fill: 20_000, Rows: 1_000_000,
		Out: get("BENCH_OUT"), Profile: get("BENCH_PROFILE")}
	switch quick := get("BENCH_QUICK"); quick {
	case "", "0":
	case "1":
		o.Quick, o.Faults, o.Clients, o.Fill, o.Rows = true, 1, []int{1, 64}, 5_000, 100_000
	default:
		return o, fmt.Errorf("BENCH_QUICK=%q: give 1 for the quick run, or leave it out", quick)
	}
	if o.Out == "" {
		return o, fmt.Errorf("BENCH_OUT is not set: name the file for the figures, as make bench does")
	}
	for name := range strings.SplitSeq(get("BENCH_ONLY"), ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if !slices.ContainsFunc(steps(), func(s step) bool { return s.Name == name }) {
			return o, fmt.Errorf("BENCH_ONLY=%q: there is no step %q; the steps are %s", get("BENCH_ONLY"), name, stepNames())
		}
		o.Only = append(o.Only, name)
	}
	rounds, seconds := 0, 0
	for name, to := range map[string]*int{"BENCH_ROUNDS": &rounds, "BENCH_SECONDS": &seconds, "BENCH_ROWS": &o.Rows} {
		if err := number(name, get(name), to); err != nil {
			return o, err
		}
	}
	if rounds > 0 {
		o.Rounds, o.Faults = rounds, rounds
	}
	if seconds > 0 {
		o.Turn = time.Duration(seconds) * time.Second
	}
	return o, nil
}

func number(name, text string, to *int) error {
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return fmt.Errorf("%s=%q is not a positive number", name, text)
	}
	*to = n
	return nil
}

// wants says whether a step is part of this run.
func (o Options) wants(s step) bool {
	if len(o.Only) > 0 {
		return slices.Contains(o.Only, s.Name)
	}
	return s.quick || !o.Quick
}

// settings are the options in words, for the file of figures.
func (o Options) settings() map[string]string {
	m := map[string]string{"turn": o.Turn.String(), "rounds": strconv.Itoa(o.Rounds), "faults": strconv.Itoa(o.Faults), "fill": strconv.Itoa(o.Fill), "rows": strconv.Itoa(o.Rows)}
	if o.Quick {
		m["quick"] = "yes"
	}
	return m
}

func stepNames() string {
	var names []string
	for _, s := range steps() {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}

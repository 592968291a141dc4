package figures

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

const (
	// within is how far apart two figures may be and still be called equal: by so
	// much, two runs of one program on an idle machine differ. As all of these it is
	// a factor less one, up or down.
	within = 0.10
	// once is the same for figures that were measured a single time in either run:
	// there is no telling how they spread.
	once = 0.50
	// unknownDrift is how much the machine itself may differ between two runs if
	// no peer tells: so much was seen within minutes on shared machines.
	unknownDrift = 0.70
)

// Drift is how fast the peers, whose programs did not change, were in the new
// run, in terms of the old one.
type Drift struct {
	Ratio
	Figures int // how many it was seen in; 0: there is no telling
}

// Change is one figure in two runs.
type Change struct {
	Old, New Figure
	// Times is New / Old; 0 if Old is.
	Times float64
	// Reference is the peer, measured in both runs, that Ours was compared with;
	// Was and Is are the ratios to it.
	Reference string
	Was, Is   Ratio
	// Verdict is "better", "worse", "noise", or "same" for equal values.
	Verdict string
}

// Compare joins the figures of two runs. Figures that only one of them has are
// left out and counted.
func Compare(older, newer *File) (changes []Change, drift Drift, alone int) {
	type key [4]string
	id := func(f Figure) key { return key{f.Step, f.Case, f.System, f.Metric} }
	before := map[key]Figure{}
	for _, f := range older.Figures {
		before[id(f)] = f
	}
	var moved []float64
	for _, f := range newer.Figures {
		old, ok := before[id(f)]
		if !ok {
			alone++
			continue
		}
		delete(before, id(f))
		c := Change{Old: old, New: f}
		if old.Value != 0 {
			c.Times = f.Value / old.Value
			if f.System != Ours && f.Unit == "/s" {
				moved = append(moved, c.Times)
			}
		}
		c.refer()
		changes = append(changes, c)
	}
	if len(moved) > 0 {
		drift = Drift{Ratio{Median(moved), slices.Min(moved), slices.Max(moved)}, len(moved)}
	}
	for i := range changes {
		changes[i].judge(drift)
	}
	return changes, drift, alone + len(before)
}

// refer finds the peer that both runs compared with: the target's, or else the
// first by name.
func (c *Change) refer() {
	var names []string
	for name := range c.New.Against {
		if _, ok := c.Old.Against[name]; ok {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	c.Reference = names[0]
	if t := c.New.Target; t != nil && slices.Contains(names, t.Of) {
		c.Reference = t.Of
	}
	c.Was, c.Is = c.Old.Against[c.Reference], c.New.Against[c.Reference]
}

// judge compares ratios to a peer if there are any, because the machine's drift
// is not in them, and else the values, less what the machine may have drifted.
func (c *Change) judge(d Drift) {
	times, tolerance := c.Times, within
	low, high := c.Old.span()
	newLow, newHigh := c.New.span()
	switch {
	case c.Reference != "" && c.Was.Median != 0:
		times = c.Is.Median / c.Was.Median
		low, high, newLow, newHigh = c.Was.Min, c.Was.Max, c.Is.Min, c.Is.Max
	case !timed(c.New.Unit):
	case d.Figures == 0:
		tolerance = unknownDrift
	default:
		tolerance = max(within, apart(d.Max), apart(d.Min))
	}
	if timed(c.New.Unit) && min(len(c.Old.Rounds), len(c.New.Rounds)) < 2 {
		tolerance = max(tolerance, once)
	}
	overlap := newLow <= high && low <= newHigh
	switch {
	case c.Old.Value == c.New.Value && (times == 1 || times == 0):
		c.Verdict = "same"
	case times != 0 && (apart(times) < tolerance || overlap):
		c.Verdict = "noise"
	case (c.New.Better == More) == (times > 1 || times == 0 && c.New.Value > c.Old.Value):
		c.Verdict = "better"
	default:
		c.Verdict = "worse"
	}
}

// apart is how far a factor is from 1, up or down.
func apart(times float64) float64 { return max(times, 1/times) - 1 }

// timed reports whether a figure of this unit depends on how fast the machine is.
func timed(unit string) bool { return unit != "MiB" && unit != "x" && unit != "" }

// PrintChanges writes a comparison.
func PrintChanges(w io.Writer, older, newer *File) error {
	changes, drift, alone := Compare(older, newer)
	for _, f := range []struct {
		name string
		file *File
	}{{"old", older}, {"new", newer}} {
		_, _ = fmt.Fprintf(w, "%s: ", f.name)
		if err := f.file.PrintRun(w); err != nil {
			return err
		}
	}
	if drift.Figures > 0 {
		_, _ = fmt.Fprintf(w, "noise: the peers' own rates were %s times the old ones: so much is the machine, not the program.\n", drift.Ratio)
	} else {
		_, _ = fmt.Fprintf(w, "noise: no peer was measured in both runs, so nothing tells what the machine drifted: below %.0f %%, figures of time are called noise.\n", 100*unknownDrift)
	}
	_, _ = fmt.Fprintf(w, "Where a peer is named, its ratio is judged, not the value. Differences below %.0f %% (%.0f %% for what was measured once), and spans of rounds that overlap, are noise.\n\n", 100*within, 100*once)
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0) // Flush reports what went wrong
	_, _ = fmt.Fprintln(tw, "STEP\tCASE\tMETRIC\tOLD\tNEW\tNEW / OLD\tAGAINST\tOLD\tNEW\tJUDGED")
	for _, c := range changes {
		if c.New.System != Ours {
			continue
		}
		times, was, is := "-", "", ""
		if c.Times != 0 {
			times = fmt.Sprintf("%.2fx", c.Times)
		}
		if c.Reference != "" {
			was, is = c.Was.String(), c.Is.String()
		}
		_, _ = fmt.Fprintln(tw, strings.Join([]string{c.New.Step, c.New.Case, c.New.Metric, c.Old.text(), c.New.text(), times, c.Reference, was, is, c.Verdict}, "\t"))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if alone > 0 {
		_, err := fmt.Fprintf(w, "\n%d figures are in one of the two files only.\n", alone)
		return err
	}
	return nil
}

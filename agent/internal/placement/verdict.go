package placement

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Fix is a way to clear a refusal: what it does, and the command that does it.
type Fix struct {
	Does    string `json:"does"`
	Command string `json:"command,omitempty"`
}

// Refusal says why an intent cannot be carried out, with the arithmetic and the
// smallest changes that clear it.
type Refusal struct {
	Code   Code              `json:"code"`
	Ranges []cluster.RangeID `json:"ranges,omitempty"`
	Nodes  []cluster.NodeID  `json:"nodes,omitempty"`
	Why    string            `json:"why"`
	Fixes  []Fix             `json:"fixes,omitempty"`
	// Passes says that it clears by itself, most likely in a moment: replicas catch
	// up, or a leader is about to report. It is a "not yet" rather than a "no".
	Passes bool `json:"passes,omitempty"`
}

// CheckState is the outcome of one check.
type CheckState string

// The outcomes.
const (
	CheckOK      CheckState = "ok"
	CheckWarn    CheckState = "warn"
	CheckRefused CheckState = "refused"
)

// Check is one thing that was looked at.
type Check struct {
	Name   string     `json:"name"`
	State  CheckState `json:"state"`
	Code   Code       `json:"code,omitempty"`
	Detail string     `json:"detail,omitempty"`
}

// Verdict says whether an intent may be carried out.
type Verdict struct {
	Refusals []Refusal `json:"refusals,omitempty"`
	Checks   []Check   `json:"checks,omitempty"`
}

// OK reports whether nothing refuses.
func (v *Verdict) OK() bool { return len(v.Refusals) == 0 }

// Passes reports whether all that refuses clears by itself.
func (v *Verdict) Passes() bool {
	return !v.OK() && !slices.ContainsFunc(v.Refusals, func(r Refusal) bool { return !r.Passes })
}

// String is the first refusal, or "ok".
func (v *Verdict) String() string {
	if v.OK() {
		return "ok"
	}
	return string(v.Refusals[0].Code) + ": " + v.Refusals[0].Why
}

// Pass records a check that found nothing.
func (v *Verdict) Pass(name, detail string) { v.pass(name, detail) }

// Warn records a check that found what may be accepted.
func (v *Verdict) Warn(name string, code Code, detail string) { v.warn(name, code, detail) }

// Refuse records a check that refuses.
func (v *Verdict) Refuse(name string, r Refusal) { v.refuse(name, r) }

func (v *Verdict) pass(name, detail string) {
	v.Checks = append(v.Checks, Check{Name: name, State: CheckOK, Detail: detail})
}

func (v *Verdict) warn(name string, code Code, detail string) {
	v.Checks = append(v.Checks, Check{Name: name, State: CheckWarn, Code: code, Detail: detail})
}

func (v *Verdict) refuse(name string, r Refusal) {
	slices.Sort(r.Ranges)
	r.Ranges = slices.Compact(r.Ranges)
	v.Refusals = append(v.Refusals, r)
	v.Checks = append(v.Checks, Check{Name: name, State: CheckRefused, Code: r.Code, Detail: r.Why})
}

// names writes node ids as people do: "n1, n2".
func names(ids []cluster.NodeID) string {
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = id.String()
	}
	return strings.Join(parts, ", ")
}

func args(ids []cluster.NodeID) string { return strings.ReplaceAll(names(ids), ",", "") }

// count writes "1 node", "2 nodes".
// are is how many there are: 1 is, 2 are.
func are(n int) string {
	if n == 1 {
		return "1 is"
	}
	return fmt.Sprintf("%d are", n)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

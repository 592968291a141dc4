package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// A plan's id is consent to exactly that plan: it stands for the cluster, for what
// was asked with all of its options, and for the steps. It has a part for each, so
// that a node which has not made the plan can say in what another one differs; each
// part also depends on those before it. The last digits check the others: an id
// that was made up is told from one of another cluster.
const (
	planPrefix  = "pl-"
	planCluster = 3 // hexadecimal digits
	planAsked   = 4
	planSteps   = 5
	planCheck   = 2
	planDigits  = planCluster + planAsked + planSteps + planCheck
)

// NewPlanID names the plan for what is asked of the cluster with the id. steps is
// what is consented to beside that.
func NewPlanID(clusterID string, asked OperationSpec, steps any) string {
	all := planDigest(clusterID, planCluster)
	all += planDigest([]any{clusterID, asked}, planAsked)
	all += planDigest([]any{clusterID, asked, steps}, planSteps)
	return planPrefix + all + planDigest(all, planCheck)
}

func planDigest(v any, digits int) string {
	text, err := json.Marshal(v)
	if err != nil { // numbers and strings always marshal
		return strings.Repeat("0", digits)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:digits]
}

// PlanDifference says in what two plans differ.
type PlanDifference int

// The differences.
const (
	PlanSame         PlanDifference = iota
	PlanUnknown                     // the id is no plan's
	PlanOtherCluster                // it was made for another cluster
	PlanOtherRequest                // it was made for other nodes or options, or another operation
	PlanOtherSteps                  // what is asked is the same, and the cluster has changed
)

// ComparePlanIDs says in what the plan called id differs from the one called now.
func ComparePlanIDs(id, now string) PlanDifference {
	if id == now {
		return PlanSame
	}
	a, isPlan := strings.CutPrefix(id, planPrefix)
	b := strings.TrimPrefix(now, planPrefix)
	const cut = planDigits - planCheck
	switch {
	case !isPlan || len(a) != planDigits || len(b) != planDigits || a[cut:] != planDigest(a[:cut], planCheck):
		return PlanUnknown
	case a[:planCluster] != b[:planCluster]:
		return PlanOtherCluster
	case a[:planCluster+planAsked] != b[:planCluster+planAsked]:
		return PlanOtherRequest
	}
	return PlanOtherSteps
}

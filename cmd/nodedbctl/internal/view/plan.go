package view

import (
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
)

// Plan is the kind Plan.
type Plan struct {
	ID            string    `json:"id"`
	Operation     string    `json:"operationKind"`
	Nodes         []uint32  `json:"nodes"`
	TopologyEpoch uint64    `json:"topologyEpoch"`
	Feasible      bool      `json:"feasible"`
	Findings      []Finding `json:"findings"`
	Fixes         []Fix     `json:"fixes"`
	ChecksOK      uint32    `json:"checksOk"`
	Replicas      uint32    `json:"replicas"`
	Leaders       uint32    `json:"leaders"`
	Bytes         uint64    `json:"bytes"`
	Seconds       Seconds   `json:"seconds"`
	Bottleneck    string    `json:"bottleneck"`
	Survives      Survives  `json:"survives"`
	Effects       []Effect  `json:"effects"`
	Moves         []Move    `json:"moves"`
	// Of a split: the range, the key with which the new range begins, and its vshard.
	Range *uint32 `json:"range,omitempty"`
	At    *uint32 `json:"at,omitempty"`
	AtKey string  `json:"atKey,omitempty"`
	// ModelErrorPct is by how much the last operations missed their predictions.
	ModelErrorPct float64 `json:"modelErrorPct"`
	// Of a rebalance: how even the load is before and after, and the gain in
	// percent points.
	Goal            string      `json:"goal,omitempty"`
	Dimensions      []Dimension `json:"dimensions,omitempty"`
	DimensionsAfter []Dimension `json:"dimensionsAfter,omitempty"`
	Gain            float64     `json:"gain"`
	// Of a stored plan; AppliedBy is the operation that carried it out.
	State     string     `json:"state,omitempty"`
	CreatedAt *time.Time `json:"createdAt,omitempty"`
	ExpiresAt *time.Time `json:"expiresAt,omitempty"`
	CreatedBy string     `json:"createdBy,omitempty"`
	AppliedBy *string    `json:"appliedBy,omitempty"`
}

// Seconds is how long a plan will take.
type Seconds struct {
	P50        float64 `json:"p50"`
	P90        float64 `json:"p90"`
	LowerBound float64 `json:"lowerBound"`
}

// Survives says which losses the cluster outlives.
type Survives struct {
	Before string `json:"before"`
	During string `json:"during"`
	After  string `json:"after"`
}

// Effect is what a plan does to a node.
type Effect struct {
	Node           uint32  `json:"node"`
	ReplicasBefore uint32  `json:"replicasBefore"`
	ReplicasAfter  uint32  `json:"replicasAfter"`
	BytesBefore    uint64  `json:"bytesBefore"`
	BytesAfter     uint64  `json:"bytesAfter"`
	DiskPctBefore  float64 `json:"diskPctBefore"`
	DiskPctPeak    float64 `json:"diskPctPeak"`
	LeadersBefore  uint32  `json:"leadersBefore"`
	LeadersAfter   uint32  `json:"leadersAfter"`
}

// Move is a step of a plan.
type Move struct {
	Kind  string  `json:"kind"`
	Range uint32  `json:"range"`
	From  *uint32 `json:"from"`
	To    *uint32 `json:"to"`
	Bytes uint64  `json:"bytes"`
}

// Finding is a fact that a check found.
type Finding struct {
	Code     string   `json:"code"`
	Severity string   `json:"severity"`
	Text     string   `json:"text"`
	Ranges   []uint32 `json:"ranges"`
	Nodes    []uint32 `json:"nodes"`
}

// Fix is a way out.
type Fix struct {
	Text    string `json:"text"`
	Command string `json:"command"`
}

// NewPlan makes a Plan.
func NewPlan(p *adminpb.Plan) Plan {
	v := Plan{
		ID: p.GetId(), Operation: p.GetSpec().GetKind(), Nodes: orEmpty(p.GetSpec().GetNodes()), TopologyEpoch: p.GetTopologyEpoch(),
		Feasible: p.GetFeasible(), Findings: NewFindings(p.GetFindings()), Fixes: NewFixes(p.GetFixes()), ChecksOK: p.GetChecksOk(),
		Replicas: p.GetReplicas(), Leaders: p.GetLeaders(), Bytes: p.GetBytes(), Bottleneck: p.GetBottleneck(),
		Seconds:  Seconds{P50: tenth(p.GetSecondsP50()), P90: tenth(p.GetSecondsP90()), LowerBound: tenth(p.GetSecondsLowerBound())},
		Survives: Survives{Before: p.GetSurvivesBefore(), During: p.GetSurvivesDuring(), After: p.GetSurvivesAfter()},
		Range:    optionalNode(p.GetSpec().GetRange()), At: optionalNode(p.GetSpec().GetAt()), AtKey: p.GetSpec().GetAtKey(),
		Effects: []Effect{}, Moves: []Move{}, ModelErrorPct: tenth(100 * p.GetModelError()),
		Gain: p.GetGain(),
	}
	if len(p.GetDimensions()) > 0 {
		v.Goal = p.GetSpec().GetGoal()
		if v.Goal == "" {
			v.Goal = "all"
		}
		v.Dimensions, v.DimensionsAfter = NewDimensions(p.GetDimensions()), NewDimensions(p.GetDimensionsAfter())
	}
	for _, n := range p.GetNodes() {
		v.Effects = append(v.Effects, Effect{
			Node: n.GetNode(), ReplicasBefore: n.GetReplicasBefore(), ReplicasAfter: n.GetReplicasAfter(),
			BytesBefore: n.GetBytesBefore(), BytesAfter: n.GetBytesAfter(), LeadersBefore: n.GetLeadersBefore(), LeadersAfter: n.GetLeadersAfter(),
			DiskPctBefore: tenth(100 * n.GetDiskBefore()), DiskPctPeak: tenth(100 * n.GetDiskPeak()),
		})
	}
	for _, m := range p.GetMoves() {
		v.Moves = append(v.Moves, Move{Kind: m.GetKind(), Range: m.GetRange(), From: optionalNode(m.GetFrom()), To: optionalNode(m.GetTo()), Bytes: m.GetBytes()})
	}
	return v
}

// InstantPlan is the plan of a change that is made at once and moves nothing.
func InstantPlan(id, kind string, nodes []uint32) Plan {
	return Plan{
		ID: id, Operation: kind, Nodes: orEmpty(nodes), Feasible: true, Findings: []Finding{}, Fixes: []Fix{}, Effects: []Effect{}, Moves: []Move{},
	}
}

// NewFindings makes Findings.
func NewFindings(fs []*adminpb.Finding) []Finding {
	out := []Finding{}
	for _, f := range fs {
		out = append(out, Finding{Code: f.GetCode(), Severity: f.GetSeverity(), Text: f.GetText(), Ranges: orEmpty(f.GetRanges()), Nodes: orEmpty(f.GetNodes())})
	}
	return out
}

// NewFixes makes Fixes.
func NewFixes(fs []*adminpb.Fix) []Fix {
	out := []Fix{}
	for _, f := range fs {
		out = append(out, Fix{Text: f.GetText(), Command: f.GetCommand()})
	}
	return out
}

// Error is what went wrong, as -o json writes it on stderr. Code is a name of the
// table of exit codes, Exit its number.
type Error struct {
	Code     string    `json:"code"`
	Exit     int       `json:"exit"`
	Message  string    `json:"message"`
	Ranges   []uint32  `json:"ranges"`
	Findings []Finding `json:"findings"`
	Fixes    []Fix     `json:"fixes"`
	// Operation is the one in the way, or the one that goes on.
	Operation *string `json:"operation"`
	// MaybeDone says that a change may have been made all the same.
	MaybeDone bool `json:"maybeDone"`
}

// Verdict is the kind Verdict: an answer of yes or no with its reasons.
type Verdict struct {
	Question    string    `json:"question"`
	Nodes       []uint32  `json:"nodes"`
	OK          bool      `json:"ok"`
	NotYet      bool      `json:"notYet"` // it will be by itself: ask again
	Message     string    `json:"message,omitempty"`
	Findings    []Finding `json:"findings"`
	Fixes       []Fix     `json:"fixes"`
	LargestSafe []uint32  `json:"largestSafe"`
	Ranges      uint32    `json:"ranges"`
	AnyOne      *Survival `json:"anyOne,omitempty"`
	AnyTwo      *Survival `json:"anyTwo,omitempty"`
	// AnyPlace says for each tier of the localities whether any one place may be
	// lost, Localities what the loss of each would cost; of survive.
	AnyPlace   []TierLoss     `json:"anyPlace,omitempty"`
	Localities []LocalityLoss `json:"localities,omitempty"`
}

// Survival says whether the cluster outlives any loss of so many nodes.
type Survival struct {
	Yes         bool     `json:"yes"`
	Known       bool     `json:"known"`
	Failing     uint32   `json:"failing"`
	Worst       []uint32 `json:"worst"`
	WorstRanges uint32   `json:"worstRanges"`
	// Copies are the nodes that hold copies and no vote: their loss stops nothing.
	Copies []uint32 `json:"copies,omitempty"`
}

// NewSurvival makes a Survival.
func NewSurvival(s *adminpb.Survival) Survival {
	return Survival{Yes: s.GetYes(), Known: !s.GetUnknown(), Failing: s.GetFailing(), Worst: orEmpty(s.GetWorst()), WorstRanges: s.GetWorstRanges(), Copies: s.GetCopies()}
}

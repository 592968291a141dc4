package view

import "time"

// Context is the kind Context: how a cluster is reached. It holds no secret, only
// where they are.
type Context struct {
	Name      string   `json:"name"`
	Current   bool     `json:"current"`
	Addrs     []string `json:"addrs"`
	Known     []string `json:"known"`
	User      string   `json:"user"`
	CA        string   `json:"ca"`
	Cert      string   `json:"cert"`
	Key       string   `json:"key"`
	TokenFile string   `json:"tokenFile"`
	Protected bool     `json:"protected"`
}

// Version is the kind Version.
type Version struct {
	Version     string     `json:"version"`
	Commit      string     `json:"commit"` // empty if it was not built in a repository
	CommittedAt *time.Time `json:"committedAt"`
	Modified    bool       `json:"modified"` // the working tree differed from the commit
	Go          string     `json:"go"`
	// Servers are the versions that nodes of the cluster run, if there is one.
	Servers []NodeVersion `json:"servers"`
}

// NodeVersion is a version and the nodes that run it.
type NodeVersion struct {
	Version string   `json:"version"`
	Nodes   []uint32 `json:"nodes"`
}

// Setting is an item of the kind SettingList: one thing that nodedbctl goes by.
type Setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

// Bundle is the kind Bundle: a debug bundle that was written.
type Bundle struct {
	File      string      `json:"file"`
	Bytes     int64       `json:"bytes"`
	CreatedAt time.Time   `json:"createdAt"`
	Cluster   string      `json:"cluster"`
	Steps     int         `json:"steps"`
	Missing   []BundleGap `json:"missing"`
}

// BundleGap is what a bundle lacks, and why.
type BundleGap struct {
	Name  string `json:"name"`
	Error string `json:"error"`
}

// LocalReport is the kind LocalReport: the data directory of a stopped node, as
// nodedb-agent debug-local prints it.
type LocalReport struct {
	DataDir        string       `json:"dataDir"`
	Cluster        string       `json:"cluster"`
	ClusterID      string       `json:"clusterId"`
	Node           uint32       `json:"node"`
	Name           string       `json:"name"`
	UUID           string       `json:"uuid"`
	Started        bool         `json:"started"`
	Decommissioned bool         `json:"decommissioned"`
	StoreOwner     *string      `json:"storeOwner"`
	StoreBytes     uint64       `json:"storeBytes"`
	MetaIndex      uint64       `json:"metaIndex"`
	Nodes          []LocalNode  `json:"nodes"`
	Ranges         []LocalRange `json:"ranges"`
	Problems       []string     `json:"problems"`
}

// LocalNode is a node as the directory's copy of the meta range has it.
type LocalNode struct {
	ID         uint32 `json:"id"`
	Name       string `json:"name"`
	Membership string `json:"membership"`
	RPC        string `json:"rpc"`
	Admin      string `json:"admin"`
}

// LocalRange is a stored replica.
type LocalRange struct {
	ID         uint32   `json:"id"`
	Meta       bool     `json:"meta"`
	Start      uint32   `json:"start"`
	End        uint32   `json:"end"`
	Pool       string   `json:"pool,omitempty"`
	StartKey   string   `json:"startKey"`
	EndKey     string   `json:"endKey"`
	Generation uint64   `json:"generation"`
	Replica    uint64   `json:"replica"`
	Voters     []uint32 `json:"voters"`
	Learners   []uint32 `json:"learners"`
	HasState   bool     `json:"hasState"`
	Term       uint64   `json:"term"`
	Vote       uint64   `json:"vote"`
	Commit     uint64   `json:"commit"`
	Applied    uint64   `json:"applied"`
	FirstIndex uint64   `json:"firstIndex"`
	LastIndex  uint64   `json:"lastIndex"`
	LogBytes   int64    `json:"logBytes"`
	Bytes      int64    `json:"bytes"`
	Keys       *int64   `json:"keys"` // null: the replica was being counted
	LiveBytes  *int64   `json:"liveBytes"`
	DeadBytes  *int64   `json:"deadBytes"`
	Error      string   `json:"error,omitempty"`
}

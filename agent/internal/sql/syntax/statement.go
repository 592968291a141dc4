package syntax

import pg "github.com/pganalyze/pg_query_go/v6"

// Statement is one parsed statement. It is immutable.
type Statement struct {
	Text string
	Node Node // nil: the text holds no statement
}

// Node is what a statement says: one of the types of this package that have the method.
type Node interface{ node() }

// Query is a statement that is planned: PostgreSQL's tree of it.
type Query struct {
	// One of these is set.
	Select *pg.SelectStmt
	Insert *pg.InsertStmt
	Update *pg.UpdateStmt
	Delete *pg.DeleteStmt
	Merge  *pg.MergeStmt `json:",omitempty"`
	// Call says that it is CALL: Select has the call alone.
	Call bool `json:",omitempty"`
	// Explain says to show the query plan instead; nil: it does not.
	Explain *Explain `json:",omitempty"`
	// AsOf is the expression of AS OF SYSTEM TIME, of a SELECT; nil: there is none.
	AsOf *pg.Node
}

// Name is a name with the schema in front, if one was given.
type Name struct {
	Schema, Name string
	Position     int // 1-based byte of the text; 0: unknown
}

// ShowKind is what a ShowCluster shows.
type ShowKind string

// The things of the cluster that can be shown.
const (
	ShowNodes         ShowKind = "nodes"
	ShowRanges        ShowKind = "ranges"
	ShowRouting       ShowKind = "routing"
	ShowSchemaVersion ShowKind = "schema version"
	ShowCollections   ShowKind = "collections"
	ShowOperations    ShowKind = "operations"
	ShowRebalance     ShowKind = "rebalance"
)

// ShowCluster is SHOW of something that is no setting.
type ShowCluster struct {
	Kind ShowKind
	// Collection and Key are set for SHOW ROUTING FOR collection KEY value, ...
	Collection *Name
	Key        []Literal
	// Node is set for SHOW NODE n: n4, 4 or a name.
	Node string `json:",omitempty"`
	// Pool is set for SHOW RANGES and SHOW ROUTING FOR POOL name.
	Pool string `json:",omitempty"`
}

// Rebalance is REBALANCE [BYTES | LOAD | LEADERS] or REBALANCE PLAN 'id' [STRICT].
type Rebalance struct {
	Goal   string // empty: all of them
	Plan   string // a stored plan, instead
	Strict bool
}

// Literal is a value as it was written.
type Literal struct {
	Text     string
	Quoted   bool
	Position int
}

// ShowSetting is SHOW of a session setting; Name "all" shows all.
type ShowSetting struct{ Name string }

// SetSetting is SET or RESET of session settings.
type SetSetting struct {
	Name string
	// Values are empty for SET ... TO DEFAULT and RESET; Name "" resets all.
	Values []string
	Local  bool
	// Reset is true if the statement was RESET.
	Reset bool
}

// AlterSystem is ALTER SYSTEM SET and RESET: of a setting of the cluster. Value is
// empty for RESET.
type AlterSystem struct{ Name, Value string }

// TransactionModes are what BEGIN and SET TRANSACTION can ask for.
type TransactionModes struct {
	Isolation string `json:",omitempty"` // in lower case; "" if not given
	// ReadOnly and Deferrable are nil if they were not given.
	ReadOnly   *bool `json:",omitempty"`
	Deferrable *bool `json:",omitempty"`
	// AsOf is the expression of AS OF SYSTEM TIME; nil: there is none. ReadOnly is true then.
	AsOf *pg.Node `json:",omitempty"`
}

// Begin is BEGIN or START TRANSACTION.
type Begin struct {
	Word  string // for the command tag: BEGIN or START TRANSACTION
	Modes TransactionModes
}

// SetTransaction is SET TRANSACTION, or SET SESSION CHARACTERISTICS if Session.
type SetTransaction struct {
	Session bool
	Modes   TransactionModes
}

// Commit is COMMIT or END. Chain begins another transaction with the same modes.
type Commit struct{ Chain bool }

// Rollback is ROLLBACK or ABORT.
type Rollback struct{ Chain bool }

// Savepoint is SAVEPOINT.
type Savepoint struct{ Name string }

// RollbackTo is ROLLBACK TO SAVEPOINT.
type RollbackTo struct{ Name string }

// Release is RELEASE SAVEPOINT.
type Release struct{ Name string }

// Discard is DISCARD; Tag is the command tag.
type Discard struct {
	Tag string
	All bool // settings are reset too
}

func (*Query) node()          {}
func (*ShowCluster) node()    {}
func (*ShowSetting) node()    {}
func (*SetSetting) node()     {}
func (*AlterSystem) node()    {}
func (*Begin) node()          {}
func (*SetTransaction) node() {}
func (*Commit) node()         {}
func (*Rollback) node()       {}
func (*Savepoint) node()      {}
func (*RollbackTo) node()     {}
func (*Release) node()        {}
func (*Discard) node()        {}
func (*Rebalance) node()      {}

//go:build planted

package agent

import (
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/sql"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// plantedVariable names the faults that are planted in this process: fields of
// replica.Planted, such as FreeLatchEarly or Lease.OneShort, of txn.Planted, such as
// Txn.SkipRefresh, of datastate.Planted, such as Data.CommitBlind, and of sql.Planted, such
// as SQL.MissTrigger, separated by commas.
const plantedVariable = "NODEDB_TEST_PLANT"

type plantedFaults struct {
	replica.Planted
	Txn  txn.Planted
	Data datastate.Planted
	SQL  sql.Planted
	// StaleRules has a node go by the first host rules that it has read.
	StaleRules bool
}

func (p plantedFaults) staleRules() bool { return p.StaleRules }

// planted returns what a test has planted in a real process, to prove that trials
// find it.
func planted() (p plantedFaults) {
	names := os.Getenv(plantedVariable)
	if names == "" {
		return p
	}
	for name := range strings.SplitSeq(names, ",") {
		v := reflect.ValueOf(&p).Elem()
		for field := range strings.SplitSeq(name, ".") {
			if v.Kind() == reflect.Struct {
				v = v.FieldByName(field)
			}
		}
		if !v.IsValid() || v.Kind() != reflect.Bool {
			panic(fmt.Sprintf("%s: there is no fault %q to plant", plantedVariable, name))
		}
		v.SetBool(true)
	}
	return p
}

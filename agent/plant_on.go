//go:build planted

package agent

import (
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/replica"
)

// plantedVariable names the faults that are planted in this process: fields of
// replica.Planted, such as FreeLatchEarly or Lease.OneShort, separated by commas.
const plantedVariable = "NODEDB_TEST_PLANT"

// planted returns what a test has planted in a real process, to prove that trials
// find it.
func planted() (p replica.Planted) {
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

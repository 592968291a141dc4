package pgcatalog

import (
	_ "embed"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

//go:embed zones15.txt
var zonesText string

// zones are the rows of pg_timezone_names: those that PostgreSQL 15 has, if there is such a
// zone here, as they are now.
func (in *Input) zones() []row {
	var out []row
	now := time.Now()
	for name := range strings.Lines(zonesText) {
		name = strings.TrimSpace(name)
		zone, err := datum.LoadZone(name)
		if err != nil {
			continue
		}
		at := now.In(zone)
		abbreviation, seconds := at.Zone()
		out = append(out, row{"name": name, "abbrev": abbreviation, "utc_offset": time.Duration(seconds) * time.Second, "is_dst": at.IsDST()})
	}
	return out
}

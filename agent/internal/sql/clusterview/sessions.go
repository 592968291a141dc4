package clusterview

import (
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Sessions makes the rows of SHOW SESSIONS.
func Sessions(sessions []cluster.Session) [][]datum.Datum {
	out := make([][]datum.Datum, 0, len(sessions))
	for i := range sessions {
		x := &sessions[i]
		out = append(out, []datum.Datum{datum.MakeCount(x.PID), datum.MakeText(x.Node.String()), datum.MakeText(x.User), TextOrNull(x.Application), TextOrNull(x.Client),
			datum.MakeText(string(x.State)), Moment(x.Since), Moment(x.Began), Moment(x.TransactionAt), Moment(x.StatementAt), TextOrNull(x.Statement)})
	}
	return out
}

// Transactions makes the rows of SHOW TRANSACTIONS.
func Transactions(txns []cluster.Transaction) [][]datum.Datum {
	out := make([][]datum.Datum, 0, len(txns))
	for i := range txns {
		t := &txns[i]
		pid := datum.MakeNull(datum.Int8)
		if t.PID != 0 {
			pid = datum.MakeCount(t.PID)
		}
		ids := make([]string, len(t.WaitsFor))
		for k, w := range t.WaitsFor {
			ids[k] = w.ID
		}
		out = append(out, []datum.Datum{TextOrNull(t.ID), datum.MakeText(t.Node.String()), pid, TextOrNull(t.User), TextOrNull(t.Application),
			datum.MakeText(string(t.State)), TextOrNull(t.Isolation), Moment(t.Began), datum.MakeCount(t.Locks), datum.MakeCount(t.Ranges), Moment(t.WaitsSince),
			TextOrNull(strings.Join(ids, ",")), TextOrNull(pids(t.WaitsFor)), TextOrNull(pids(t.Blocks)), TextOrNull(t.Statement)})
	}
	return out
}

// pids are the sessions of transactions, as far as they are known.
func pids(refs []cluster.TransactionRef) string {
	var out []string
	for _, r := range refs {
		if r.PID != 0 {
			out = append(out, strconv.FormatUint(uint64(r.PID), 10))
		}
	}
	return strings.Join(out, ",")
}

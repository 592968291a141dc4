package pgcatalog

import (
	"encoding/binary"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// advisoryKeyLen is the length of the key of an advisory lock: 0 and a number of 64 bits,
// or 1 and two of 32.
const advisoryKeyLen = 9

// locks are a row each of pg_locks. A row lock is shown as PostgreSQL shows one that is
// waited for, as of a tuple; which one it is no number can say: page and tuple are null.
// The virtual transaction is the transaction's id.
func (in *Input) locks() []row {
	sessions := map[string]*cluster.Transaction{}
	for i := range in.Transactions {
		sessions[in.Transactions[i].ID] = &in.Transactions[i]
	}
	tables := map[cluster.CollectionID]uint32{}
	for _, t := range in.Tables {
		tables[t.ID()] = TableOID(t)
	}
	var out []row
	for i := range in.Locks {
		l := &in.Locks[i]
		r := row{"database": OID(in.DatabaseID), "relation": nil, "page": nil, "tuple": nil, "virtualxid": nil, "transactionid": nil, "classid": nil, "objid": nil, "objsubid": nil,
			"virtualtransaction": l.Transaction, "pid": nil, "mode": string(l.Mode), "granted": l.Granted, "fastpath": false, "waitstart": time.Time{}}
		if t := sessions[l.Transaction]; t != nil && t.PID != 0 {
			r["pid"] = t.PID
			if !l.Granted {
				r["waitstart"] = t.WaitsSince
			}
		}
		if l.Collection == cluster.AdvisoryCollection && len(l.Key) == advisoryKeyLen {
			r["locktype"] = "advisory"
			r["classid"], r["objid"], r["objsubid"] = binary.BigEndian.Uint32(l.Key[1:]), binary.BigEndian.Uint32(l.Key[5:]), 1+int(l.Key[0])
			if l.Mode == cluster.LockUpdate {
				r["mode"] = string(cluster.LockNoKeyUpdate) // ExclusiveLock, as PostgreSQL says of these
			}
		} else {
			r["locktype"] = "tuple"
			if oid, ok := tables[l.Collection]; ok {
				r["relation"] = oid
			}
		}
		out = append(out, r)
	}
	return out
}

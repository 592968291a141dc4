package pgcatalog

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
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

// blocking are, by the process id of a session that waits, those that hold what it waits for.
func (in *Input) blocking() []row {
	pids := map[string]int{}
	for i := range in.Transactions {
		pids[in.Transactions[i].ID] = int(in.Transactions[i].PID)
	}
	held := map[string][]int{} // by what is locked
	for i := range in.Locks {
		if l := &in.Locks[i]; l.Granted && pids[l.Transaction] != 0 {
			held[what(l)] = append(held[what(l)], pids[l.Transaction])
		}
	}
	waits := map[int][]int{}
	for i := range in.Locks {
		pid := pids[in.Locks[i].Transaction]
		if in.Locks[i].Granted || pid == 0 {
			continue
		}
		for _, by := range held[what(&in.Locks[i])] {
			if by != pid && !slices.Contains(waits[pid], by) {
				waits[pid] = append(waits[pid], by)
			}
		}
	}
	var out []row
	for _, pid := range slices.Sorted(maps.Keys(waits)) {
		out = append(out, row{"key": strconv.Itoa(pid), "pids": waits[pid]})
	}
	return out
}

// what says which row, or which advisory lock, a lock is of.
func what(l *cluster.RowLock) string { return fmt.Sprintf("%d|%x", l.Collection, l.Key) }

// channels makes nd_channel.
func (in *Input) channels() []row {
	var out []row
	for _, name := range in.Channels {
		out = append(out, row{"channel": name})
	}
	return out
}

package sql

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/pgcatalog"
)

// How large tables are is not counted: ranges hold rows of many. Those of few rows are read;
// of others the rows of some vshards are, for a hash spreads them evenly.
const (
	countedRows   = 5_000
	sampledRows   = 2_000
	sampledShards = 16
	// versionBytes is what the key of a row's version has beside the primary key.
	versionBytes = keys.RowLen + 1 + 9
)

// sizes are the bytes of the tables and indexes of all databases, or of one table or index:
// of the newest versions, of one replica, before compression.
func (s *Session) sizes(ctx context.Context, spec duck.ScanSpec) ([]pgcatalog.Size, error) {
	view := s.server.catalog.View()
	only := int64(-1)
	for _, c := range spec.Constraints {
		if spec.Table.Columns[c.Column].Name == "oid" && len(c.Values) == 1 {
			only = c.Values[0].I
		}
	}
	var out []pgcatalog.Size
	for _, o := range view.Objects {
		if o.Collection == nil {
			continue
		}
		one := pgcatalog.Size{Object: o, Database: s.databaseOf(o), Indexes: map[cluster.ObjectID]int64{}}
		if only >= 0 && !one.Has(uint32(only)) { //nolint:gosec // an OID
			continue
		}
		var err error
		if one.Rows, err = s.bytesOf(ctx, o.Collection.Pool, o.RowsID()); err != nil {
			return nil, err
		}
		for i := range o.Collection.Indexes {
			id := o.Collection.Indexes[i].ID
			if one.Indexes[id], err = s.bytesOf(ctx, o.Collection.Pool, id); err != nil {
				return nil, err
			}
		}
		out = append(out, one)
	}
	return out, nil
}

// definitionSizes are the bytes of what tells of objects, by the database, and of roles, by 0.
func (s *Session) definitionSizes() map[cluster.ObjectID]int64 {
	view := s.server.catalog.View()
	out := map[cluster.ObjectID]int64{}
	size := func(v any) int64 {
		text, _ := json.Marshal(v) // as it is stored
		return int64(len(text))
	}
	for _, o := range view.Objects {
		of := s.databaseOf(o)
		switch o.Kind {
		case cluster.KindDatabase:
			of = o.ID
		case cluster.KindSchema:
			of = o.Parent
		}
		out[of] += size(o)
	}
	for _, u := range view.Users {
		out[0] += size(u)
	}
	return out
}

// databaseOf is the database in which a table is; 0: it is in none.
func (s *Session) databaseOf(o *cluster.Object) cluster.ObjectID {
	if schema, ok := s.server.catalog.View().Objects[o.Parent]; ok {
		return schema.Parent
	}
	return 0
}

// bytesOf is the size of a collection.
func (s *Session) bytesOf(ctx context.Context, pool cluster.PoolID, id cluster.CollectionID) (int64, error) {
	if size, ok := s.server.sampled.get(id, s.server.cfg.Now()); ok {
		return size, nil
	}
	rows, size, err := s.readBytes(ctx, kv.ScanRequest{Pool: pool, Collection: id, Limit: countedRows})
	if err != nil || rows < countedRows {
		return size, err
	}
	rows, size = 0, 0
	shards := int64(0)
	for ; shards < cluster.VShards && (rows < sampledRows || shards < sampledShards); shards++ {
		// Spread, as ranges are spans of vshards.
		shard := cluster.VShard(shards * 389 % cluster.VShards) //nolint:gosec // below 1024
		n, more, err := s.readBytes(ctx, kv.ScanRequest{Pool: pool, Collection: id, Only: &shard})
		if err != nil {
			return 0, err
		}
		rows, size = rows+n, size+more
	}
	size = int64(math.Round(float64(size) * cluster.VShards / float64(shards)))
	s.server.sampled.put(id, size, s.server.cfg.Now())
	return size, nil
}

// sampledSizes are sizes that were found by samples, which hold for a while: a statement may
// ask several times.
type sampledSizes struct {
	mu sync.Mutex
	of map[cluster.CollectionID]sampledSize
}

type sampledSize struct {
	size int64
	at   time.Time
}

// sampledFor is how long they hold: monitoring asks for those of a whole database every few
// seconds.
const sampledFor = 15 * time.Second

func (x *sampledSizes) get(id cluster.CollectionID, now time.Time) (int64, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	found, ok := x.of[id]
	return found.size, ok && now.Sub(found.at) < sampledFor
}

func (x *sampledSizes) put(id cluster.CollectionID, size int64, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.of == nil {
		x.of = map[cluster.CollectionID]sampledSize{}
	}
	maps.DeleteFunc(x.of, func(_ cluster.CollectionID, s sampledSize) bool { return now.Sub(s.at) >= sampledFor })
	x.of[id] = sampledSize{size, now}
}

// readBytes reads rows and adds their sizes up.
func (s *Session) readBytes(ctx context.Context, req kv.ScanRequest) (rows, size int64, err error) {
	list, err := s.server.cfg.DB.Scan(ctx, req)
	if err != nil {
		return 0, 0, fmt.Errorf("read the sizes of rows: %w", err)
	}
	defer list.Close()
	for {
		batch, err := list.Next(ctx)
		if errors.Is(err, io.EOF) {
			return rows, size, nil
		}
		if err != nil {
			return 0, 0, fmt.Errorf("read the sizes of rows: %w", err)
		}
		for i := range batch {
			rows, size = rows+1, size+versionBytes+int64(len(batch[i].Key)+len(batch[i].Value))
		}
	}
}

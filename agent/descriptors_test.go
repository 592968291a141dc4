package agent

import "testing"

// TestDescriptorsCannotRunOut wants the sum of what all parts may hold to stay
// below the limit, whatever it is, and SQL to get what it was promised if it can.
func TestDescriptorsCannotRunOut(t *testing.T) {
	const logins = 128
	for _, tt := range []struct {
		limit   uint64
		max     int
		sql     int
		admin   int // at least
		whyNext string
	}{
		{1 << 20, 1000, 1000, adminConns, "all there is"},
		{1<<64 - 1, 1000, 1000, adminConns, "unlimited"},
		{4096, 1000, 1000, adminConns, "enough"},
		{2048, 1000, 1000, 100, "ports and store do with less"},
		{1024, 1000, 480, portConnsLeast, "sessions too"},
		{1024, 100, 100, portConnsLeast, "few sessions"},
		{544 + 10, 1000, 10, portConnsLeast, "hardly any"},
	} {
		d := shareDescriptors(tt.limit, tt.max, logins)
		if d.SQL < tt.sql || d.SQL > tt.max || d.Admin < tt.admin || d.RPC < portConnsLeast || d.Gossip < portConnsLeast || d.Store < storeFilesLeast {
			t.Errorf("limit %d, maxConnections %d (%s): got %+v", tt.limit, tt.max, tt.whyNext, d)
		}
		if sum := d.SQL + logins + d.Admin + d.RPC + d.Gossip + d.Store + otherFiles + 3*loopbackSpare; sum > d.Limit {
			t.Errorf("limit %d, maxConnections %d (%s): %+v sums up to %d", tt.limit, tt.max, tt.whyNext, d, sum)
		}
	}
}

package metastate

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// The cluster settings that this version knows.
const (
	SettingDeadAfter = "dead_after" // how long a node is dead before its replicas are re-created; default 5m
	SettingGCTTL     = "gc_ttl"     // how long old versions of rows are kept; default 1h
	// SettingSnapshotMaxAge is how long an open snapshot keeps what it reads from being
	// collected; default 6h.
	SettingSnapshotMaxAge = "snapshot_max_age"
	SettingSnapshotRate   = "snapshot_rate" // snapshot bytes per second and node; default 33554432
	// SettingSplitLoad is the rows read and written per second from which on a range
	// is split at the key that halves its load; 0: never; default 2500.
	SettingSplitLoad = "split_load_threshold"
	// SettingRangeMaxBytes is the size above which a range is split in the middle of
	// its bytes; 0: never; default 536870912 (512 MiB): a copy of it takes 16 s at the
	// default snapshot_rate.
	SettingRangeMaxBytes = "range_max_bytes"
	// SettingVerifyEvery is how often the replicas of each range are compared; 0s:
	// never by themselves; default 24h.
	SettingVerifyEvery     = "verify_every"
	SettingRebalance       = "rebalance"        // off, observe or auto; default auto
	SettingRebalanceSpread = "rebalance_spread" // percent of the mean that extremes may be apart; default 20
	// SettingCAKey says where the CA's key is meant to be: on a node (the default),
	// or offline, in a person's keeping; then check does not miss it.
	SettingCAKey = "ca_key"
	// SettingLeaseReads says whether leaders serve reads under leases: on (the default),
	// or off, where virtual machines may be paused: then each read asks a quorum.
	SettingLeaseReads = "lease_reads"
	// SettingClosedLag is how old the time may become that followers can serve, while
	// they are read; default 3s.
	SettingClosedLag = "closed_lag"
	// SettingHBA is who may log in to SQL from where, by which method: lines as
	// pg_hba.conf has them; default: all, by certificate or password.
	SettingHBA = "hba"
)

// settingReplicas is no setting any more: who asks for it is told where it went.
const settingReplicas = "replication_factor"

func orThree(value string) string {
	if value == "" {
		return strconv.Itoa(cluster.DefaultReplicas)
	}
	return value
}

// Values of SettingCAKey.
const (
	CAKeyOnNode  = "node"
	CAKeyOffline = "offline"
)

// minRangeMaxBytes is the least size above which ranges are split: smaller ones cost
// more than they carry.
const minRangeMaxBytes = 64 << 10

// MinGCTTL is how long old versions are kept at least: gateways are asked for their open
// snapshots each five seconds (package garbage), and one that is begun meanwhile must not
// be too old already.
const MinGCTTL = 10 * time.Second

// MinSnapshotRate is the least rate of snapshots, in bytes per second.
const MinSnapshotRate = 1 << 16

// maxSetting bounds the value of a setting, in bytes; told of it in events is less.
const (
	maxSetting     = 16 << 10
	maxSettingTold = 200
)

// Settings are the cluster settings by name, in their text form. Absent: default.
type Settings map[string]string

// DeadAfter is how long a node is dead before its replicas are re-created.
func (s Settings) DeadAfter() time.Duration { return s.duration(SettingDeadAfter, 5*time.Minute) }

// GCTTL is how long old versions of rows are kept.
func (s Settings) GCTTL() time.Duration { return s.duration(SettingGCTTL, time.Hour) }

// SnapshotMaxAge is how long an open snapshot keeps what it reads from being collected.
func (s Settings) SnapshotMaxAge() time.Duration {
	return s.duration(SettingSnapshotMaxAge, 6*time.Hour)
}

// SnapshotRate is the limit of snapshot bytes per second and node.
func (s Settings) SnapshotRate() uint64 {
	if n, err := strconv.ParseUint(s[SettingSnapshotRate], 10, 64); err == nil && n > 0 {
		return n
	}
	return 32 << 20
}

// SplitLoad is the rows per second from which on a range is split; 0: never.
func (s Settings) SplitLoad() float64 {
	if n, err := strconv.ParseUint(s[SettingSplitLoad], 10, 32); err == nil {
		return float64(n)
	}
	return 2500
}

// RangeMaxBytes is the size above which a range is split; 0: never.
func (s Settings) RangeMaxBytes() uint64 {
	if n, err := strconv.ParseUint(s[SettingRangeMaxBytes], 10, 64); err == nil {
		return n
	}
	return 512 << 20
}

// VerifyEvery is how often the replicas of each range are compared; 0: never.
func (s Settings) VerifyEvery() time.Duration { return s.duration(SettingVerifyEvery, 24*time.Hour) }

// minVerifyEvery is the shortest interval: less would be reading all the time.
const minVerifyEvery = time.Minute

// The policies of the rebalancer.
const (
	RebalanceOff     = "off"
	RebalanceObserve = "observe" // plan and record, do nothing
	RebalanceAuto    = "auto"
)

// Rebalance is the policy of the rebalancer.
func (s Settings) Rebalance() string {
	if p := s[SettingRebalance]; p == RebalanceOff || p == RebalanceObserve {
		return p
	}
	return RebalanceAuto
}

// RebalanceSpread is how far apart the fullest and the emptiest node may be, in
// percent of the mean.
func (s Settings) RebalanceSpread() int {
	if n, err := strconv.Atoi(s[SettingRebalanceSpread]); err == nil && n > 0 {
		return n
	}
	return 20
}

// LeaseReads reports whether leaders serve reads under leases.
func (s Settings) LeaseReads() bool { return s[SettingLeaseReads] != "off" }

// CAKeyOffline reports whether no node is meant to hold the CA's key.
func (s Settings) CAKeyOffline() bool { return s[SettingCAKey] == CAKeyOffline }

// HostRules are who may log in to SQL from where. What a node of this version cannot read
// lets in nobody.
func (s Settings) HostRules() cluster.HostRules {
	rules, err := cluster.ParseHostRules(s[SettingHBA])
	if err != nil {
		return nil
	}
	return rules
}

// ClosedLag is how old the time may become that followers can serve, while they are read.
func (s Settings) ClosedLag() time.Duration { return s.duration(SettingClosedLag, 3*time.Second) }

// The least and the most of SettingClosedLag: less would be asking all the time, more
// would be older than versions may be.
const (
	minClosedLag = 100 * time.Millisecond
	maxClosedLag = 10 * time.Minute
)

func (s Settings) duration(name string, fallback time.Duration) time.Duration {
	if d, err := time.ParseDuration(s[name]); err == nil {
		return d
	}
	return fallback
}

// ValidateSetting says what is wrong with a setting that an operator asks for.
// Gateways ask it before they propose. Apply checks the form only: which names
// and values a version knows must not decide what replicas of different
// versions store.
func ValidateSetting(name, value string) error {
	switch name {
	case settingReplicas, "replicas":
		return fmt.Errorf("%s is no setting: replicas belong to a pool; ALTER POOL %s SET replicas = %s", name, cluster.DefaultPoolName, orThree(value))
	case SettingGCTTL:
		if d, err := time.ParseDuration(value); err != nil || d < MinGCTTL {
			return fmt.Errorf("%s must be a duration of at least %s, such as 1h, not %q", name, MinGCTTL, value)
		}
	case SettingDeadAfter, SettingSnapshotMaxAge:
		if d, err := time.ParseDuration(value); err != nil || d < time.Second {
			return fmt.Errorf("%s must be a duration of at least 1s, such as 5m, not %q", name, value)
		}
	case SettingClosedLag:
		if d, err := time.ParseDuration(value); err != nil || d < minClosedLag || d > maxClosedLag {
			return fmt.Errorf("%s must be a duration from 100ms to 10m, such as 3s, not %q", name, value)
		}
	case SettingVerifyEvery:
		if d, err := time.ParseDuration(value); err != nil || d != 0 && d < minVerifyEvery {
			return fmt.Errorf("%s must be a duration of at least 1m, such as 24h, or 0s for never, not %q", name, value)
		}
	case SettingSnapshotRate:
		if n, err := strconv.ParseUint(value, 10, 64); err != nil || n < MinSnapshotRate {
			return fmt.Errorf("%s must be at least 65536 bytes per second, not %q", name, value)
		}
	case SettingRangeMaxBytes:
		if n, err := strconv.ParseUint(value, 10, 64); err != nil || n > 0 && n < minRangeMaxBytes {
			return fmt.Errorf("%s must be a number of bytes from %d on, or 0 for never, not %q", name, minRangeMaxBytes, value)
		}
	case SettingSplitLoad:
		if _, err := strconv.ParseUint(value, 10, 32); err != nil {
			return fmt.Errorf("%s must be a number of rows per second, or 0 for never, not %q", name, value)
		}
	case SettingRebalance:
		if value != RebalanceOff && value != RebalanceObserve && value != RebalanceAuto {
			return fmt.Errorf("%s must be off, observe or auto, not %q", name, value)
		}
	case SettingLeaseReads:
		if value != "on" && value != "off" {
			return fmt.Errorf("%s must be on or off, not %q", name, value)
		}
	case SettingCAKey:
		if value != CAKeyOnNode && value != CAKeyOffline {
			return fmt.Errorf("%s must be node or offline, not %q", name, value)
		}
	case SettingHBA:
		if _, err := cluster.ParseHostRules(value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	case SettingRebalanceSpread:
		if n, err := strconv.Atoi(value); err != nil || n < 5 || n > 1000 {
			return fmt.Errorf("%s must be from 5 to 1000 percent, not %q", name, value)
		}
	default:
		return fmt.Errorf("unknown setting %q", name)
	}
	return nil
}

func (c *change) setSetting(in *SetSetting) Result {
	if in.Name == "" || len(in.Name) > 64 || len(in.Value) > maxSetting {
		return refused(CodeInvalid, "a setting needs a name of at most 64 bytes and a value of at most %d", maxSetting)
	}
	if c.view.Settings[in.Name] == in.Value {
		return Result{Existed: true}
	}
	settings := Settings{}
	maps.Copy(settings, c.view.Settings)
	settings[in.Name] = in.Value
	if in.Value == "" {
		delete(settings, in.Name)
	}
	c.view.Settings = settings
	told := in.Value
	if len(told) > maxSettingTold {
		told = strings.ToValidUTF8(told[:maxSettingTold], "") + "..."
	}
	c.event(cluster.Event{Kind: cluster.EventSettingChanged, Text: fmt.Sprintf("setting %s is now %s", in.Name, orDefault(told)), Data: map[string]string{"name": in.Name, "value": told}})
	c.heads = true
	return Result{}
}

func orDefault(value string) string {
	if value == "" {
		return "the default"
	}
	return value
}

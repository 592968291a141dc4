package page

import (
	"strconv"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/cell"
)

// The figures of a range as people read them; what nobody has told is no zero.

func rangeBytes(r *adminpb.Range) string {
	if r.GetSizeUnknown() {
		return cell.None
	}
	return cell.Bytes(r.GetBytes())
}

// rangePool is the name of its pool; the meta range is in none.
func rangePool(r *adminpb.Range) string {
	if r.GetMeta() {
		return cell.None
	}
	return poolOf(r)
}

// rangeDead is what of it is versions that nobody reads by default.
func rangeDead(r *adminpb.Range) string {
	if r.GetSizeUnknown() || r.GetMeta() {
		return cell.None
	}
	return cell.Bytes(r.GetDeadBytes())
}

// rangeGarbage is how long the oldest of what is dead may have been so.
func rangeGarbage(r *adminpb.Range, now time.Time) string {
	if r.GetSizeUnknown() || r.GetDeadBytes() == 0 || r.GetCollected() == nil {
		return ""
	}
	return " for " + cell.Minutes(now.Sub(r.GetCollected().AsTime())) + " at most"
}

func rangeKeys(r *adminpb.Range) string {
	if r.GetSizeUnknown() || r.GetMeta() {
		return cell.None
	}
	return strconv.FormatUint(r.GetKeys(), 10)
}

func rangeReads(r *adminpb.Range) string {
	if r.GetLoadUnknown() {
		return cell.None
	}
	return cell.Rate(r.GetReadsPerSecond())
}

func rangeWrites(r *adminpb.Range) string {
	if r.GetLoadUnknown() {
		return cell.None
	}
	return cell.Rate(r.GetWritesPerSecond())
}

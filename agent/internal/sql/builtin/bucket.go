package builtin

import (
	"math"
	"sort"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// buckets are the forms of width_bucket.
var buckets = []Function{
	{Name: "width_bucket", Args: []datum.Type{datum.Float8, datum.Float8, datum.Float8, datum.Int4}, Result: datum.Int4, Eval: floatBucket},
	{Name: "width_bucket", Args: []datum.Type{datum.Numeric, datum.Numeric, datum.Numeric, datum.Int4}, Result: datum.Int4, Eval: numericBucket},
	{Name: "width_bucket", Args: []datum.Type{AnyElement, AnyArray}, Result: datum.Int4, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		list := a[1].A.Values
		for i := range list {
			if list[i].Null {
				return datum.Datum{}, fail("22004", "thresholds array must not contain NULLs")
			}
		}
		n := sort.Search(len(list), func(i int) bool { return datum.Compare(a[0], list[i]) < 0 })
		return datum.MakeInt(datum.Int4, int64(n)), nil
	}},
}

func errBucket(format string) error { return fail("2201G", "%s", format) }

// checkBuckets refuses bounds and counts that there cannot be.
func checkBuckets(count int64, anyNaN, anyInfinite, equal bool) error {
	switch {
	case count <= 0:
		return errBucket("count must be greater than zero")
	case anyNaN:
		return errBucket("operand, lower bound, and upper bound cannot be NaN")
	case anyInfinite:
		return errBucket("lower and upper bounds must be finite")
	case equal:
		return errBucket("lower bound cannot equal upper bound")
	}
	return nil
}

func bucketAt(n int64) (datum.Datum, error) {
	if n > math.MaxInt32 {
		return datum.Datum{}, errOutOfRange(datum.Int4)
	}
	return datum.MakeInt(datum.Int4, n), nil
}

func floatBucket(_ *Env, a []datum.Datum) (datum.Datum, error) {
	x, low, high, count := a[0].F, a[1].F, a[2].F, a[3].I
	err := checkBuckets(count, math.IsNaN(x) || math.IsNaN(low) || math.IsNaN(high), math.IsInf(low, 0) || math.IsInf(high, 0), low == high)
	if err != nil {
		return datum.Datum{}, err
	}
	backward := low > high
	before, behind := x < low, x >= high
	if backward {
		before, behind = x > low, x <= high
	}
	switch {
	case before:
		return bucketAt(0)
	case behind:
		return bucketAt(count + 1)
	}
	at := float64(count)*(x-low)/(high-low) + 1
	if !(math.Abs(at) <= math.MaxInt32) { // what PostgreSQL 15's conversion makes of it
		return datum.MakeInt(datum.Int4, math.MinInt32), nil
	}
	return bucketAt(int64(at))
}

func numericBucket(_ *Env, a []datum.Datum) (datum.Datum, error) {
	x, low, high, count := a[0].D, a[1].D, a[2].D, a[3].I
	err := checkBuckets(count, notNumber(x) || notNumber(low) || notNumber(high), low.Form != apd.Finite || high.Form != apd.Finite, low.Cmp(high) == 0)
	if err != nil {
		return datum.Datum{}, err
	}
	backward := low.Cmp(high) > 0
	before, behind := x.Cmp(low) < 0, x.Cmp(high) >= 0
	if backward {
		before, behind = x.Cmp(low) > 0, x.Cmp(high) <= 0
	}
	switch {
	case before:
		return bucketAt(0)
	case behind:
		return bucketAt(count + 1)
	}
	var from, width, n apd.Decimal
	exact := apd.BaseContext.WithPrecision(0)
	_, _ = exact.Sub(&from, x, low)
	_, _ = exact.Sub(&width, high, low)
	_, _ = exact.Mul(&from, &from, apd.New(count, 0))
	ctx := apd.BaseContext.WithPrecision(uint32(from.NumDigits() + width.NumDigits() + shift(&from) + shift(&width) + 1))
	if _, err := ctx.QuoInteger(&n, &from, &width); err != nil {
		return datum.Datum{}, errNumericOverflow()
	}
	i, err := n.Int64()
	if err != nil {
		return datum.Datum{}, errNumericOverflow()
	}
	return bucketAt(i + 1)
}

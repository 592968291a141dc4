package builtin

import (
	"math/big"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// sizes are pg_size_pretty.
var sizes = []Function{
	{Name: "pg_size_pretty", Args: []datum.Type{datum.Int8}, Result: datum.Text, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeText(sizePretty(big.NewInt(a[0].I))), nil
	}},
	{Name: "pg_size_pretty", Args: []datum.Type{datum.Numeric}, Result: datum.Text, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		if a[0].D.Form != apd.Finite {
			return datum.Datum{}, fail("0A000", "pg_size_pretty of %s is not supported", a[0].Text())
		}
		const inBytes = 10240
		if datum.Compare(datum.MakeNumeric(new(apd.Decimal).Abs(a[0].D)), whole64(inBytes)) < 0 {
			return datum.MakeText(a[0].Text() + " bytes"), nil
		}
		whole, err := datum.ParseText(datum.Numeric, beforePoint(a[0].Text()), nil)
		if err != nil {
			return datum.Datum{}, err
		}
		n, _ := new(big.Int).SetString(whole.Text(), 10)
		return datum.MakeText(sizePretty(n)), nil
	}},
}

func beforePoint(s string) string {
	for i := range len(s) {
		if s[i] == '.' {
			return s[:i]
		}
	}
	return s
}

// sizePretty divides by what a unit has of the one before, and rounds half of the last away
// from zero.
func sizePretty(n *big.Int) string {
	units := []string{"bytes", "kB", "MB", "GB", "TB", "PB"}
	const ofBytes, ofHalves, perUnit = 10 * 1024, 20*1024 - 1, 1024
	for i, unit := range units {
		least := big.NewInt(ofHalves)
		if i == 0 {
			least = big.NewInt(ofBytes)
		}
		if last := i == len(units)-1; last || new(big.Int).Abs(n).Cmp(least) < 0 {
			if i > 0 {
				n = half(n)
			}
			return n.String() + " " + unit
		}
		by := int64(perUnit)
		if i == 0 { // from here on in halves
			by /= 2
		}
		n = new(big.Int).Quo(n, big.NewInt(by))
	}
	return ""
}

func half(n *big.Int) *big.Int {
	away := big.NewInt(1)
	if n.Sign() < 0 {
		away = big.NewInt(-1)
	}
	return new(big.Int).Quo(new(big.Int).Add(n, away), big.NewInt(2))
}

package builtin

import (
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// sizes are pg_size_pretty and pg_size_bytes.
var sizes = []Function{
	{Name: "pg_size_pretty", Args: []datum.Type{datum.Int8}, Result: datum.Text, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeText(sizePretty(big.NewInt(a[0].I))), nil
	}},
	{Name: "pg_size_pretty", Args: []datum.Type{datum.Numeric}, Result: datum.Text, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		if a[0].D.Form != apd.Finite {
			return datum.MakeText(a[0].Text() + " PB"), nil // which is over all others
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
	{Name: "pg_size_bytes", Args: []datum.Type{datum.Text}, Result: datum.Int8, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return sizeBytes(a[0].S)
	}},
}

// sizeBytes reads a number and a unit.
func sizeBytes(s string) (datum.Datum, error) {
	parts := sizeForm.FindStringSubmatch(s)
	if parts == nil {
		return datum.Datum{}, fail("22023", "invalid size: \"%s\"", s)
	}
	number, err := datum.ParseText(datum.Numeric, parts[1], nil)
	if err != nil {
		return datum.Datum{}, err
	}
	if unit := strings.Trim(parts[2], whiteSpace); unit != "" {
		i := slices.IndexFunc(sizeUnits, func(u string) bool { return strings.EqualFold(u, unit) })
		if i < 0 {
			return datum.Datum{}, &datum.Error{Code: "22023", Message: "invalid size: \"" + s + "\"", Detail: "Invalid size unit: \"" + unit + "\"."}
		}
		const bitsOfUnit = 10
		if number, err = datum.NumericArithmetic("*", number.D, apd.New(1<<(bitsOfUnit*i), 0)); err != nil {
			return datum.Datum{}, err
		}
	}
	return numericToInt(number, datum.Int8)
}

const whiteSpace = " \t\n\v\f\r"

//nolint:gochecknoglobals // constants
var (
	sizeUnits = []string{"bytes", "kB", "MB", "GB", "TB", "PB"}
	sizeForm  = regexp.MustCompile(`^(?s)[ \t\n\v\f\r]*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)(.*)$`)
)

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
	units := sizeUnits
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

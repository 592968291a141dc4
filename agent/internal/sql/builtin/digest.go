package builtin

import (
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // what the caller asks for
	"crypto/sha1" //nolint:gosec // what the caller asks for
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// digests are functions of PostgreSQL's extension pgcrypto.
var digests = []Function{
	{Name: "digest", Args: []datum.Type{datum.Text, datum.Text}, Result: datum.Bytea, Eval: digest},
	{Name: "digest", Args: []datum.Type{datum.Bytea, datum.Text}, Result: datum.Bytea, Eval: digest},
	{Name: "hmac", Args: []datum.Type{datum.Text, datum.Text, datum.Text}, Result: datum.Bytea, Eval: keyedDigest},
	{Name: "hmac", Args: []datum.Type{datum.Bytea, datum.Bytea, datum.Text}, Result: datum.Bytea, Eval: keyedDigest},
}

var hashes = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha224": sha256.New224, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
}

func hashOf(name string) (func() hash.Hash, error) {
	if h := hashes[strings.ToLower(name)]; h != nil {
		return h, nil
	}
	return nil, fail("22023", "Cannot use \"%s\": No such hash algorithm", name)
}

func digest(_ *Env, a []datum.Datum) (datum.Datum, error) {
	algorithm, err := hashOf(a[1].S)
	if err != nil {
		return datum.Datum{}, err
	}
	h := algorithm()
	h.Write([]byte(a[0].S))
	return datum.MakeString(datum.Bytea, string(h.Sum(nil))), nil
}

func keyedDigest(_ *Env, a []datum.Datum) (datum.Datum, error) {
	algorithm, err := hashOf(a[2].S)
	if err != nil {
		return datum.Datum{}, err
	}
	h := hmac.New(algorithm, []byte(a[1].S))
	h.Write([]byte(a[0].S))
	return datum.MakeString(datum.Bytea, string(h.Sum(nil))), nil
}

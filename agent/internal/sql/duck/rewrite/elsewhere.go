package rewrite

import (
	_ "embed"
	"sync"

	pg "github.com/pganalyze/pg_query_go/v6"
)

//go:embed postgresql15.txt
var postgresNames string

// extensionNames are the functions of the extensions that can be created, which have few of them.
const extensionNames = "crypt gen_salt gen_random_bytes pgp_sym_encrypt pgp_sym_decrypt pgp_sym_encrypt_bytea pgp_sym_decrypt_bytea " +
	"pgp_pub_encrypt pgp_pub_decrypt pgp_key_id armor dearmor encrypt decrypt encrypt_iv decrypt_iv " +
	"uuid_nil uuid_ns_dns uuid_ns_url uuid_ns_oid uuid_ns_x500 uuid_generate_v1 uuid_generate_v1mc uuid_generate_v3 uuid_generate_v5"

// postgresFunctions are the names of PostgreSQL 15's functions, and of its extensions'.
var postgresFunctions = sync.OnceValue(func() map[string]string { return same(postgresNames + " " + extensionNames) })

// Postgres reports whether PostgreSQL 15 has a function of the name.
func Postgres(name string) bool { return has(postgresFunctions(), name) }

// missing is the error for a function that there is not: it is not supported, if it is one
// of PostgreSQL's.
func (r *rewriter) missing(f *pg.FuncCall, name string) error {
	if Postgres(name) {
		return unsupported(f.Location, "function %s", name)
	}
	return errorf("42883", f.Location, "function %s(%s) does not exist", name, r.signature(f))
}

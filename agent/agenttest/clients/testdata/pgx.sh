. "$LIB/lib.sh"
# pgx's own tests, of the version that NodeDB is built with. pgx.txt has the tests that fail, and why.
dir=$(timeout 120 go list -m -f '{{.Dir}}' github.com/jackc/pgx/v5 2>"$WORK/get.log") && [ -n "$dir" ] || skip "go: $(tail -n 1 "$WORK/get.log")"
cp -r "$dir" "$WORK/pgx"
chmod -R u+w "$WORK/pgx"
cd "$WORK/pgx"
export GOFLAGS=
timeout 120 go mod download >"$WORK/get.log" 2>&1 || skip "go: $(tail -n 1 "$WORK/get.log")"

url="postgres://$PGUSER:$PGPASSWORD@$PGHOST:$PGPORT/$PGDATABASE?sslmode=$PGSSLMODE&sslrootcert=$PGSSLROOTCERT"
unset PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE PGSSLMODE PGSSLROOTCERT
export PGX_TEST_DATABASE="$url" PGX_TEST_TCP_CONN_STRING="$url"
# Left out is one that is load alone.
load='^TestConnStress$'

# What pgx's testsetup makes, as far as its owner may.
mkdir setup
cat >setup/main.go <<'EOF'
package main

import (
	"context"
	"os"

	"github.com/jackc/pgx/v5"
)

func main() {
	conn, err := pgx.Connect(context.Background(), os.Getenv("PGX_TEST_DATABASE"))
	if err == nil {
		_, err = conn.Exec(context.Background(), "create domain uint64 as numeric(20,0)")
	}
	if err != nil {
		panic(err)
	}
}
EOF
timeout 120 go run ./setup
timeout 800 go test -vet=off -v -count 1 -p 1 -timeout 400s -skip "$load" . ./pgconn ./pgtype ./pgtype/zeronull ./pgxpool ./stdlib ./tracelog >"$WORK/pgx.out" 2>&1 || true

# verdicts VERDICT: the tests and their parts that ended so, in order.
verdicts() { sed -n "s/^ *--- $1: \([^ ]*\) .*/\1/p" "$WORK/pgx.out" | LC_ALL=C sort -u; }
passed=$(verdicts PASS | wc -l)
failed=$(verdicts FAIL | wc -l)
echo "pgx: $passed passed, $failed failed"
sed -n 's/^\([A-Z][A-Za-z0-9_]*\)\t.*/\1/p' "$LIB/pgx.txt" | LC_ALL=C sort -u >"$WORK/known"
least=$(sed -n 's/^# at least //p' "$LIB/pgx.txt")
unknown=$(verdicts FAIL | sed 's|/.*||' | LC_ALL=C sort -u | LC_ALL=C comm -23 - "$WORK/known" | tr '\n' ' ')
if [ -n "$unknown" ] || [ "$passed" -lt "$least" ]; then
	for test in $unknown; do grep -a -A 40 "^=== RUN *$test\$" "$WORK/pgx.out" || true; done
	printf 'fail\tsuite\tNone\t%s passed, at least %s expected; failed and not in pgx.txt: %s\t\n' "$passed" "$least" "$unknown"
else
	printf 'ok\tsuite\n'
fi
echo end

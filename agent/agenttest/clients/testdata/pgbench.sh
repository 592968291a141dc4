. "$LIB/lib.sh"
# PostgreSQL's own load: its tables, its scripts and all ways to send them, and scripts of ours.
pgbench=$(command -v /usr/lib/postgresql/15/bin/pgbench || command -v pgbench) || {
	debs postgresql-15
	pgbench="$WORK/root/usr/lib/postgresql/15/bin/pgbench"
}
cd "$WORK"

# step NAME COMMAND...: says how it ended; of a failure the last lines, and the SQLSTATE if pgbench tells one.
step() {
	name=$1
	shift
	if "$@" >out 2>&1; then
		printf 'ok\t%s\n' "$name"
	else
		printf 'fail\t%s\t%s\t%s\t\n' "$name" "$(sed -n 's/.*ERROR:  \([0-9A-Z]\{5\}\):.*/\1/p' out | tail -n 1 | grep . || echo None)" "$(tail -n 3 out | tr '\n\t' '  ')"
	fi
}
sql() { psql -XAtq -v ON_ERROR_STOP=1 -c "$1"; }

# run MODE ARGUMENTS...: some transactions of four clients, none of which may fail.
run() { timeout 60 "$pgbench" -n -c 4 -j 2 -t 25 --verbose-errors --max-tries 20 --progress 60 -M "$@" && grep -q 'number of failed transactions: 0 ' out; }
balanced() { [ "$(sql "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history) AND (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(tbalance) FROM pgbench_tellers)")" = t ]; }
# refused COMMAND...: what fails and says that it is not supported.
refused() { ! "$@" && grep -q 'not supported' out; }

cat >gset.sql <<'END'
\set id random(1, 1000)
SELECT abalance AS balance, bid FROM pgbench_accounts WHERE aid = :id \gset
\if :balance < 1000000000
UPDATE pgbench_accounts SET abalance = :balance WHERE aid = :id AND bid = :bid;
\endif
SELECT 2 AS two \gset last_
\set three :last_two + 1
SELECT 1 / (:three - 2);
END
cat >pipeline.sql <<'END'
\set id random(1, 1000)
\startpipeline
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :id;
SELECT abalance FROM pgbench_accounts WHERE aid = :id;
UPDATE pgbench_accounts SET abalance = abalance - 1 WHERE aid = :id;
END;
SELECT 1;
\endpipeline
END
cat >own.sql <<'END'
\set a random_gaussian(1, 1000, 3)
\set b random_zipfian(1, 1000, 1.5)
\set name hash(:a) % 100
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT abalance FROM pgbench_accounts WHERE aid IN (:a, :b) ORDER BY aid FOR UPDATE;
UPDATE pgbench_accounts SET abalance = abalance + CASE aid WHEN :a THEN 1 ELSE -1 END WHERE aid IN (:a, :b) AND :a <> :b;
COMMIT;
END

step 'initialize' timeout 60 "$pgbench" -i -s 1 -I dtgvpf --foreign-keys
step 'keys' [ "$(sql "SELECT string_agg(conname, ' ' ORDER BY conname) FROM pg_constraint WHERE conname LIKE 'pgbench%' AND contype IN ('p', 'f')" 2>&1)" = "pgbench_accounts_bid_fkey pgbench_accounts_pkey pgbench_branches_pkey pgbench_history_aid_fkey pgbench_history_bid_fkey pgbench_history_tid_fkey pgbench_tellers_bid_fkey pgbench_tellers_pkey" ]
step 'rows' [ "$(sql 'SELECT count(*), max(aid), min(bid), sum(abalance), max(octet_length(filler)) FROM pgbench_accounts')" = '100000|100000|1|0|84' ]
for mode in simple extended prepared; do
	step "tpc-b $mode" run "$mode"
	step "select only $mode" run "$mode" -S
	step "simple update $mode" run "$mode" -N
	step "gset $mode" run "$mode" -f gset.sql
	step "own $mode" run "$mode" -f own.sql -D scale=1
done
step 'pipeline extended' run extended -f pipeline.sql
step 'pipeline prepared' run prepared -f pipeline.sql
step 'mixed' run prepared -b tpcb-like@1 -b select-only@5 -f gset.sql@2 -C
step 'rate' run prepared -b simple-update --rate 200 --latency-limit 10000 -r
step 'balances' balanced
step 'on the server' timeout 60 "$pgbench" -i -s 1 -I dtGvp
step 'unlogged' timeout 60 "$pgbench" -i -s 1 -I dtg --unlogged-tables
step 'partitions' refused timeout 60 "$pgbench" -i -s 1 -I dt --partitions 4
step 'drop' timeout 60 "$pgbench" -i -I d
echo end

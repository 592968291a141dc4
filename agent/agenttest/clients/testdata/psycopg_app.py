"""The first hour of psycopg2 and psycopg 3: the same steps, but where their ways differ."""

import datetime
import decimal
import io
import select
import sys
import traceback
import uuid

from steps import end, step

three = sys.argv[1] == "3"
if three:
    import psycopg as driver
    from psycopg.types.json import Jsonb as Json
    from psycopg import errors
else:
    import psycopg2 as driver
    import psycopg2.extras
    from psycopg2 import errors
    from psycopg2.extras import Json

    psycopg2.extras.register_uuid()

conn = driver.connect("")  # the environment says where
conn.autocommit = True


def explain(error):
    conn.rollback()
    code = getattr(error, "sqlstate" if three else "pgcode", None)
    return code, error if code else traceback.format_exc(limit=-1), ""


def rows(sql, args=None):
    with conn.cursor() as cur:
        cur.execute(sql, args)
        return cur.fetchall()


def run(sql, args=None):
    with conn.cursor() as cur:
        cur.execute(sql, args)
        return cur.rowcount


def same(got, expected):
    assert got == expected, f"{got!r} is not {expected!r}"


def create():
    run("CREATE TYPE mood AS ENUM ('glad', 'sad')")
    run("CREATE TABLE people (id serial PRIMARY KEY, name text NOT NULL UNIQUE, mood mood DEFAULT 'glad', doc jsonb, tags text[])")
    run("CREATE TABLE many (id int PRIMARY KEY, v text)")
    run("ALTER TABLE people ADD COLUMN made timestamptz DEFAULT now()")


def crud():
    row = rows("INSERT INTO people (name, doc, tags) VALUES (%s, %s, %s) RETURNING id, mood, doc, tags", ("Ada", Json({"a": [1, None]}), ["x", "y z", None]))
    same(row, [(1, "glad", {"a": [1, None]}, ["x", "y z", None])])
    same(run("UPDATE people SET mood = %s WHERE id = %s", ("sad", 1)), 1)
    same(rows("SELECT name, mood FROM people WHERE id = ANY(%s)", ([1, 2],)), [("Ada", "sad")])
    same(run("DELETE FROM people WHERE name = %s", ("nobody",)), 0)


def types():
    u = uuid.UUID("5e8ad5ee-7e4c-4a2c-9b5b-3c1ad1a1f5f0")
    at = datetime.datetime(2024, 2, 29, 1, 2, 3, 4000, tzinfo=datetime.timezone.utc)
    values = (2**40, decimal.Decimal("1.50"), 0.1, True, b"\x00\xff", at.date(), at, at.time(), datetime.timedelta(days=1, seconds=5), u, [1, 2], [decimal.Decimal("1.5")], None)
    row = rows("SELECT %s::int8, %s::numeric, %s::float8, %s::bool, %s::bytea, %s::date, %s::timestamptz, %s::time, %s::interval, %s::uuid, %s::int[], %s::numeric[], %s::text", values)[0]
    same(tuple(bytes(v) if isinstance(v, memoryview) else v for v in row), values)


def transactions():
    conn.autocommit = False
    try:
        run("INSERT INTO people (name) VALUES ('Cy')")
        run("SAVEPOINT s")
        try:
            run("INSERT INTO people (name) VALUES ('Cy')")
        except errors.UniqueViolation as e:
            same((e.diag.constraint_name, e.diag.table_name, e.diag.message_detail), ("people_name_key", "people", "Key (name)=(Cy) already exists."))
        try:
            run("SELECT 1")
        except errors.InFailedSqlTransaction:
            run("ROLLBACK TO s")
        same(rows("SELECT count(*) FROM people"), [(2,)])
        conn.rollback()
        same(rows("SELECT count(*) FROM people"), [(1,)])
        conn.commit()
    finally:
        conn.rollback()
        conn.autocommit = True


def many():
    with conn.cursor() as cur:
        cur.executemany("INSERT INTO many VALUES (%s, %s)", [(-n, str(n)) for n in range(1, 101)])
    same(rows("SELECT count(*), min(id) FROM many"), [(100, -100)])


def copying():
    lines = "".join(f"{n}\tvalue {n}\n" for n in range(5000))
    with conn.cursor() as cur:
        if three:
            with cur.copy("COPY many FROM STDIN") as into:
                into.write(lines)
            with cur.copy("COPY (SELECT * FROM many WHERE id >= 0 ORDER BY id LIMIT 2) TO STDOUT (FORMAT csv)") as out:
                text = b"".join(bytes(b) for b in out).decode()
        else:
            cur.copy_expert("COPY many FROM STDIN", io.StringIO(lines))
            out = io.StringIO()
            cur.copy_expert("COPY (SELECT * FROM many WHERE id >= 0 ORDER BY id LIMIT 2) TO STDOUT (FORMAT csv)", out)
            text = out.getvalue()
        same(text, "0,value 0\n1,value 1\n")


def binary_copy():
    with conn.cursor() as cur:
        with cur.copy("COPY many FROM STDIN (FORMAT binary)") as into:
            into.set_types(["int4", "text"])
            into.write_row((10_000, "binary"))
        same(rows("SELECT v FROM many WHERE id = 10000"), [("binary",)])


def cursors():
    conn.autocommit = False
    try:
        with conn.cursor(name="c") as cur:
            cur.itersize = 100
            cur.execute("SELECT id FROM many WHERE id BETWEEN 0 AND 999 ORDER BY id")
            same([r[0] for r in cur], list(range(1000)))
        with (conn.cursor(name="s", scrollable=True)) as cur:
            cur.execute("SELECT id FROM many WHERE id BETWEEN 0 AND 999 ORDER BY id")
            cur.scroll(500)
            same(cur.fetchone(), (500,))
            cur.scroll(0, mode="absolute")
            same(cur.fetchmany(2), [(0,), (1,)])
    finally:
        conn.rollback()
        conn.autocommit = True


def listen():
    run("LISTEN news")
    heard = []
    if three:
        conn.add_notify_handler(heard.append)
    rows("SELECT pg_notify('news', 'hello')")
    if not three:
        select.select([conn], [], [], 10)
        conn.poll()
        heard = conn.notifies
    n = heard.pop()
    same((n.channel, n.payload), ("news", "hello"))
    run("UNLISTEN *")


def introspection():
    same(rows("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'many' ORDER BY ordinal_position"), [("id", "integer"), ("v", "text")])
    with conn.cursor() as cur:
        cur.execute("SELECT id, name, made, 1.5::numeric(5, 2) FROM people")
        same([(d[0], d[1]) for d in cur.description], [("id", 23), ("name", 25), ("made", 1184), ("numeric", 1700)])


def modifiers():
    with conn.cursor() as cur:
        cur.execute("SELECT 1.5::numeric(5, 2)")
        same(tuple(cur.description[0][4:6]), (5, 2))


def prepared():
    for n in range(8):
        with conn.cursor() as cur:
            cur.execute("SELECT v FROM many WHERE id = %s", (n,), prepare=True)
            same(cur.fetchone(), (f"value {n}",))
    same(rows("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT v FROM many%%' AND NOT from_sql", ()), [(1,)])


def pipelines():
    with conn.pipeline():
        a = conn.execute("SELECT 1")
        b = conn.execute("SELECT v FROM many WHERE id = %s", (7,))
        same((a.fetchone(), b.fetchone()), ((1,), ("value 7",)))


made = "create tables"
step(made, create, explain)
step("crud", crud, explain, [made])
step("types", types, explain)
step("transactions", transactions, explain, ["crud"])
step("many", many, explain, [made])
step("copy", copying, explain, [made])
step("cursors", cursors, explain, ["copy"])
step("listen", listen, explain)
step("introspection", introspection, explain, [made])
step("modifiers", modifiers, explain)
if three:
    step("binary copy", binary_copy, explain, ["copy"])
    step("prepared", prepared, explain, ["copy"])
    step("pipelines", pipelines, explain, ["copy"])
end()

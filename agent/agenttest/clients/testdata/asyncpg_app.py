"""The first hour of asyncpg: all values in binary, types by its own introspection."""

import asyncio
import datetime
import decimal
import io
import ipaddress
import json
import os
import ssl
import traceback
import uuid

import asyncpg
from asyncpg import exceptions

from steps import end, step

loop = asyncio.new_event_loop()
options = {"ssl": False}
if os.environ.get("PGSSLMODE") == "verify-full":
    options["ssl"] = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
for name in ("PGSSLMODE", "PGSSLROOTCERT"):
    os.environ.pop(name, None)


async def connect(**more):
    return await asyncpg.connect(**{**options, **more})


def explain(error):
    code = getattr(error, "sqlstate", None)
    return code, error if code else traceback.format_exc(limit=-2), getattr(error, "query", "") or ""


def same(got, expected):
    assert got == expected, f"{got!r} is not {expected!r}"


async def create():
    await conn.execute(
        """
        CREATE TYPE mood AS ENUM ('glad', 'sad');
        CREATE DOMAIN age AS int CHECK (VALUE >= 0);
        CREATE TABLE people (id serial PRIMARY KEY, name text NOT NULL UNIQUE, mood mood DEFAULT 'glad', moods mood[], age age, doc jsonb, tags text[],
            made timestamptz DEFAULT now());
        CREATE TABLE many (id int PRIMARY KEY, v text, n numeric(10,2), at timestamptz, u uuid, doc jsonb, mood mood, b bytea, tags text[]);
        """
    )


async def crud():
    row = await conn.fetchrow("INSERT INTO people (name, doc, tags, age) VALUES ($1, $2, $3, $4) RETURNING *", "Ada", '{"a": [1, null]}', ["x", "y z", None], 36)
    same((row["id"], row["mood"], row["doc"], row["tags"], row["age"]), (1, "glad", '{"a": [1, null]}', ["x", "y z", None], 36))
    assert isinstance(row["made"], datetime.datetime)
    same(await conn.execute("UPDATE people SET mood = $1 WHERE id = $2", "sad", 1), "UPDATE 1")
    same([tuple(r) for r in await conn.fetch("SELECT name, mood FROM people WHERE id = ANY($1::int[])", [1, 2])], [("Ada", "sad")])
    same(await conn.fetchval("SELECT name FROM people WHERE mood = $1", "sad"), "Ada")
    same(await conn.execute("DELETE FROM people WHERE name = $1", "nobody"), "DELETE 0")


async def types():
    u = uuid.UUID("5e8ad5ee-7e4c-4a2c-9b5b-3c1ad1a1f5f0")
    at = datetime.datetime(2024, 2, 29, 1, 2, 3, 4000, tzinfo=datetime.timezone.utc)
    values = {
        "int2": 7, "int4": -(2**31), "int8": 2**40, "numeric": decimal.Decimal("1.50"), "float4": 0.5, "float8": 0.1, "bool": True, "bytea": b"\x00\xff",
        "date": at.date(), "timestamptz": at, "timestamp": at.replace(tzinfo=None), "time": at.time(), "timetz": at.timetz(),
        "interval": datetime.timedelta(days=1, seconds=5), "uuid": u, "text": "é\n", "varchar": "v", "bpchar": "c", "name": "n", '"char"': b"x", "json": "[1]", "jsonb": '{"a": 1}',
        "inet": ipaddress.ip_address("10.0.0.1"), "cidr": ipaddress.ip_network("10.0.0.0/8"), "oid": 7, "bit(4)": asyncpg.BitString("1010"), "varbit": asyncpg.BitString("101"),
        "mood": "sad", "age": 5, "int4[]": [1, None], "text[]": ["a", None, ""], "numeric[]": [decimal.Decimal("1.5")], "timestamptz[]": [at], "uuid[]": [u], "mood[]": ["sad", None],
        "jsonb[]": ['{"a": 1}'], "bool[]": [], "date[]": [at.date()], "inet[]": [ipaddress.ip_address("::1")],
    }
    for name, value in values.items():
        try:
            same(await conn.fetchval(f"SELECT $1::{name}", value), value)
            same(await conn.fetchval(f"SELECT $1::{name}", None), None)
        except Exception as error:
            raise AssertionError(f"{name}: {type(error).__name__} {error}") from error
    same(await conn.fetchval("SELECT 'NaN'::numeric::text"), "NaN")
    same(await conn.fetchval("SELECT 'infinity'::timestamptz"), datetime.datetime.max)
    same(tuple(await conn.fetchval("SELECT ROW(1, 'a'::text, NULL::int)")), (1, "a", None))


async def introspection():
    moods = await conn.fetchval("SELECT 'mood'::regtype::oid")
    fresh = await connect()
    try:
        statement = await fresh.prepare("SELECT moods, mood, age FROM people WHERE mood = $1 AND moods = $2")
        same([(t.name, t.kind, t.schema) for t in statement.get_parameters()], [("mood", "scalar", "public"), ("mood[]", "array", "public")])
        same([(a.name, a.type.name, a.type.kind) for a in statement.get_attributes()], [("moods", "mood[]", "array"), ("mood", "mood", "scalar"), ("age", "int4", "scalar")])
        same(statement.get_parameters()[0].oid, moods)
        await fresh.execute("CREATE TYPE later AS ENUM ('a')")
        same(await fresh.fetchval("SELECT ARRAY['a', NULL]::later[]"), ["a", None])
        same(await fresh.fetchval("SELECT $1::later[]", ["a"]), ["a"])
        await fresh.reload_schema_state()
        same(await fresh.fetchval("SELECT $1::later", "a"), "a")
    finally:
        await fresh.close()


async def prepared():
    statement = await conn.prepare("SELECT $1::int + 1 AS n, $2::text AS t")
    for n in (1, 2, 3):
        same(tuple(await statement.fetchrow(n, str(n))), (n + 1, str(n)))
    same([p.name for p in statement.get_parameters()], ["int4", "text"])
    same(json.loads(await conn.fetchval("EXPLAIN (FORMAT JSON) SELECT 1"))[0].keys() >= {"Plan"}, True)
    assert "Plan" in (await statement.explain(1, "x"))[0]
    same(await statement.fetch(1, "a"), [(2, "a")])
    same(statement.get_statusmsg(), "SELECT 1")
    await conn.execute("CREATE TABLE changing (a int)")
    await conn.execute("INSERT INTO changing VALUES (1)")
    same([tuple(r) for r in await conn.fetch("SELECT * FROM changing")], [(1,)])
    other = await connect()
    await other.execute("ALTER TABLE changing ADD b text DEFAULT 'x'")
    await other.close()
    same([tuple(r) for r in await conn.fetch("SELECT * FROM changing")], [(1, "x")])


async def cursors():
    async with conn.transaction():
        seen = [r["id"] async for r in conn.cursor("SELECT id FROM many ORDER BY id", prefetch=70)]
        same(seen, list(range(1000)))
        cursor = await conn.cursor("SELECT id FROM many WHERE id >= $1 ORDER BY id", 10)
        same([r[0] for r in await cursor.fetch(2)], [10, 11])
        same(await cursor.forward(5), 5)
        same((await cursor.fetchrow())[0], 17)
        same(await cursor.forward(10_000), 982)
        same(await cursor.fetchrow(), None)
    try:
        await conn.cursor("SELECT 1")
    except exceptions.NoActiveSQLTransactionError:
        pass


async def records():
    at = datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc)
    u = uuid.UUID("5e8ad5ee-7e4c-4a2c-9b5b-3c1ad1a1f5f0")
    rows = [(n, f"value {n}", decimal.Decimal(n) / 4, at, u, '{"n": 1}', "sad", bytes([n % 256]), ["a", None]) for n in range(1000)]
    same(await conn.copy_records_to_table("many", records=rows), "COPY 1000")
    got = await conn.fetchrow("SELECT * FROM many WHERE id = 7")
    same(tuple(got), (7, "value 7", decimal.Decimal("1.75"), at, u, '{"n": 1}', "sad", b"\x07", ["a", None]))
    same(await conn.copy_records_to_table("many", records=[(1001, None)], columns=["id", "v"]), "COPY 1")
    try:
        await conn.copy_records_to_table("many", records=[(1001, "again")], columns=["id", "v"])
    except exceptions.UniqueViolationError as e:
        same((e.constraint_name, e.table_name), ("many_pkey", "many"))
    else:
        raise AssertionError("no error")
    await conn.execute("DELETE FROM many WHERE id > 1000")


async def copying():
    out = io.BytesIO()
    same(await conn.copy_from_query("SELECT id, v FROM many WHERE id >= $1 ORDER BY id LIMIT $2", 5, 2, output=out, format="csv", header=True), "COPY 2")
    same(out.getvalue(), b"id,v\n5,value 5\n6,value 6\n")
    out = io.BytesIO()
    same(await conn.copy_from_table("many", columns=["id", "v"], output=out, delimiter="|", null="-"), "COPY 1000")
    same(sorted(out.getvalue().decode().splitlines())[0], "0|value 0")
    await conn.execute("CREATE TABLE copied (id int, v text)")
    same(await conn.copy_to_table("copied", source=io.BytesIO(out.getvalue()), delimiter="|", null="-"), "COPY 1000")
    binary = io.BytesIO()
    await conn.copy_from_query("SELECT id, v FROM many WHERE id < 3 ORDER BY id", output=binary, format="binary")
    binary.seek(0)
    same(await conn.copy_to_table("copied", source=binary, format="binary"), "COPY 3")
    same(await conn.fetchval("SELECT count(*) FROM copied"), 1003)
    try:
        await conn.copy_to_table("copied", source=io.BytesIO(b"x|y\n"), delimiter="|")
    except exceptions.InvalidTextRepresentationError:
        pass
    else:
        raise AssertionError("no error")


async def many():
    await conn.executemany("INSERT INTO people (name, mood, tags) VALUES ($1, $2, $3)", [(f"p{n}", "glad", [str(n)]) for n in range(500)])
    same(await conn.fetchval("SELECT count(*) FROM people WHERE name LIKE 'p%'"), 500)
    try:
        await conn.executemany("INSERT INTO people (name) VALUES ($1)", [("q1",), ("p1",), ("q2",)])
    except exceptions.UniqueViolationError as e:
        same(e.detail, "Key (name)=(p1) already exists.")
    else:
        raise AssertionError("no error")
    same(await conn.fetchval("SELECT count(*) FROM people WHERE name LIKE 'q%'"), 0)  # they are one transaction
    names = [r[0] for r in await conn.fetch("INSERT INTO people (name) SELECT unnest($1::text[]) RETURNING name", ["u1", "u2"])]
    same(sorted(names), ["u1", "u2"])
    await conn.execute("DELETE FROM people WHERE id > 1")


async def transactions():
    async def count():
        return await conn.fetchval("SELECT count(*) FROM people")

    before = await count()
    async with conn.transaction(isolation="repeatable_read"):
        same(await conn.fetchval("SHOW transaction_isolation"), "repeatable read")
        await conn.execute("INSERT INTO people (name) VALUES ('Cy')")
        try:
            async with conn.transaction():
                await conn.execute("INSERT INTO people (name) VALUES ('Di')")
                await conn.execute("INSERT INTO people (name) VALUES ('Cy')")
        except exceptions.UniqueViolationError as e:
            same((e.constraint_name, e.table_name, e.schema_name, e.detail), ("people_name_key", "people", "public", "Key (name)=(Cy) already exists."))
    same(await count() - before, 1)
    try:
        async with conn.transaction():
            await conn.execute("DELETE FROM people")
            raise KeyError("back")
    except KeyError:
        pass
    try:
        async with conn.transaction(isolation="serializable", readonly=True, deferrable=True):
            await conn.execute("DELETE FROM people")
    except exceptions.ReadOnlySQLTransactionError:
        pass
    else:
        raise AssertionError("no error")
    same((await count() - before, conn.is_in_transaction()), (1, False))


async def codecs():
    c = await connect()
    try:
        for name in ("json", "jsonb"):
            await c.set_type_codec(name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        same(await c.fetchval("SELECT $1::jsonb", {"a": [1, None]}), {"a": [1, None]})
        same(await c.fetchval("SELECT $1::json[]", [{"a": 1}]), [{"a": 1}])
        await c.set_type_codec("numeric", encoder=str, decoder=float, schema="pg_catalog", format="text")
        same(await c.fetchval("SELECT $1::numeric", 1.5), 1.5)
        await c.set_type_codec("mood", encoder=lambda v: v[::-1], decoder=lambda v: v.upper(), schema="public", format="text")
        same(await c.fetchval("SELECT $1::mood", "das"), "SAD")
        await c.set_builtin_type_codec("age", codec_name="int", schema="public")
        same(await c.fetchval("SELECT 5::age"), 5)
        await c.reset_type_codec("mood", schema="public")
        same(await c.fetchval("SELECT 'sad'::mood"), "sad")
        await c.set_type_codec("timestamptz", encoder=lambda v: (v,), decoder=lambda v: v[0], schema="pg_catalog", format="tuple")
        same(await c.fetchval("SELECT '2000-01-01 00:00:01+00'::timestamptz"), 1_000_000)
    finally:
        await c.close()


async def pools():
    async def init(c):
        await c.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")

    async with asyncpg.create_pool(min_size=2, max_size=4, init=init, command_timeout=30, max_queries=10, **options) as pool:
        got = await asyncio.gather(*(pool.fetchval("SELECT v FROM many WHERE id = $1", n) for n in range(60)))
        same(got, [f"value {n}" for n in range(60)])
        async with pool.acquire() as c:
            async with c.transaction():
                same(await c.fetchval("SELECT $1::jsonb", {"a": 1}), {"a": 1})
            await c.execute("SET search_path = pg_catalog")
            await c.execute("CREATE TEMP TABLE scratch (a int)")
            await c.fetchval("SELECT pg_advisory_lock(7)")
        # What a session leaves behind is taken back by what the pool sends: pg_advisory_unlock_all(), CLOSE ALL, UNLISTEN *, RESET ALL.
        async with pool.acquire() as c:
            same(await c.fetchval("SHOW search_path"), '"$user", public')
            same(await c.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0)


async def listen():
    heard = loop.create_future()
    await conn.add_listener("news", lambda c, pid, channel, payload: heard.done() or heard.set_result((channel, payload)))
    await conn.execute("SELECT pg_notify('news', 'hello')")
    same(await asyncio.wait_for(heard, 20), ("news", "hello"))
    await conn.reset()
    logs = []
    conn.add_log_listener(lambda c, m: logs.append((m.severity, m.message)))
    await conn.execute("DROP TABLE IF EXISTS nothing")
    await conn.fetchval("SELECT 1")
    await asyncio.sleep(0)
    same(logs, [("NOTICE", 'table "nothing" does not exist, skipping')])


async def errors():
    for query, args, expected in (
        ("SELECT nothing", (), exceptions.UndefinedColumnError), ("SELECT 1 / $1::int", (0,), exceptions.DivisionByZeroError), ("SELEC", (), exceptions.PostgresSyntaxError),
        ("INSERT INTO people (name) VALUES ($1)", (None,), exceptions.NotNullViolationError), ("SELECT $1::age", (-1,), exceptions.CheckViolationError),
        ("SELECT $1::mood", ("none",), exceptions.InvalidTextRepresentationError), ("SELECT $1::int", ("x",), exceptions.DataError), ("SELECT $1::int", (), exceptions.InterfaceError),
    ):
        try:
            await conn.fetch(query, *args)
        except expected:
            continue
        raise AssertionError(f"{query}: no error")
    try:
        await conn.fetch("SELECT pg_sleep(20)", timeout=0.2)
    except asyncio.TimeoutError:
        same(await conn.fetchval("SELECT 1"), 1)
    else:
        raise AssertionError("no timeout")
    c = await connect(server_settings={"application_name": "first hour", "statement_timeout": "200ms", "search_path": "public"}, statement_cache_size=0)
    try:
        same(c.get_settings().application_name, "first hour")
        await c.fetch("SELECT pg_sleep(20)")
    except exceptions.QueryCanceledError:
        pass
    finally:
        await c.close()
    same((conn.get_server_version().major, conn.get_settings().client_encoding), (15, "UTF8"))


conn = loop.run_until_complete(connect())
made = "create tables"
for name, run, *needs in (
    (made, create),
    ("crud", crud, made),
    ("types", types, made),
    ("introspection", introspection, made),
    ("prepared", prepared),
    ("records", records, made),
    ("cursors", cursors, "records"),
    ("copy", copying, "records"),
    ("many", many, "crud"),
    ("transactions", transactions, made),
    ("codecs", codecs, made),
    ("pools", pools, "records"),
    ("listen", listen),
    ("errors", errors, made),
):
    step(name, lambda: loop.run_until_complete(run()), explain, needs)
loop.run_until_complete(conn.close())
end()

'use strict';

// The first hour of postgres.js: tagged queries, which are all prepared, helpers, transactions, cursors, COPY, LISTEN, types.
const { Readable } = require('stream');
const { pipeline } = require('stream/promises');
const postgres = require('postgres');
const { run, where, assert } = require('./steps');

const notices = [];
const options = { ...where, username: where.user, pass: where.password, max: 4, onnotice: (n) => notices.push(n) };
const sql = postgres(options);
const same = (got, want) => assert.deepStrictEqual(JSON.parse(JSON.stringify(got)), want);

async function create() {
  await sql.unsafe(`CREATE TYPE mood AS ENUM ('glad', 'sad');
    CREATE TABLE people (id serial PRIMARY KEY, name text NOT NULL UNIQUE, mood mood DEFAULT 'glad', moods mood[], doc jsonb, tags text[], made timestamptz DEFAULT now());
    CREATE TABLE many (id int PRIMARY KEY, v text)`);
}

async function crud() {
  const [ada] = await sql`INSERT INTO people (name, doc, tags) VALUES (${'Ada'}, ${sql.json({ a: [1, null] })}, ${['x', 'y z', 'q"{']}) RETURNING *`;
  assert.deepStrictEqual([ada.id, ada.mood, ada.doc, ada.tags, ada.made instanceof Date], [1, 'glad', { a: [1, null] }, ['x', 'y z', 'q"{'], true]);
  const updated = await sql`UPDATE people SET mood = ${'sad'} WHERE id = ${ada.id}`;
  assert.deepStrictEqual([updated.command, updated.count], ['UPDATE', 1]);
  same(await sql`SELECT name, mood FROM people WHERE id = ANY(${[1, 2]})`.values(), [['Ada', 'sad']]);
  assert.strictEqual((await sql`DELETE FROM people WHERE name = ${'nobody'}`).count, 0);
}

async function helpers() {
  const rows = [{ name: 'Bo', mood: 'glad', tags: ['b'] }, { name: 'Cy', mood: 'sad', tags: [] }];
  same(await sql`INSERT INTO people ${sql(rows)} RETURNING name, tags`, [{ name: 'Bo', tags: ['b'] }, { name: 'Cy', tags: [] }]);
  same(await sql`INSERT INTO people ${sql({ name: 'Di', more: 1 }, 'name')} RETURNING ${sql(['name', 'mood'])}`, [{ name: 'Di', mood: 'glad' }]);
  assert.strictEqual((await sql`UPDATE people SET ${sql({ mood: 'sad', doc: { n: 1 } }, 'mood', 'doc')} WHERE name IN ${sql(['Bo', 'Di'])}`).count, 2);
  same(await sql`UPDATE people SET mood = d.mood::mood FROM (VALUES ${sql([['Bo', 'glad'], ['Di', 'glad']])}) AS d (name, mood) WHERE people.name = d.name RETURNING people.name, people.mood, doc`,
    [{ name: 'Bo', mood: 'glad', doc: { n: 1 } }, { name: 'Di', mood: 'glad', doc: { n: 1 } }]);
  const filter = (min) => (min ? sql`AND id > ${min}` : sql``);
  same(await sql`SELECT ${sql('p.name')} FROM ${sql('people')} AS p WHERE mood = ${'glad'} ${filter(1)} ORDER BY ${sql('id')} ${sql`DESC`}`.values(), [['Di'], ['Bo']]);
}

async function types() {
  const at = new Date('2024-02-29T01:02:03.004Z');
  const [r] = await sql`SELECT ${2n ** 40n}::int8 AS big, ${'1.50'}::numeric AS n, ${0.1}::float8 AS f, ${true}::bool AS b, ${Buffer.from([0, 255])}::bytea AS bytes, ${at}::timestamptz AS t,
    ${'2024-02-29'}::date AS d, ${{ a: 1 }}::json AS j, ${null}::text AS nothing, ${'5e8ad5ee-7e4c-4a2c-9b5b-3c1ad1a1f5f0'}::uuid AS u, ${'1 day'}::interval AS i, ${'10.0.0.1'}::inet AS ip, ${7}::int2 AS s`;
  assert.deepStrictEqual([r.big, r.n, r.f, r.b, r.bytes.toString('hex'), r.t, r.d, r.j, r.nothing, r.u, r.i, r.ip, r.s],
    ['1099511627776', '1.50', 0.1, true, '00ff', at, new Date('2024-02-29'), { a: 1 }, null, '5e8ad5ee-7e4c-4a2c-9b5b-3c1ad1a1f5f0', '1 day', '10.0.0.1', 7]);
  const big = postgres({ ...options, types: { bigint: postgres.BigInt }, transform: postgres.camel });
  assert.deepStrictEqual([...await big`SELECT ${9007199254740993n} AS the_big, 1::int8 AS small`], [{ theBig: 9007199254740993n, small: 1n }]);
  await big.end();
}

async function arrays() {
  const at = new Date('2024-02-29T00:00:00Z');
  const [r] = await sql`SELECT ${sql.array([1, 2], 23)} AS ints, ${['a', 'b,"c"', '']}::text[] AS texts, ${sql.array([true, false], 16)} AS bools, ${sql.array([at], 1184)} AS dates,
    ${['1.50']}::numeric[] AS ns, ${sql.array([{ a: 1 }, { b: [2] }], 3802)} AS docs, '{}'::int[] AS none, ARRAY[]::text[] AS nothing`;
  assert.deepStrictEqual({ ...r }, { ints: [1, 2], texts: ['a', 'b,"c"', ''], bools: [true, false], dates: [at], ns: ['1.50'], docs: [{ a: 1 }, { b: [2] }], none: [], nothing: [] });
  // The arrays of the types that users make are known by the query that it sends when it connects.
  const fresh = postgres(options);
  same(await fresh`UPDATE people SET moods = ${['sad', 'glad']} WHERE id = 1 RETURNING moods`, [{ moods: ['sad', 'glad'] }]);
  same(await fresh`SELECT moods, ${['glad']}::mood[] AS m FROM people WHERE id = 1`, [{ moods: ['sad', 'glad'], m: ['glad'] }]);
  await fresh.end();
  const without = postgres({ ...options, fetch_types: false });
  same(await without`SELECT moods, tags FROM people WHERE id = 1`, [{ moods: '{sad,glad}', tags: '{x,"y z","q\\"{"}' }]);
  await without.end();
}

async function describe() {
  const d = await sql`SELECT id, name, mood, ${1}::int8 AS n FROM people WHERE name = ${''} AND id = ${1}`.describe();
  const [{ mood }] = await sql`SELECT 'mood'::regtype::oid AS mood`;
  assert.deepStrictEqual([d.types, d.columns.map((c) => [c.name, c.type])], [[20, 25, 23], [['id', 23], ['name', 25], ['mood', mood], ['n', 20]]]);
  const r = await sql`SELECT id AS a, name FROM people LIMIT 0`;
  const [{ people }] = await sql`SELECT 'people'::regclass::oid AS people`;
  assert.deepStrictEqual(r.columns.map((c) => [c.name, c.type, c.table, c.number]), [['a', 23, people, 1], ['name', 25, people, 2]]);
  assert.ok(r.statement.string.startsWith('SELECT id AS a'));
}

async function unsafe() {
  same(await sql.unsafe("INSERT INTO people (name) VALUES ('Ed') RETURNING name; SELECT count(*)::int AS n FROM people WHERE name = 'Ed'; DELETE FROM people WHERE name = 'Ed' RETURNING 1 AS one"), [[{ name: 'Ed' }], [{ n: 1 }], [{ one: 1 }]]);
  same(await sql.unsafe('SELECT $1::int + $2 AS n', [1, 2]), [{ n: 3 }]);
  same(await sql.unsafe('SELECT $1::int + $2 AS n', [1, 2], { prepare: true }), [{ n: 3 }]);
  same((await sql`SELECT 1 AS a; SELECT 2 AS b`.simple()).map((r) => ({ ...r[0] })), [{ a: 1 }, { b: 2 }]);
  const raw = await sql`SELECT 'é' AS t`.raw();
  assert.strictEqual(raw[0][0].toString(), 'é');
}

async function transactions() {
  const count = async () => (await sql`SELECT count(*)::int AS n FROM people`)[0].n;
  const before = await count();
  const kept = await sql.begin('isolation level repeatable read', async (tx) => {
    const [{ level }] = await tx`SELECT current_setting('transaction_isolation') AS level`;
    await tx`INSERT INTO people (name) VALUES ('Fay')`;
    await tx.savepoint('s', async (s) => {
      await s`INSERT INTO people (name) VALUES ('Gil')`;
      await s`INSERT INTO people (name) VALUES ('Fay')`;
    }).catch((e) => assert.deepStrictEqual([e.code, e.constraint_name, e.table_name, e.detail], ['23505', 'people_name_key', 'people', 'Key (name)=(Fay) already exists.']));
    const [a, b] = await Promise.all([tx`SELECT 1 AS n`, tx`SELECT 2 AS n`]); // pipelined
    return [level, a[0].n, b[0].n];
  });
  assert.deepStrictEqual([kept, await count() - before], [['repeatable read', 1, 2], 1]);
  await assert.rejects(sql.begin(async (tx) => { await tx`DELETE FROM people`; throw new Error('back'); }), { message: 'back' });
  same(await sql.begin('read only', (tx) => [tx`SELECT 1 AS a`, tx`SELECT 2 AS b`]), [[{ a: 1 }], [{ b: 2 }]]);
  await assert.rejects(sql.begin('read only', (tx) => tx`DELETE FROM people`), { code: '25006' });
  assert.strictEqual(await count() - before, 1);
  const reserved = await sql.reserve();
  await reserved`BEGIN`;
  await reserved`DELETE FROM people WHERE name = 'Fay'`;
  await reserved`ROLLBACK`;
  reserved.release();
  assert.strictEqual(await count() - before, 1);
}

async function copying() {
  const lines = Array.from({ length: 5000 }, (_, i) => `${i}\tvalue ${i}\n`);
  await pipeline(Readable.from(lines), await sql`COPY many FROM STDIN`.writable());
  let text = '';
  for await (const chunk of await sql`COPY (SELECT * FROM many ORDER BY id LIMIT 3) TO STDOUT (FORMAT csv, HEADER)`.readable()) text += chunk;
  assert.strictEqual(text, 'id,v\n0,value 0\n1,value 1\n2,value 2\n');
  assert.strictEqual((await sql`SELECT count(*)::int AS n FROM many`)[0].n, 5000);
}

async function cursors() {
  let n = 0;
  await sql`SELECT id FROM many WHERE id < ${1000} ORDER BY id`.cursor(100, (rows) => { assert.strictEqual(rows.length, 100); for (const r of rows) assert.strictEqual(r.id, n++); });
  for await (const [r] of sql`SELECT id FROM many ORDER BY id`.cursor()) if (r.id === 20) break;
  n = 0;
  await sql`SELECT id FROM many ORDER BY id`.cursor(7, () => (++n === 3 ? sql.CLOSE : undefined));
  assert.strictEqual(n, 3);
  let seen = 0;
  await sql`SELECT id FROM many ORDER BY id`.forEach((r) => { seen += r.id; });
  assert.deepStrictEqual([seen, (await sql`SELECT 1 AS one`)[0].one], [4999 * 2500, 1]);
}

async function listen() {
  let heard;
  const first = new Promise((done) => { heard = done; });
  const { unlisten } = await sql.listen('news', heard);
  await sql.notify('news', 'hello');
  assert.strictEqual(await first, 'hello');
  await unlisten();
}

async function errors() {
  const code = (q) => q.then(() => assert.fail('no error'), (e) => e.code);
  assert.deepStrictEqual([await code(sql`SELECT nothing`), await code(sql`SELECT 1/${0}::int`), await code(sql`SELECT ${'x'}::int`), await code(sql`SELEC`), await code(sql`INSERT INTO people (name) VALUES (NULL)`)],
    ['42703', '22012', '22P02', '42601', '23502']);
  const e = await sql`SELECT id, nothing FROM people`.catch((err) => err);
  assert.deepStrictEqual([e.name, e.severity, e.position, e.message, e.query.includes('nothing')], ['PostgresError', 'ERROR', '12', 'column "nothing" does not exist', true]);
  await sql`DROP TABLE IF EXISTS nothing`;
  assert.deepStrictEqual(notices.map((n) => [n.code, n.message]).pop(), ['00000', 'table "nothing" does not exist, skipping']);
  const wrong = postgres({ ...options, pass: 'wrong', password: 'wrong', connect_timeout: 10 });
  assert.strictEqual(await code(wrong`SELECT 1`), '28P01');
  await wrong.end();
}

async function cancelled() {
  const slow = sql`SELECT pg_sleep(20)`.execute();
  await sql`SELECT 1`;
  for (let started = false; !started;) [{ started }] = await sql`SELECT count(*) > 0 AS started FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(20)' AND state = 'active'`;
  slow.cancel();
  await assert.rejects(slow, { code: '57014' });
}

async function settings() {
  const c = postgres({ ...options, max: 1, idle_timeout: 1, max_lifetime: 60, connection: { application_name: 'first hour', statement_timeout: 200, search_path: 'public', TimeZone: 'UTC' } });
  same(await c`SELECT current_setting('application_name') AS a, current_setting('search_path') AS s, current_setting('timezone') AS z`, [{ a: 'first hour', s: 'public', z: 'UTC' }]);
  await assert.rejects(c`SELECT pg_sleep(10)`, { code: '57014' });
  assert.strictEqual(c.parameters.TimeZone, 'UTC');
  await c.end();
  const unnamed = postgres({ ...options, max: 1, prepare: false }); // as behind a pool of connections
  for (const n of [1, 2, 3]) same(await unnamed`SELECT ${n}::int AS n`, [{ n }]);
  same(await unnamed`SELECT count(*)::int AS n FROM pg_prepared_statements WHERE name <> ''`, [{ n: 0 }]);
  await unnamed.end();
}

async function pooled() {
  const all = await Promise.all(Array.from({ length: 40 }, (_, i) => sql`SELECT v FROM many WHERE id = ${i}`));
  assert.deepStrictEqual(all.map(([r]) => r.v), Array.from({ length: 40 }, (_, i) => `value ${i}`));
  const c = postgres({ ...options, max: 1 });
  const piped = await Promise.all(Array.from({ length: 200 }, (_, i) => c`SELECT ${i}::int AS i`)); // all on one connection, without waiting
  assert.deepStrictEqual(piped.map(([r]) => r.i), Array.from({ length: 200 }, (_, i) => i));
  // Types change under a statement that is prepared: it is prepared anew.
  await c`CREATE TABLE changing (a int)`;
  await c`INSERT INTO changing VALUES (1)`;
  const ask = () => c`SELECT * FROM changing`;
  same(await ask(), [{ a: 1 }]);
  await c`ALTER TABLE changing ADD b text DEFAULT 'x'`;
  same(await ask(), [{ a: 1, b: 'x' }]);
  await c.end();
}

const made = 'create tables';
run([
  [made, create],
  ['crud', crud, made],
  ['helpers', helpers, 'crud'],
  ['types', types],
  ['arrays', arrays, 'crud'],
  ['describe', describe, made],
  ['unsafe', unsafe, made],
  ['transactions', transactions, made],
  ['copy', copying, made],
  ['cursors', cursors, 'copy'],
  ['listen', listen],
  ['errors', errors, made],
  ['cancelled', cancelled],
  ['settings', settings],
  ['pooled', pooled, 'copy'],
], (err) => err.query || '').then(async (code) => { await sql.end({ timeout: 5 }); process.exitCode = code; });

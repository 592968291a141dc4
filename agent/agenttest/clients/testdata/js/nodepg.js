'use strict';

// The first hour of node-postgres: pools, prepared names, cursors, streams, COPY, LISTEN, types.
const { once } = require('events');
const { Readable } = require('stream');
const { pipeline } = require('stream/promises');
const { Client, Pool } = require('pg');
const Cursor = require('pg-cursor');
const QueryStream = require('pg-query-stream');
const copy = require('pg-copy-streams');
const { run, where, assert } = require('./steps');

const pool = new Pool({ ...where, max: 4 });
const rows = async (text, values) => (await pool.query(text, values)).rows;

// session runs f with a client of its own.
async function session(f) {
  const client = await pool.connect();
  try {
    return await f(client);
  } finally {
    client.release();
  }
}

async function create() {
  await pool.query(`CREATE TYPE mood AS ENUM ('glad', 'sad');
    CREATE TABLE people (id serial PRIMARY KEY, name text NOT NULL UNIQUE, mood mood DEFAULT 'glad', doc jsonb, tags text[], made timestamptz DEFAULT now());
    CREATE TABLE many (id int PRIMARY KEY, v text)`);
}

async function crud() {
  const [ada] = await rows('INSERT INTO people (name, doc, tags) VALUES ($1, $2, $3) RETURNING *', ['Ada', { a: [1, null] }, ['x', 'y z', null]]);
  assert.deepStrictEqual([ada.id, ada.mood, ada.doc, ada.tags, ada.made instanceof Date], [1, 'glad', { a: [1, null] }, ['x', 'y z', null], true]);
  const r = await pool.query('UPDATE people SET mood = $2 WHERE id = $1', [ada.id, 'sad']);
  assert.deepStrictEqual([r.command, r.rowCount], ['UPDATE', 1]);
  assert.deepStrictEqual((await pool.query({ text: 'SELECT name, mood FROM people WHERE tags @> $1', values: [['x']], rowMode: 'array' })).rows, [['Ada', 'sad']]);
  assert.strictEqual((await pool.query('DELETE FROM people WHERE name = $1', ['nobody'])).rowCount, 0);
}

async function types() {
  const [r] = await rows(`SELECT 1::int8 AS big, 1.50::numeric AS n, 0.1::float8 AS f, true AS b, '\\xdead'::bytea AS bytes, '2024-02-29'::date AS d,
    '1 day 02:03:04'::interval AS i, '{1,2}'::int[] AS ints, '{"a": 1}'::json AS j, NULL::text AS nothing, ARRAY[1.5, NULL]::numeric[] AS ns, '12:00'::time AS t,
    '5e8ad5ee-7e4c-4a2c-9b5b-3c1ad1a1f5f0'::uuid AS u`);
  assert.deepStrictEqual([r.big, r.n, r.f, r.b, r.bytes.toString('hex'), r.d.getDate(), r.i.days, r.i.seconds, r.ints, r.j, r.nothing, r.ns, r.t, r.u],
    ['1', '1.50', 0.1, true, 'dead', 29, 1, 4, [1, 2], { a: 1 }, null, [1.5, null], '12:00:00', '5e8ad5ee-7e4c-4a2c-9b5b-3c1ad1a1f5f0']);
  const [s] = await rows('SELECT $1::bytea AS b, $2::timestamptz AS t, $3::int[] AS i, $4::jsonb AS j, $5::bool AS f, $6::numeric AS n', [Buffer.from([0, 255]), new Date(1e12), [1, null], JSON.stringify([1]), false, '1.10']);
  assert.deepStrictEqual([s.b.toString('hex'), s.t.getTime(), s.i, s.j, s.f, s.n], ['00ff', 1e12, [1, null], [1], false, '1.10']);
}

async function binary() {
  // Not a float8: the client reads its binary form wrongly from PostgreSQL, too (0.5 is 0.99).
  const { rows: [r] } = await pool.query({ text: 'SELECT $1::int4 AS i, $2::int8 AS b, $3::text AS t, $4::bool AS x', values: [7, '8', 'é', true], binary: true });
  assert.deepStrictEqual([r.i, String(r.b), String(r.t), r.x], [7, '8', 'é', true]);
}

async function prepared() {
  await session(async (c) => {
    for (const n of [1, 2, 3]) {
      assert.deepStrictEqual((await c.query({ name: 'next', text: 'SELECT $1::int + 1 AS n', values: [n] })).rows, [{ n: n + 1 }]);
    }
    await assert.rejects(c.query({ name: 'bad', text: 'SELECT nothing' }), { code: '42703' });
    assert.strictEqual((await c.query("SELECT count(*)::int AS n FROM pg_prepared_statements WHERE name = 'next'")).rows[0].n, 1);
  });
}

async function transactions() {
  await session(async (c) => {
    await c.query('BEGIN');
    await c.query("INSERT INTO people (name) VALUES ('Cy')");
    await c.query('SAVEPOINT s');
    await assert.rejects(c.query("INSERT INTO people (name) VALUES ('Cy')"), { code: '23505', constraint: 'people_name_key', table: 'people', schema: 'public', detail: 'Key (name)=(Cy) already exists.' });
    await assert.rejects(c.query('SELECT 1'), { code: '25P02' });
    await c.query('ROLLBACK TO s');
    await c.query('ROLLBACK');
  });
  assert.strictEqual((await rows('SELECT count(*)::int AS n FROM people'))[0].n, 1);
  const several = await pool.query("INSERT INTO people (name) VALUES ('Di'); SELECT name FROM people ORDER BY id; DELETE FROM people WHERE name = 'Di'");
  assert.deepStrictEqual(several.map((r) => [r.command, r.rowCount]), [['INSERT', 1], ['SELECT', 2], ['DELETE', 1]]);
}

async function copyIn() {
  await session(async (c) => {
    const lines = Array.from({ length: 5000 }, (_, i) => `${i}\tvalue ${i}\n`);
    const into = c.query(copy.from('COPY many FROM STDIN'));
    await pipeline(Readable.from(lines), into);
    assert.strictEqual(into.rowCount, 5000);
    await assert.rejects(pipeline(Readable.from(['x\ty\n']), c.query(copy.from('COPY many FROM STDIN'))), { code: '22P02' });
  });
}

async function copyOut() {
  await session(async (c) => {
    let text = '';
    for await (const chunk of c.query(copy.to('COPY (SELECT * FROM many ORDER BY id LIMIT 3) TO STDOUT (FORMAT csv, HEADER)'))) text += chunk;
    assert.strictEqual(text, 'id,v\n0,value 0\n1,value 1\n2,value 2\n');
  });
}

async function cursors() {
  await session(async (c) => {
    const cursor = c.query(new Cursor('SELECT id FROM many WHERE id >= $1 ORDER BY id', [10]));
    assert.deepStrictEqual((await cursor.read(2)).map((r) => r.id), [10, 11]);
    assert.strictEqual((await cursor.read(1000)).length, 1000);
    await cursor.close();
    assert.strictEqual((await c.query('SELECT 1 AS one')).rows[0].one, 1);
  });
}

async function streams() {
  await session(async (c) => {
    let n = 0;
    for await (const r of c.query(new QueryStream('SELECT id FROM many ORDER BY id', [], { batchSize: 100 }))) assert.strictEqual(r.id, n++);
    assert.strictEqual(n, 5000);
    for await (const r of c.query(new QueryStream('SELECT id FROM many ORDER BY id', [], { batchSize: 7 }))) if (r.id === 20) break;
    assert.strictEqual((await c.query('SELECT 2 AS two')).rows[0].two, 2);
  });
}

async function listen() {
  await session(async (c) => {
    await c.query('LISTEN news');
    const heard = once(c, 'notification');
    await pool.query("SELECT pg_notify('news', $1)", ['hello']);
    const [{ channel, payload }] = await heard;
    assert.deepStrictEqual([channel, payload], ['news', 'hello']);
    await c.query('UNLISTEN *');
  });
}

async function notices() {
  await session(async (c) => {
    const heard = once(c, 'notice');
    await c.query('DROP TABLE IF EXISTS nothing');
    const [n] = await heard;
    assert.deepStrictEqual([n.severity, n.code, n.message], ['NOTICE', '00000', 'table "nothing" does not exist, skipping']);
  });
}

async function timeouts() {
  const c = new Client({ ...where, statement_timeout: 200, application_name: 'first hour', options: '-c search_path=public' });
  await c.connect();
  await assert.rejects(c.query('SELECT pg_sleep(10)'), { code: '57014' });
  assert.deepStrictEqual((await c.query("SELECT current_setting('application_name') AS a, current_setting('search_path') AS s")).rows, [{ a: 'first hour', s: 'public' }]);
  await c.end();
}

async function pooled() {
  const all = await Promise.all(Array.from({ length: 40 }, (_, i) => rows('SELECT v FROM many WHERE id = $1', [i])));
  assert.deepStrictEqual(all.map(([r]) => r.v), Array.from({ length: 40 }, (_, i) => `value ${i}`));
  await assert.rejects(new Client({ ...where, password: 'wrong', connectionTimeoutMillis: 10000 }).connect(), { code: '28P01' });
}

const made = 'create tables';
run([
  [made, create],
  ['crud', crud, made],
  ['types', types],
  ['binary', binary],
  ['prepared', prepared],
  ['transactions', transactions, 'crud'],
  ['copy in', copyIn, made],
  ['copy out', copyOut, 'copy in'],
  ['cursors', cursors, 'copy in'],
  ['streams', streams, 'copy in'],
  ['listen', listen],
  ['notices', notices],
  ['timeouts', timeouts],
  ['pooled', pooled, 'copy in'],
], (err) => err.where || '').then((code) => { process.exitCode = code; return pool.end(); });

'use strict';

// The first hour of Prisma: its schema engine, as wasm, migrates through the driver adapter;
// the client that was generated for the schema reads and writes.
const fs = require('fs');
const path = require('path');
const { Pool } = require('pg');
const { PrismaPg } = require('@prisma/adapter-pg');
const { bindMigrationAwareSqlAdapterFactory } = require('@prisma/driver-adapter-utils');
const { run, where, assert } = require('./steps');

// The adapter has no "char", which the engine's questions about the catalogs have: to it they are texts.
const Result = require('pg/lib/result');
const { addFields } = Result.prototype;
Result.prototype.addFields = function asText(fields) {
  return addFields.call(this, fields.map((f) => (f.dataTypeID === 18 ? Object.assign(f, { dataTypeID: 25 }) : f)));
};

const schema = fs.readFileSync(path.join(__dirname, 'schema.prisma'), 'utf8');
const file = (content) => ({ files: [{ path: 'schema.prisma', content }] });
const filters = { externalTables: [], externalEnums: [] };
const migrations = [];
let now = schema;

// load has the schema engine: its own loader wants an import of wasm, which Node has behind an option.
let loaded;
async function load() {
  const folder = path.dirname(require.resolve('@prisma/schema-engine-wasm/schema_engine_bg'));
  const glue = await import(path.join(folder, 'schema_engine_bg.js'));
  const { instance } = await WebAssembly.instantiate(fs.readFileSync(path.join(folder, 'schema_engine_bg.wasm')), { './schema_engine_bg.js': glue });
  glue.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  return glue;
}

// engine makes one for a schema, and ends its sessions, which hold its lock, after what is done with it.
async function engine(datamodel, use) {
  loaded ??= load();
  const pool = new Pool(where);
  try {
    const adapter = bindMigrationAwareSqlAdapterFactory(new PrismaPg(pool));
    return await use(await (await loaded).SchemaEngine.new({ datamodels: [['schema.prisma', datamodel]] }, () => {}, adapter));
  } finally {
    await pool.end();
  }
}

const list = () => ({ baseDir: 'migrations', lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"' }, shadowDbInitScript: '', migrationDirectories: migrations });

// script is what leads from one schema to another; undefined: from nothing.
async function script(from, to) {
  const begin = from ? { tag: 'schemaDatamodel', ...file(from) } : { tag: 'empty' };
  const { stdout } = await engine(to, (e) => e.diff({ from: begin, to: { tag: 'schemaDatamodel', ...file(to) }, script: true, exitCode: null, filters }));
  return stdout;
}

// deploy applies the migrations that the database has not.
async function deploy() {
  return (await engine(now, (e) => e.applyMigrations({ migrationsList: list(), filters }))).appliedMigrationNames;
}

// migrate makes a migration between two schemas and applies it; one that fails is told to be rolled back.
const migrate = (name, from, to) => async () => {
  const value = await script(from, to);
  assert.ok(value.includes('-- '), value);
  const folder = `2026${String(migrations.length + 1).padStart(10, '0')}_${name.replace(/ /g, '_')}`;
  migrations.push({ path: folder, migrationFile: { path: 'migration.sql', content: { tag: 'ok', value } } });
  try {
    assert.deepStrictEqual(await deploy(), [folder]);
    now = to;
  } catch (err) {
    await engine(now, (e) => e.markMigrationRolledBack({ migrationName: folder })).catch(() => {});
    migrations.pop();
    throw err;
  }
  assert.deepStrictEqual(await deploy(), []);
  const { executedSteps, unexecutable, warnings } = await engine(to, (e) => e.schemaPush({ force: false, schema: file(to), filters }));
  assert.deepStrictEqual([executedSteps, unexecutable, warnings], [0, [], []], 'the database is not as the schema');
};

// introspect has the database become a schema, from which nothing leads to ours.
async function introspect() {
  const empty = schema.slice(0, schema.indexOf('enum Mood'));
  const how = { schema: file(empty), baseDirectoryPath: __dirname, force: true, compositeTypeDepth: 0, namespaces: null };
  const { schema: { files: [{ content }] } } = await engine(empty, (e) => e.introspect(how));
  assert.match(content, /model books \{/);
  assert.match(content, /enum Mood \{/);
  assert.match(content, /@relation\(fields: \[author_id\], references: \[id\], onDelete: Cascade\)/);
}

const client = () => new (require('@prisma/client').PrismaClient)({ adapter: new PrismaPg({ ...where, max: 3 }) });
const db = client();
const { Prisma } = require('@prisma/client');

async function crud() {
  const ada = await db.author.create({
    data: {
      name: 'Ada', email: 'ada@example.test', meta: { a: [1, null] }, tags: ['x', 'y z'], moods: ['sad', 'glad'],
      books: { create: [1, 2, 3].map((n) => ({ title: `Book ${n}`, price: `${n}.50`, cover: Buffer.from([0, n]), out: new Date('2024-02-29'), topics: { connectOrCreate: [{ where: { name: 'all' }, create: { name: 'all' } }] } })) },
    },
    include: { books: { orderBy: { price: 'desc' }, include: { topics: true } } },
  });
  assert.deepStrictEqual([ada.mood, ada.moods, ada.tags, ada.meta, ada.books.length], ['glad', ['sad', 'glad'], ['x', 'y z'], { a: [1, null] }, 3]);
  assert.deepStrictEqual(ada.books[0].topics, [{ name: 'all' }]);
  const b = await db.book.findUniqueOrThrow({ where: { authorId_title: { authorId: ada.id, title: 'Book 2' } } });
  assert.deepStrictEqual([b.price.toFixed(2), Buffer.from(b.cover).toString('hex'), b.out.toISOString(), typeof b.id], ['2.50', '0002', '2024-02-29T00:00:00.000Z', 'bigint']);
  assert.strictEqual((await db.book.updateMany({ where: { price: { gt: 2 } }, data: { price: { multiply: 2 } } })).count, 2);
  assert.strictEqual((await db.book.update({ where: { id: b.id }, data: { weight: 0.1, title: 'Second' } })).price.toFixed(2), '5.00');
  assert.strictEqual((await db.book.deleteMany({ where: { title: { endsWith: '1' } } })).count, 1);
  assert.deepStrictEqual(await db.book.createManyAndReturn({ data: [{ title: 'Many', authorId: ada.id }], select: { title: true }, skipDuplicates: true }), [{ title: 'Many' }]);
}

async function queries() {
  const found = await db.author.findMany({
    where: { books: { some: { title: { contains: 'SEC', mode: 'insensitive' } } }, tags: { has: 'x' }, mood: { in: ['glad'] } },
    select: { name: true, _count: { select: { books: true } }, books: { take: 1, skip: 1, orderBy: { title: 'asc' }, select: { title: true, topics: { take: 1 } } } },
    take: 5, orderBy: [{ name: 'asc' }],
  });
  assert.deepStrictEqual(found, [{ name: 'Ada', _count: { books: 3 }, books: [{ title: 'Many', topics: [] }] }]);
  assert.strictEqual(await db.author.count({ where: { books: { none: { title: 'nothing' } }, NOT: { email: null } } }), 1);
  const sums = await db.book.groupBy({ by: ['authorId'], _sum: { price: true }, _count: true, having: { price: { _sum: { gt: 1 } } }, orderBy: { authorId: 'asc' } });
  assert.deepStrictEqual([sums.length, sums[0]._count, sums[0]._sum.price.toFixed(2)], [1, 3, '12.00']);
  const all = await db.book.aggregate({ _avg: { price: true }, _min: { title: true }, _max: { out: true } });
  assert.deepStrictEqual([all._avg.price.toNumber(), all._min.title], [4, 'Book 3']);
  const paged = await db.book.findMany({ cursor: { key: (await db.book.findFirst({ orderBy: { id: 'asc' } })).key }, skip: 1, take: 2, orderBy: { id: 'asc' } });
  assert.strictEqual(paged.length, 2);
  assert.deepStrictEqual((await db.book.findMany({ distinct: ['authorId'] })).length, 1);
}

async function jsonPath() {
  assert.strictEqual(await db.author.count({ where: { meta: { path: ['a', '0'], equals: 1 } } }), 1);
}

async function raw() {
  assert.deepStrictEqual(await db.$queryRaw`SELECT ${1}::int AS n, ${'x'} AS s, ${new Date(0)}::timestamptz AS t, ${['a']}::text[] AS a, 1.50 AS d`, [{ n: 1, s: 'x', t: new Date(0), a: ['a'], d: new Prisma.Decimal('1.5') }]);
  assert.strictEqual(await db.$executeRaw`UPDATE "Author" SET meta = ${{ b: 1 }}::jsonb WHERE id IN (${Prisma.join([1, 2, 3])})`, 1);
}

async function upsert() {
  for (const name of ['Bob', 'Bert']) {
    await db.author.upsert({ where: { email: 'bob@example.test' }, create: { name, email: 'bob@example.test' }, update: { name } });
  }
  assert.strictEqual((await db.author.findUnique({ where: { email: 'bob@example.test' } })).name, 'Bert');
  const twin = await db.author.create({ data: { name: 'Twin', email: 'bob@example.test' } }).catch((e) => e);
  assert.deepStrictEqual([twin.code, JSON.stringify(twin.meta).includes('email')], ['P2002', true]);
  const orphan = await db.book.create({ data: { title: 'o', authorId: 4711 } }).catch((e) => e);
  assert.strictEqual(orphan.code, 'P2003');
  assert.strictEqual((await db.author.update({ where: { id: 4711 }, data: { name: 'n' } }).catch((e) => e)).code, 'P2025');
}

async function transactions() {
  const [n, made] = await db.$transaction([db.author.count(), db.author.create({ data: { name: 'Cy' } })]);
  assert.deepStrictEqual([n, made.name], [2, 'Cy']);
  await assert.rejects(db.$transaction(async (tx) => {
    await tx.author.create({ data: { name: 'Di' } });
    throw new Error('back');
  }), /back/);
  await db.$transaction(async (tx) => {
    await tx.author.update({ where: { id: made.id }, data: { mood: 'sad' } });
    await tx.author.delete({ where: { id: made.id } });
  }, { isolationLevel: 'Serializable' });
  assert.strictEqual(await db.author.count(), 2);
}

const change = (from, to) => schema.replace(from, to);
const columns = change('  tags  String[]', '  tags  String[]\n  age Int?\n  active Boolean @default(true)\n  score Int @default(0)');
const table = `${schema}\nmodel Publisher {\n  id Int @id @default(autoincrement())\n  name String\n}\n`;
const reference = table.replace('  name String\n}', '  name String\n  books Book[]\n}').replace('  topics   Topic[]', '  topics   Topic[]\n  publisher Publisher? @relation(fields: [publisherId], references: [id])\n  publisherId Int?');
const index = change('  @@index([mood])', '  @@index([mood])\n  @@index([name, made(sort: Desc)])');
const unique = change('  @@index([mood])', '  @@index([mood])\n  @@unique([name, mood])');
const label = change('  sad\n', '  sad\n  calm\n');
const wide = label.replace('VarChar(50)', 'VarChar(80)');

const made = 'create tables';
run([
  [made, migrate(made, undefined, schema)],
  ['introspect', introspect, made],
  ['crud', crud, made],
  ['queries', queries, 'crud'],
  ['json path', jsonPath, 'crud'],
  ['raw', raw, 'crud'],
  ['upsert', upsert, 'crud'],
  ['transactions', transactions, 'upsert'],
  ['add columns', migrate('add columns', schema, columns), made],
  ['drop columns', migrate('drop columns', columns, schema), 'add columns'],
  ['add table', migrate('add table', schema, table), made],
  ['add foreign key', migrate('add foreign key', table, reference), 'add table'],
  ['drop foreign key', migrate('drop foreign key', reference, schema), 'add foreign key'],
  ['add index', migrate('add index', schema, index), made],
  ['drop index', migrate('drop index', index, schema), 'add index'],
  ['add unique', migrate('add unique', schema, unique), made],
  ['drop unique', migrate('drop unique', unique, schema), 'add unique'],
  ['add label', migrate('add label', schema, label), made],
  ['widen column', migrate('widen column', label, wide), 'add label'],
], (err) => err.meta && JSON.stringify(err.meta)).then(async (code) => { process.exitCode = code; await db.$disconnect(); });

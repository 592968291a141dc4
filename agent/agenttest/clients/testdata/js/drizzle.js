'use strict';

// The first hour of Drizzle: drizzle-kit makes migrations of schemas, drizzle-orm runs them.
const fs = require('fs');
const path = require('path');
const { Pool } = require('pg');
const { drizzle } = require('drizzle-orm/node-postgres');
const { migrate } = require('drizzle-orm/node-postgres/migrator');
const { eq, gt, sql, relations, count } = require('drizzle-orm');
const pg = require('drizzle-orm/pg-core');
const kit = require('drizzle-kit/api');
const { run, where, assert } = require('./steps');

const mood = pg.pgEnum('mood', ['glad', 'sad']);
const publishers = pg.pgTable('publishers', { id: pg.serial('id').primaryKey(), name: pg.text('name').notNull() });

// tables makes the schema as it is after some of the changes.
function tables(...changes) {
  const has = (name) => changes.includes(name);
  const authors = pg.pgTable('authors', {
    id: pg.serial('id').primaryKey(),
    [has('rename') ? 'fullName' : 'name']: pg.varchar(has('rename') ? 'full_name' : 'name', { length: has('widen') ? 80 : 50 }).notNull(),
    email: pg.text('email').unique(),
    mood: mood('mood').default('glad'),
    meta: pg.jsonb('meta').default({}),
    tags: pg.text('tags').array(),
    made: pg.timestamp('made', { withTimezone: true }).defaultNow().notNull(),
    ...(has('columns') ? { age: pg.integer('age'), active: pg.boolean('active').notNull().default(true) } : {}),
  }, (t) => [
    pg.index('authors_mood').on(t.mood),
    ...(has('index') ? [pg.index('authors_made').on(t.made)] : []),
    ...(has('unique') ? [pg.unique('authors_mail').on(t.email, t.mood)] : []),
  ]);
  const books = pg.pgTable('books', {
    id: pg.bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    authorId: pg.integer('author_id').notNull().references(() => authors.id, { onDelete: 'cascade' }),
    title: pg.text('title').notNull(),
    price: pg.numeric('price', { precision: 10, scale: 2 }).default('0'),
    out: pg.date('out'),
    ...(has('reference') ? { publisherId: pg.integer('publisher_id').references(() => publishers.id) } : {}),
  }, (t) => [
    pg.unique('one_title').on(t.authorId, t.title),
    pg.check('price_positive', sql`${t.price} >= 0`),
    pg.uniqueIndex('books_title').on(sql`lower(${t.title})`),
  ]);
  return { mood, authors, books, ...(has('table') || has('reference') ? { publishers } : {}) };
}

const first = tables();
const links = {
  authorLinks: relations(first.authors, ({ many }) => ({ books: many(first.books) })),
  bookLinks: relations(first.books, ({ one }) => ({ author: one(first.authors, { fields: [first.books.authorId], references: [first.authors.id] }) })),
};
let last = '';
const pool = new Pool({ ...where, max: 3 });
const db = drizzle(pool, { schema: { ...first, ...links } });
const folder = path.join(__dirname, 'drizzle-migrations');
const journal = { version: '7', dialect: 'postgresql', entries: [] };

// generate writes the migration between two schemas, as drizzle-kit does.
async function generate(name, from, to) {
  const statements = await kit.generateMigration(kit.generateDrizzleJson(from), kit.generateDrizzleJson(to));
  assert.ok(statements.length > 0);
  const idx = journal.entries.length;
  journal.entries.push({ idx, version: '7', when: Date.now() + idx, tag: name, breakpoints: true });
  fs.mkdirSync(path.join(folder, 'meta'), { recursive: true });
  fs.writeFileSync(path.join(folder, `${name}.sql`), statements.join('\n--> statement-breakpoint\n'));
  fs.writeFileSync(path.join(folder, 'meta', '_journal.json'), JSON.stringify(journal));
}

// step migrates between two schemas; a migration that fails is not tried again.
const step = (name, from, to) => async () => {
  await generate(name.replace(/ /g, '_'), from, to);
  try {
    await migrate(db, { migrationsFolder: folder });
  } catch (err) {
    journal.entries.pop();
    throw err;
  }
};

async function crud() {
  const { authors, books } = first;
  const [ada] = await db.insert(authors).values({ name: 'Ada', email: 'ada@example.test', meta: { a: 1 }, tags: ['x', 'y z'] }).returning();
  assert.deepStrictEqual([ada.mood, ada.tags], ['glad', ['x', 'y z']]);
  await db.insert(books).values([1, 2, 3].map((n) => ({ authorId: ada.id, title: `Book ${n}`, price: `${n}` })));
  await db.update(books).set({ price: sql`${books.price} * 2` }).where(gt(books.price, '2'));
  await db.delete(books).where(eq(books.title, 'Book 1'));
  const found = await db.select({ name: authors.name, n: count(books.id) }).from(authors).leftJoin(books, eq(books.authorId, authors.id)).groupBy(authors.name);
  assert.deepStrictEqual(found, [{ name: 'Ada', n: 2 }]);
}

async function related() {
  const found = await db.query.authors.findMany({ with: { books: { orderBy: (b, { desc }) => [desc(b.price)], limit: 1 } } });
  assert.deepStrictEqual(found.map((a) => a.books.map((b) => b.title)), [['Book 3']]);
  const nested = await db.query.authors.findMany({
    limit: 5, columns: { name: true }, orderBy: (a, { asc }) => asc(a.name),
    with: { books: { limit: 1, offset: 1, orderBy: (b, { desc }) => [desc(b.price)], with: { author: { columns: { id: true }, with: { books: { limit: 2, orderBy: (b, { asc }) => [asc(b.title)], columns: { title: true } } } } } } },
  });
  assert.deepStrictEqual(nested.map((a) => [a.name, a.books.map((b) => [b.title, b.author.books])]),
    [['Ada', [['Book 2', [{ title: 'Book 2' }, { title: 'Book 3' }]]]]]);
  const one = await db.query.books.findFirst({ where: (b, { eq: is }) => is(b.title, 'Book 2'), with: { author: { with: { books: { limit: 1 } } } } });
  assert.strictEqual(one.author.books.length, 1);
}

async function upsert() {
  const { authors } = first;
  for (const name of ['Bob', 'Bert']) {
    await db.insert(authors).values({ name, email: 'bob@example.test' }).onConflictDoUpdate({ target: authors.email, set: { name } });
  }
  assert.strictEqual((await db.select().from(authors).where(eq(authors.email, 'bob@example.test')))[0].name, 'Bert');
}

async function nested() {
  const { authors } = first;
  await db.transaction(async (outer) => {
    await outer.insert(authors).values({ name: 'Cy', email: 'cy@example.test' });
    await outer.transaction((inner) => inner.insert(authors).values({ name: 'Twin', email: 'cy@example.test' })).catch(() => {});
    assert.strictEqual((await outer.select().from(authors).where(eq(authors.name, 'Cy')).for('update')).length, 1);
  });
}

// push has drizzle-kit look at the database: nothing is to be done.
async function push() {
  const { statementsToExecute } = await kit.pushSchema({ ...first }, db, ['public']);
  assert.deepStrictEqual(statementsToExecute, []);
}

const made = 'create tables';
run([
  [made, step(made, {}, first)],
  ['the same again', () => migrate(db, { migrationsFolder: folder }), made],
  ['crud', crud, made],
  ['relations', related, 'crud'],
  ['upsert', upsert, made],
  ['savepoint', nested, made],
  ['push', push, made],
  ['add columns', step('add columns', first, tables('columns')), made],
  ['drop columns', step('drop columns', tables('columns'), first), 'add columns'],
  ['widen column', step('widen column', first, tables('widen')), made],
  ['add table', step('add table', first, tables('table')), made],
  ['add foreign key', step('add foreign key', tables('table'), tables('reference')), 'add table'],
  ['add index', step('add index', first, tables('index')), made],
  ['drop index', step('drop index', tables('index'), first), 'add index'],
  ['add unique', step('add unique', first, tables('unique')), made],
  ['drop tables', step('drop tables', first, {}), made],
], (err) => err.query || last).then((code) => { process.exitCode = code; return pool.end(); });

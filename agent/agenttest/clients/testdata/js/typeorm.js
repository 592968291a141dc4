'use strict';

// The first hour of TypeORM.
require('reflect-metadata');
const { run, where, assert } = require('./steps');
const { DataSource, EntitySchema, Table, TableColumn, TableForeignKey, TableIndex, TableUnique, MoreThan } = require('typeorm');

const Author = new EntitySchema({
  name: 'Author',
  tableName: 'authors',
  columns: {
    id: { type: Number, primary: true, generated: true },
    name: { type: 'varchar', length: 50 },
    email: { type: 'text', unique: true, nullable: true },
    meta: { type: 'jsonb', default: {} },
    mood: { type: 'enum', enum: ['glad', 'sad'], default: 'glad' },
    made: { type: 'timestamptz', createDate: true },
    version: { type: Number, version: true },
  },
  indices: [{ columns: ['name'] }],
  relations: { books: { type: 'one-to-many', target: 'Book', inverseSide: 'author' } },
});
const Book = new EntitySchema({
  name: 'Book',
  tableName: 'books',
  columns: {
    id: { type: 'bigint', primary: true, generated: 'identity' },
    title: { type: 'text' },
    price: { type: 'numeric', precision: 10, scale: 2, default: 0 },
    tags: { type: 'text', array: true, default: [] },
  },
  relations: { author: { type: 'many-to-one', target: 'Author', onDelete: 'CASCADE', nullable: false, inverseSide: 'books' } },
  uniques: [{ columns: ['author', 'title'] }],
  checks: [{ expression: 'price >= 0' }],
});

const db = new DataSource({
  type: 'postgres', host: where.host, port: where.port, username: where.user, password: where.password, database: where.database,
  ssl: where.ssl, entities: [Author, Book], migrations: [], logging: false, installExtensions: false,
});

// migrate runs one step as a migration does: in a transaction.
const migrate = (f) => async () => {
  const runner = db.createQueryRunner();
  try {
    await runner.startTransaction();
    await f(runner);
    await runner.commitTransaction();
  } catch (err) {
    await runner.rollbackTransaction();
    throw err;
  } finally {
    await runner.release();
  }
};

async function crud() {
  const authors = db.getRepository('Author');
  const ada = await authors.save({ name: 'Ada', email: 'ada@example.test', meta: { tags: ['x'] } });
  await db.getRepository('Book').save([1, 2, 3].map((n) => ({ title: `Book ${n}`, price: n, author: ada, tags: ['x', 'y'] })));
  ada.mood = 'sad';
  await authors.save(ada);
  await db.getRepository('Book').delete({ price: MoreThan(2) });
  const [found] = await authors.find({ where: { mood: 'sad' }, relations: { books: true } });
  assert.deepStrictEqual([found.books.length, found.version], [2, 2]);
  const counted = await authors.createQueryBuilder('a').leftJoin('a.books', 'b').select('a.name', 'name')
    .addSelect('count(b.id)', 'n').groupBy('a.name').getRawMany();
  assert.deepStrictEqual(counted, [{ name: 'Ada', n: '2' }]);
  assert.strictEqual((await authors.findAndCount({ take: 1, order: { id: 'DESC' }, relations: { books: true } }))[1], 1);
}

async function upsert() {
  for (const name of ['Bob', 'Bert']) {
    await db.getRepository('Author').upsert({ name, email: 'bob@example.test' }, ['email']);
  }
  assert.strictEqual((await db.getRepository('Author').findOneBy({ email: 'bob@example.test' })).name, 'Bert');
}

async function nested() {
  await db.transaction(async (outer) => {
    await outer.save('Author', { name: 'Cy', email: 'cy@example.test' });
    await outer.transaction((inner) => inner.insert('Author', { name: 'Twin', email: 'cy@example.test' })).catch(() => {});
    const locked = await outer.findOne('Author', { where: { name: 'Cy' }, lock: { mode: 'pessimistic_write' } });
    assert.ok(locked);
  });
}

async function introspect() {
  const runner = db.createQueryRunner();
  const table = await runner.getTable('books');
  await runner.release();
  assert.deepStrictEqual([table.columns.length, table.uniques.length, table.foreignKeys.length, table.checks.length], [5, 1, 1, 1]);
}

async function nothing() {
  const log = await db.driver.createSchemaBuilder().log();
  assert.deepStrictEqual(log.upQueries.map((q) => q.query), []);
}

run([
  ['connect', () => db.initialize()],
  ['create tables', () => db.synchronize(), 'connect'],
  ['crud', crud, 'create tables'],
  ['upsert', upsert, 'create tables'],
  ['savepoint', nested, 'create tables'],
  ['introspection', introspect, 'create tables'],
  ['nothing to change', nothing, 'create tables'],
  ['migrations', () => db.runMigrations(), 'connect'],
  ['add columns', migrate(async (q) => {
    await q.addColumn('authors', new TableColumn({ name: 'age', type: 'int', isNullable: true }));
    await q.addColumn('authors', new TableColumn({ name: 'active', type: 'boolean', default: true }));
  }), 'create tables'],
  ['add table', migrate(async (q) => {
    await q.createTable(new Table({ name: 'publishers', columns: [
      { name: 'id', type: 'int', isPrimary: true, isGenerated: true, generationStrategy: 'increment' },
      { name: 'token', type: 'uuid', default: 'gen_random_uuid()', isUnique: true },
    ] }), true);
  }), 'connect'],
  ['add foreign key', migrate(async (q) => {
    await q.addColumn('books', new TableColumn({ name: 'publisher_id', type: 'int', isNullable: true }));
    await q.createForeignKey('books', new TableForeignKey({ name: 'book_publisher', columnNames: ['publisher_id'], referencedTableName: 'publishers', referencedColumnNames: ['id'] }));
  }), 'create tables', 'add table'],
  ['add index', migrate((q) => q.createIndex('authors', new TableIndex({ name: 'author_made', columnNames: ['made'] }))), 'create tables'],
  ['add unique', migrate((q) => q.createUniqueConstraint('authors', new TableUnique({ name: 'name_email', columnNames: ['name', 'email'] }))),
    'create tables'],
  ['rename column', migrate((q) => q.renameColumn('authors', 'age', 'years')), 'add columns'],
  ['drop index', migrate((q) => q.dropIndex('authors', 'author_made')), 'add index'],
  ['drop foreign key', migrate((q) => q.dropForeignKey('books', 'book_publisher')), 'add foreign key'],
  ['drop column', migrate((q) => q.dropColumn('authors', 'active')), 'add columns'],
  ['drop tables', () => db.dropDatabase(), 'connect'],
], (err) => err.query).then((code) => { process.exitCode = code; return db.isInitialized && db.destroy(); });

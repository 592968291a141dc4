'use strict';

// The first hour of Knex.
const { run, where, assert } = require('./steps');

const migrations = {
  '1 tables': {
    async up(k) {
      await k.schema.createTable('authors', (t) => {
        t.increments();
        t.string('name', 50).notNullable().index();
        t.text('email').unique();
        t.enu('mood', ['glad', 'sad'], { useNative: true, enumName: 'mood' }).defaultTo('glad');
        t.jsonb('meta');
        t.uuid('token').defaultTo(k.fn.uuid());
        t.timestamps(true, true);
      });
      await k.schema.createTable('books', (t) => {
        t.bigIncrements('id');
        t.integer('author_id').unsigned().notNullable().references('id').inTable('authors').onDelete('CASCADE');
        t.string('title').notNullable();
        t.decimal('price', 10, 2).defaultTo(0).checkPositive();
        t.enu('kind', ['novel', 'poem']);
        t.date('out');
        t.unique(['author_id', 'title']);
        t.comment('what authors write');
      });
    },
    async down(k) {
      await k.schema.dropTable('books').dropTable('authors').raw('DROP TYPE mood');
    },
  },
  '2 columns': {
    async up(k) {
      await k.schema.alterTable('authors', (t) => {
        t.integer('age');
        t.boolean('active').notNullable().defaultTo(true);
      });
      await k.schema.alterTable('authors', (t) => t.renameColumn('age', 'years'));
    },
    async down(k) {
      await k.schema.alterTable('authors', (t) => t.dropColumns('years', 'active'));
    },
  },
  '3 alter': {
    up: (k) => k.schema.alterTable('authors', (t) => t.string('name', 80).notNullable().alter()),
    down: async () => {},
  },
  '4 index': {
    up: (k) => k.schema.alterTable('authors', (t) => t.index(['created_at'], 'authors_created')),
    down: (k) => k.schema.alterTable('authors', (t) => t.dropIndex([], 'authors_created')),
  },
  '5 unique': {
    up: (k) => k.schema.alterTable('authors', (t) => t.unique(['name', 'email'])),
    down: (k) => k.schema.alterTable('authors', (t) => t.dropUnique(['name', 'email'])),
  },
  '6 foreign key': {
    async up(k) {
      await k.schema.createTable('publishers', (t) => { t.increments(); t.string('name').notNullable(); });
      await k.schema.alterTable('books', (t) => t.integer('publisher_id').references('publishers.id').onDelete('SET NULL'));
    },
    async down(k) {
      await k.schema.alterTable('books', (t) => { t.dropForeign('publisher_id'); t.dropColumn('publisher_id'); });
      await k.schema.dropTable('publishers');
    },
  },
  '7 rename table': {
    up: (k) => k.schema.renameTable('books', 'volumes'),
    down: (k) => k.schema.renameTable('volumes', 'books'),
  },
};

const quiet = { warn() {}, error() {}, deprecate() {}, debug() {} };
const knex = require('knex')({ client: 'pg', connection: where, pool: { min: 0, max: 3 }, log: quiet });

// only makes a source of one migration: each is a step, whatever became of the one before.
const only = (names) => ({
  migrationSource: {
    getMigrations: async () => names,
    getMigrationName: (name) => name,
    getMigration: async (name) => migrations[name],
  },
  disableMigrationsListValidation: true,
});
const up = (name) => () => knex.migrate.latest(only([name]));
const down = (name) => () => knex.migrate.down(only([name]));

async function crud() {
  const [ada] = await knex('authors').insert({ name: 'Ada', email: 'ada@example.test', meta: { tags: ['x'] } }).returning('*');
  assert.strictEqual(ada.mood, 'glad');
  await knex('books').insert([1, 2, 3].map((n) => ({ author_id: ada.id, title: `Book ${n}`, price: n, kind: 'poem' })));
  await knex('books').where('price', '>', 2).update({ price: knex.raw('price * 2') });
  await knex('books').where({ title: 'Book 1' }).del();
  const found = await knex('authors').join('books', 'authors.id', 'books.author_id').select('authors.name')
    .sum('price as total').groupBy('authors.name').whereRaw("meta->'tags'->>0 = ?", ['x']);
  assert.deepStrictEqual(found, [{ name: 'Ada', total: '8.00' }]);
  await assert.rejects(knex('books').insert({ author_id: ada.id, title: 'x', price: -1 }), { code: '23514' });
  await assert.rejects(knex('books').insert({ author_id: 999, title: 'x', price: 1 }), { code: '23503' });
}

async function upsert() {
  for (const name of ['Bob', 'Bert']) {
    await knex('authors').insert({ name, email: 'bob@example.test' }).onConflict('email').merge();
  }
  assert.strictEqual((await knex('authors').where({ email: 'bob@example.test' }).first()).name, 'Bert');
}

async function nested() {
  await knex.transaction(async (outer) => {
    await outer('authors').insert({ name: 'Cy', email: 'cy@example.test' });
    await outer.transaction((inner) => inner('authors').insert({ name: 'Twin', email: 'cy@example.test' })).catch(() => {});
    assert.strictEqual((await outer('authors').where({ name: 'Cy' }).forUpdate()).length, 1);
  });
}

async function introspect() {
  assert.strictEqual(await knex.schema.hasTable('authors'), true);
  assert.strictEqual(await knex.schema.hasColumn('authors', 'email'), true);
  assert.strictEqual((await knex('books').columnInfo()).title.type, 'character varying');
}

run([
  ['create tables', up('1 tables')],
  ['crud', crud, 'create tables'],
  ['upsert', upsert, 'create tables'],
  ['savepoint', nested, 'create tables'],
  ['introspection', introspect, 'create tables'],
  ['add columns', up('2 columns'), 'create tables'],
  ['alter column', up('3 alter'), 'create tables'],
  ['add index', up('4 index'), 'create tables'],
  ['add unique', up('5 unique'), 'create tables'],
  ['add foreign key', up('6 foreign key'), 'create tables'],
  ['rename table', up('7 rename table'), 'create tables'],
  ['rename table back', down('7 rename table'), 'rename table'],
  ['drop foreign key', down('6 foreign key'), 'add foreign key'],
  ['drop unique', down('5 unique'), 'add unique'],
  ['drop index', down('4 index'), 'add index'],
  ['drop columns', down('2 columns'), 'add columns'],
  ['truncate', () => knex('books').truncate(), 'create tables'],
  ['drop tables', down('1 tables'), 'create tables'],
], (err) => err.message.slice(0, err.message.lastIndexOf(' - '))).then((code) => { process.exitCode = code; return knex.destroy(); });

'use strict';

// The first hour of Sequelize.
const { run, where, assert } = require('./steps');
const { Sequelize, DataTypes, Op } = require('sequelize');

const sequelize = new Sequelize(where.database, where.user, where.password, {
  dialect: 'postgres', host: where.host, port: where.port, logging: false,
  dialectOptions: where.ssl ? { ssl: where.ssl } : {},
});
const query = sequelize.getQueryInterface();

const Author = sequelize.define('Author', {
  name: { type: DataTypes.STRING(50), allowNull: false },
  email: { type: DataTypes.STRING, unique: true },
  mood: { type: DataTypes.STRING, defaultValue: 'glad' },
  meta: DataTypes.JSONB,
  tags: DataTypes.ARRAY(DataTypes.STRING),
}, { indexes: [{ fields: ['name'] }] });
const Book = sequelize.define('Book', {
  id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true },
  title: { type: DataTypes.STRING, allowNull: false },
  price: { type: DataTypes.DECIMAL(10, 2), defaultValue: 0 },
}, { indexes: [{ unique: true, fields: ['AuthorId', 'title'] }], paranoid: true });
const tables = [Author, Book]; // in the order of what refers to what
const Mood = sequelize.define('Mood', { kind: { type: DataTypes.ENUM('glad', 'sad'), defaultValue: 'glad' } });
Author.hasMany(Book, { onDelete: 'CASCADE', foreignKey: { allowNull: false } });
Book.belongsTo(Author);

async function sync(options) {
  for (const t of tables) await t.sync(options);
}

async function enumeration() {
  await Mood.sync();
  await Mood.create({ kind: 'sad' });
  assert.strictEqual((await query.describeTable('Moods')).kind.special.length, 2);
  await query.dropTable('Moods', { ...sequelize.options });
}

async function dropTables() {
  for (const t of [...tables].reverse()) await query.dropTable(t.getTableName(), { ...sequelize.options });
}

async function crud() {
  const ada = await Author.create({ name: 'Ada', email: 'ada@example.test', meta: { a: { b: 1 } }, tags: ['x', 'y'] });
  await Book.bulkCreate([1, 2, 3].map((n) => ({ title: `Book ${n}`, price: n, AuthorId: ada.id })));
  await ada.update({ mood: 'sad' });
  await Book.destroy({ where: { price: { [Op.gt]: 2 } } });
  const found = await Author.findOne({ where: { 'meta.a.b': 1, tags: { [Op.contains]: ['x'] } }, include: Book });
  assert.deepStrictEqual([found.mood, found.Books.length], ['sad', 2]);
  const page = await Book.findAndCountAll({ limit: 1, order: [['price', 'DESC']] });
  assert.deepStrictEqual([page.count, page.rows[0].price], [2, '2.00']);
}

async function upsert() {
  await Author.upsert({ name: 'Bob', email: 'bob@example.test' });
  await Author.upsert({ name: 'Bert', email: 'bob@example.test' });
  assert.strictEqual((await Author.findOne({ where: { email: 'bob@example.test' } })).name, 'Bert');
}

async function findOrCreate() {
  for (const fresh of [true, false]) {
    const [, created] = await Author.findOrCreate({ where: { email: 'di@example.test' }, defaults: { name: 'Di' } });
    assert.strictEqual(created, fresh);
  }
}

async function nested() {
  await sequelize.transaction(async (outer) => {
    await Author.create({ name: 'Cy', email: 'cy@example.test' }, { transaction: outer });
    await sequelize.transaction({ transaction: outer }, (inner) =>
      Author.create({ name: 'Twin', email: 'cy@example.test' }, { transaction: inner })).catch(() => {});
    assert.ok(await Author.findOne({ where: { name: 'Cy' }, lock: true, transaction: outer }));
  });
}

async function introspect() {
  assert.deepStrictEqual((await query.showAllTables()).sort(), ['Authors', 'Books']);
  assert.strictEqual((await query.describeTable('Authors')).name.type, 'CHARACTER VARYING(50)');
  assert.strictEqual((await query.showIndex('Books')).length, 2);
  assert.strictEqual((await query.getForeignKeyReferencesForTable('Books')).length, 1);
}

run([
  ['connect', () => sequelize.authenticate()],
  ['create tables', () => sync(), 'connect'],
  ['enum', enumeration, 'connect'],
  ['the same again', () => sync(), 'create tables'],
  ['sync with alter', () => sync({ alter: true }), 'create tables'],
  ['crud', crud, 'create tables'],
  ['upsert', upsert, 'create tables'],
  ['findOrCreate', findOrCreate, 'create tables'],
  ['savepoint', nested, 'create tables'],
  ['introspection', introspect, 'create tables'],
  ['add column', () => query.addColumn('Authors', 'age', { type: DataTypes.INTEGER }), 'create tables'],
  ['add NOT NULL column', () => query.addColumn('Authors', 'active', { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: true }),
    'create tables'],
  ['add foreign key', () => query.addColumn('Books', 'editorId', { type: DataTypes.INTEGER, references: { model: 'Authors', key: 'id' } }),
    'create tables'],
  ['add index', () => query.addIndex('Authors', ['createdAt'], { name: 'authors_created' }), 'create tables'],
  ['add unique', () => query.addConstraint('Authors', { type: 'unique', fields: ['name', 'email'], name: 'name_email' }), 'create tables'],
  ['change column', () => query.changeColumn('Authors', 'name', { type: DataTypes.STRING(80), allowNull: true }), 'create tables'],
  ['rename column', () => query.renameColumn('Authors', 'age', 'years'), 'add column'],
  ['drop constraint', () => query.removeConstraint('Authors', 'name_email'), 'add unique'],
  ['drop index', () => query.removeIndex('Authors', 'authors_created'), 'add index'],
  ['drop column', () => query.removeColumn('Authors', 'active'), 'add NOT NULL column'],
  ['truncate', () => Book.truncate({ restartIdentity: true }), 'create tables'],
  ['drop tables', dropTables, 'create tables'],
], (err) => err.sql).then((code) => { process.exitCode = code; return sequelize.close(); });

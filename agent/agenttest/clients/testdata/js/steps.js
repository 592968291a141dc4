'use strict';

// Steps of a client: each is tried, says how it ended in one line, and does not
// stop the next, but for those that need it.
const fs = require('fs');
const assert = require('assert');

const failed = new Set();
const flat = (text) => String(text === undefined ? '' : text).split(/\s+/).join(' ').trim();

// run tries steps of [name, function, ...names of steps that it needs]. statement(error) tells which failed.
async function run(steps, statement) {
  for (const [name, f, ...needs] of steps) {
    if (needs.some((n) => failed.has(n))) {
      failed.add(name);
      console.log(`not tried\t${name}`);
      continue;
    }
    try {
      await f();
      console.log(`ok\t${name}`);
    } catch (err) {
      failed.add(name);
      const cause = err.parent || err.driverError || err.cause || err;
      const message = cause.code ? cause.message : cause.stack || cause;
      console.log(`fail\t${name}\t${flat(cause.code) || 'None'}\t${flat(message)}\t${flat(statement(err))}`);
    }
  }
  console.log('end');
  return failed.size > 0 ? 1 : 0;
}

const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLROOTCERT, PGSSLMODE } = process.env;
const where = {
  host: PGHOST, port: Number(PGPORT), user: PGUSER, password: PGPASSWORD, database: PGDATABASE,
  ssl: PGSSLMODE === 'verify-full' ? { ca: fs.readFileSync(PGSSLROOTCERT, 'utf8') } : false,
};
// node-postgres would read these once more, in its own way.
for (const name of ['PGSSLMODE', 'PGSSLROOTCERT']) delete process.env[name];

module.exports = { run, where, assert };

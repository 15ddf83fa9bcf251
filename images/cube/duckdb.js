// Cube's DuckDB driver, for marts that are published while Cube runs.
//
// Each application has one file that lists the data files of its marts: {"publication": 7, "marts": {"fct_orders": "select …"}}.
// A new publication replaces that file in one step, and never changes a data file. Before a query, the views of the marts
// are pointed to the data files of the latest publication, so a query sees all marts of one publication.
'use strict';

const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const ATTEMPTS = 4;
const MILLISECONDS = 500; // between two looks at the lists

// Cube sets these for its own connection only, and the views are made in another one.
const S3 = ['region', 'endpoint', 'access_key_id', 'secret_access_key', 'session_token', 'use_ssl', 'url_style'];

const text = (value) => `'${value.replaceAll("'", "''")}'`;
const name = (value) => `"${value.replaceAll('"', '""')}"`;

// lists: by namespace, the path or URI of its list.
module.exports = function driver(DuckDBDriver, lists = {}) {
  return new (class extends DuckDBDriver {
    #running = new Set();
    #known = {};
    #looked = 0;
    #looking = null;

    // The data files of an earlier publication are deleted some time after the next one, so this retries after a failure.
    async query(...args) {
      const running = this.#query(...args);
      this.#running.add(running);
      try {
        return await running;
      } finally {
        this.#running.delete(running);
      }
    }

    // Cube may build a rollup again before it knows that the first build has ended, so a table that exists is replaced.
    async #query(sql, ...args) {
      const idempotent = sql.replace(/^\s*CREATE TABLE /i, 'CREATE OR REPLACE TABLE ');
      for (let attempt = 1; ; attempt += 1) {
        await this.#point();
        try {
          return await super.query(idempotent, ...args);
        } catch (error) {
          if (attempt === ATTEMPTS) throw error;
          this.#looked = 0;
          await sleep(20 * attempt);
        }
      }
    }

    /** Points the views to the latest publication. Queries that start at the same time share one look. */
    async #point() {
      if (Date.now() - this.#looked < MILLISECONDS) return;
      this.#looking ??= this.#look().finally(() => {
        this.#looked = Date.now();
        this.#looking = null;
      });
      await this.#looking;
    }

    async #look() {
      for (const [namespace, list] of Object.entries(lists)) {
        let content;
        try {
          [{ content }] = await super.query(`SELECT content FROM read_text(${text(list)})`);
        } catch (error) {
          continue; // there is none before the first publication; a query says which mart is missing
        }
        if (content === this.#known[namespace]) continue;
        const views = Object.entries(JSON.parse(content).marts).map(
          ([mart, query]) => `CREATE OR REPLACE VIEW ${name(namespace)}.${name(mart)} AS ${query};`,
        );
        const { instance } = await this.getInitiatedState();
        const connection = await instance.connect(); // of its own, so that no other query is in the transaction
        try {
          await connection.run(`BEGIN; CREATE SCHEMA IF NOT EXISTS ${name(namespace)}; ${views.join(' ')} COMMIT;`);
          this.#known[namespace] = content;
        } finally {
          connection.closeSync();
        }
      }
    }

    // Cube releases the driver when it shuts down, also while its refresh worker queries. DuckDB crashes or hangs if it is
    // closed during a query, so wait for those that run. Cube itself exits after three seconds.
    async release() {
      await Promise.allSettled(this.#running);
      this.#known = {};
      return super.release();
    }
  })({
    // Use UTC for timestamps, independent of the machine's time zone. Write what does not fit in memory to the system's
    // temporary folder, since the working folder may be read-only.
    initSql: `
      SET GLOBAL TimeZone = 'UTC';
      SET temp_directory = ${text(path.join(os.tmpdir(), `cube-duckdb-${process.pid}`))};
      ${S3.map((setting) => [setting, process.env[`CUBEJS_DB_DUCKDB_S3_${setting.toUpperCase()}`]])
        .filter(([, value]) => value)
        .map(([setting, value]) => `SET GLOBAL s3_${setting} = ${text(value)};`)
        .join(' ')}
    `,
  });
};

// Cube's DuckDB driver, for marts whose files are replaced while Cube runs.
'use strict';

const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const ATTEMPTS = 4;

module.exports = function driver(DuckDBDriver) {
  return new (class extends DuckDBDriver {
    #running = new Set();

    // DuckDB opens a file when it plans a query and again when it runs it. If the mart is replaced in between, the query
    // fails with a message that depends on how the two files differ, so this retries after any failure.
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
        try {
          return await super.query(idempotent, ...args);
        } catch (error) {
          if (attempt === ATTEMPTS) throw error;
          await sleep(20 * attempt);
        }
      }
    }

    // Cube releases the driver when it shuts down, also while its refresh worker queries. DuckDB crashes or hangs if it is
    // closed during a query, so wait for those that run. Cube itself exits after three seconds.
    async release() {
      await Promise.allSettled(this.#running);
      return super.release();
    }
  })({
    // Use UTC for timestamps, independent of the machine's time zone. Cache nothing of a file between queries. Write what
    // does not fit in memory to the system's temporary folder, since the working folder may be read-only.
    initSql: `
      SET GLOBAL TimeZone = 'UTC';
      SET enable_external_file_cache = false;
      SET parquet_metadata_cache = false;
      SET temp_directory = '${path.join(os.tmpdir(), `cube-duckdb-${process.pid}`).replaceAll("'", "''")}';
    `,
  });
};

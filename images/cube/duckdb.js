// DuckDB over marts that are replaced while Cube runs.
'use strict';

const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const ATTEMPTS = 4;

module.exports = function driver(DuckDBDriver) {
  return new (class extends DuckDBDriver {
    // DuckDB opens a file when it plans a query and again when it runs it. A mart replaced in between fails the query,
    // in words that depend on where the bytes of the old and the new file differ; so any failure is tried again.
    async query(...args) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await super.query(...args);
        } catch (error) {
          if (attempt === ATTEMPTS) throw error;
          await sleep(20 * attempt);
        }
      }
    }
  })({
    // Timestamps are UTC, whatever zone the machine is in. Nothing of a file may be remembered from one query to the
    // next. What does not fit in memory goes to the system's temporary files: the working folder may be read-only.
    initSql: `
      SET GLOBAL TimeZone = 'UTC';
      SET enable_external_file_cache = false;
      SET parquet_metadata_cache = false;
      SET temp_directory = '${path.join(os.tmpdir(), `cube-duckdb-${process.pid}`).replaceAll("'", "''")}';
    `,
  });
};

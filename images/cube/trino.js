// Cube's Trino driver, for marts that are published while Cube runs.
//
// A run commits its marts one after the other. Then one commit to the table `publications` names the snapshots that belong
// together. A model writes a mart as CATALOG.NAMESPACE.MART FOR VERSION AS OF 'publication'. Before a query, this is replaced
// by the snapshot that the latest publication names, so a query sees all marts of one publication.
'use strict';

const CLAUSE = "FOR VERSION AS OF 'publication'";
const MART = new RegExp(`(\\w+\\.)?(\\w+)\\.(\\w+) ${CLAUSE}`, 'g');
const ATTEMPTS = 2;
const MILLISECONDS = 1000; // between two looks at the publications

/** How a model writes a mart. `mart`: the value of FLOE_MART. */
module.exports.named = (mart) => `${mart} ${CLAUSE}`;

module.exports.driver = function driver(TrinoDriver) {
  return new (class extends TrinoDriver {
    #looks = new Map(); // by table, when it was looked at and what it named

    // All queries of the driver come through here. Snapshots of an earlier publication are removed some time after the next
    // one, so this looks again if one is gone.
    async queryPromised(sql, streaming) {
      for (let attempt = 1; ; attempt += 1) {
        const query = await this.#pinned(sql);
        try {
          return await super.queryPromised(query, streaming);
        } catch (error) {
          if (query === sql || attempt === ATTEMPTS || !/snapshot/i.test(error.message)) throw error;
          this.#looks.clear();
        }
      }
    }

    async #pinned(sql) {
      const named = new Map();
      for (const [, catalog = '', namespace] of sql.matchAll(MART)) {
        const place = `${catalog}${namespace}`;
        if (!named.has(place)) named.set(place, await this.#published(place));
      }
      return sql.replace(MART, (_, catalog = '', namespace, mart) => {
        const snapshot = named.get(`${catalog}${namespace}`)[mart];
        // Before the first publication there is none; a query says which mart is missing.
        return `${catalog}${namespace}.${mart}${snapshot ? ` FOR VERSION AS OF ${snapshot}` : ''}`;
      });
    }

    /** The snapshot of each mart in the latest publication. Queries that start at the same time share one look. */
    async #published(place) {
      const last = this.#looks.get(place);
      if (last && Date.now() - last.at < MILLISECONDS) return last.marts;
      const marts = this.#look(place);
      this.#looks.set(place, { at: Date.now(), marts });
      marts.catch(() => this.#looks.delete(place));
      return marts;
    }

    async #look(place) {
      try {
        // Trino reads the JSON, because the numbers of snapshots are too large for those of JavaScript.
        const [row] = await super.queryPromised(
          `SELECT CAST(json_extract(one.summary['floe.publication'], '$.marts') AS map(varchar, varchar)) AS marts
           FROM ${place}."publications$snapshots" AS one
           JOIN ${place}."publications$refs" AS main ON main.snapshot_id = one.snapshot_id
           WHERE main.name = 'main'`,
          false,
        );
        return row?.marts ?? {};
      } catch (error) {
        if (/does not exist/.test(error.message)) return {};
        throw error;
      }
    }
  })();
};

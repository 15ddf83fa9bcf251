// A stand-in for the Rust addon of @cubejs-backend/native, for tests and the demo on machines that cannot download the
// addon. It shapes rows into answers and renders the model's Jinja. Cube's SQL API, Python models, Cube Store and the
// newer query planner live in the addon alone. Production images never carry this file: see images/cube/install.sh.
'use strict';

const { isMainThread } = require('node:worker_threads');
const nunjucks = require('nunjucks');

if (isMainThread) {
  process.stderr.write('cube: a stand-in replaces the Rust addon of @cubejs-backend/native (no SQL API)\n');
}

const GRANULARITIES = ['second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year'];
const TIMESTAMP = /^(\d{4,}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d+))? ?(?:Z|UTC|[+-]\d\d:?\d\d)?$/;

/** A value as the API shows it: numbers as strings, times in milliseconds and without their zone. */
function shown(value, type) {
  if (typeof value === 'number') return String(value);
  const time = type === 'time' && typeof value === 'string' && TIMESTAMP.exec(value);
  return time ? `${time[1]}T${time[2]}.${(time[3] ?? '').padEnd(3, '0').slice(0, 3)}` : (value ?? null);
}

/** Output columns, [member, values] in the order of the query's columns. */
function outputColumns({ aliasToMemberNameMap, annotation, query, queryType }, raw) {
  if (queryType && queryType !== 'regularQuery') throw new Error(`the addon's stand-in has no ${queryType}`);
  const { members: aliases, columns } = JSON.parse(Buffer.from(raw).toString());
  const requested = [...(query.measures ?? []), ...(query.dimensions ?? [])].filter((name) => typeof name === 'string');
  const members = aliases.length ? aliases.map((alias) => aliasToMemberNameMap[alias]) : requested;
  for (const member of members) {
    if (!annotation[member]) {
      throw new Error(`You requested hidden member: '${member}'. Please make it visible using \`public: true\`.`);
    }
  }
  if (!aliases.length) return [];
  const output = members.map((member, i) => [member, columns[i].map((value) => shown(value, annotation[member].type))]);
  // A time dimension also shows without its granularity, by the finest one that was asked for.
  const finest = new Map();
  for (const [member, values] of output) {
    const [cube, dimension, granularity, ...more] = member.split('.');
    const plain = `${cube}.${dimension}`;
    if (!granularity || more.length || query.dimensions?.includes(plain)) continue;
    const known = GRANULARITIES.indexOf(granularity);
    const level = known < 0 ? GRANULARITIES.length : known;
    if (!finest.has(plain) || level <= finest.get(plain).level) finest.set(plain, { level, values });
  }
  return [...output, ...[...finest].map(([member, { values }]) => [member, values])];
}

function result(request, raw, envelope) {
  const output = outputColumns(request, raw);
  const members = output.map(([member]) => member);
  const columns = output.map(([, values]) => values);
  const rows = () => (columns[0] ?? []).map((_, row) => columns.map((values) => values[row]));
  const shapes = {
    columnar: () => ({ members, columns }),
    compact: () => ({ members, dataset: rows() }),
    default: () => rows().map((row) => Object.fromEntries(row.map((value, i) => [members[i], value]))),
  };
  const present = Object.entries(envelope).filter(([, value]) => value !== null && value !== undefined);
  return { ...Object.fromEntries(present), data: shapes[request.resType ?? 'default']() };
}

const encoded = (answer) => new TextEncoder().encode(JSON.stringify(answer)).buffer;

// The addon's Jinja writes every value as JSON unless it went through the `safe` filter.
nunjucks.runtime.suppressValue = (value) =>
  value instanceof nunjucks.runtime.SafeString ? value.toString() : JSON.stringify(value ?? null);

function envVar(name, fallback) {
  const value = process.env[name] ?? fallback;
  if (value === undefined || typeof value === 'object') throw new Error(`unknown env variable ${name}`);
  return value;
}

function newJinjaEngine() {
  const templates = new Map();
  const loader = { getSource: (name) => ({ src: templates.get(name), path: name, noCache: true }) };
  const engine = new nunjucks.Environment(loader, { autoescape: true }).addGlobal('env_var', envVar);
  return {
    loadTemplate: (name, content) => void templates.set(name, content),
    renderTemplate: async (name, context, python) => engine.render(name, { COMPILE_CONTEXT: context, ...python }),
  };
}

const ABSENT = [
  'buildSqlAndParams', 'execSql', 'getCubestoreResult', 'parseCubestoreResultMessage', 'pythonLoadConfig',
  'pythonLoadModel', 'registerInterface', 'rest4sql', 'shutdownInterface', 'sql4sql', 'transpileJs', 'transpileYaml',
];

function absent(name) {
  return () => {
    throw new Error(`${name} is in the Rust addon of @cubejs-backend/native, which this machine could not download`);
  };
}

module.exports = {
  ...Object.fromEntries(ABSENT.map((name) => [name, absent(name)])),
  setupLogger() {},
  resetLogger() {},
  isFallbackBuild: () => true,
  redactSqlLiterals: (sql) => sql.replace(/'(?:[^']|'')*'/g, "'redacted'"),
  newJinjaEngine,
  getFinalQueryResult: async (request, raw, envelope) => encoded(result(request, raw, envelope)),
  getFinalQueryResultMulti: async (requests, raws, { results, ...envelope }) =>
    encoded({
      ...envelope,
      results: results.map((each, i) => result(requests[i], raws[i], each)),
      pivotQuery: { ...results[0].query, queryType: envelope.queryType },
    }),
};

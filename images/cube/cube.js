// Cube's configuration, the same in the production image and in the embedded demo. All settings are environment variables.
// FLOE_CUBE_PACKAGES names the folder with node_modules, if that is not the folder of this file.
'use strict';

const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');

const duckdb = require('./duckdb.js');
const trino = require('./trino.js');

const { env } = process;

// Defaults for Cube's own settings, where Cube's default does not fit. A variable that is already set keeps its value.
env.CUBEJS_TELEMETRY ??= 'false';
// The tests use this planner on every machine, so production uses it too.
env.CUBEJS_TESSERACT_SQL_PLANNER ??= 'false';
// Cube Store holds cache and queue if there is one; otherwise Cube keeps them in memory.
if (!env.CUBEJS_CUBESTORE_HOST) {
  env.CUBEJS_CACHE_AND_QUEUE_DRIVER ??= 'memory';
  env.CUBEJS_EXTERNAL_DEFAULT ??= 'false';
}
// Seconds after which a cached answer counts as old; the model files use it too. It limits how late new rows appear.
env.FLOE_CUBE_REFRESH ??= '30';

function refuse(sentence) {
  process.stderr.write(`cube: ${sentence}\n`);
  process.exit(2);
}

const WHAT = {
  FLOE_CUBE_MODEL: 'the absolute path of the folder with the data model',
  FLOE_MART: 'how a mart is named in SQL, such as iceberg.{namespace}.{mart}',
  FLOE_MARTS: 'the folder or s3:// prefix with the lists of the published marts, the path of marts in platform.yaml',
  CUBEJS_DB_TYPE: 'the engine that holds the marts, duckdb or trino',
  CUBEJS_API_SECRET: 'the secret that the tokens of API clients are signed with',
};

function required(name) {
  return env[name] || refuse(`${name} is not set: ${WHAT[name]}.`);
}

const model = required('FLOE_CUBE_MODEL');
if (!path.isAbsolute(model) || !fs.statSync(model, { throwIfNoEntry: false })?.isDirectory()) {
  refuse(`FLOE_CUBE_MODEL=${model} is not the absolute path of a folder.`);
}
const database = required('CUBEJS_DB_TYPE');
// With DuckDB a mart is a view, which duckdb.js points to the files of the latest publication.
const marts = database === 'duckdb' && required('FLOE_MARTS');
if (marts) env.FLOE_MART = '{namespace}.{mart}';
const mart = required('FLOE_MART');
for (const [placeholder, what] of [['{namespace}', "the app's marts_namespace"], ['{mart}', 'the name of the mart']]) {
  if (!mart.includes(placeholder)) refuse(`FLOE_MART=${mart} has no ${placeholder}, which stands for ${what}.`);
}
if (database === 'trino') env.FLOE_MART = trino.named(mart);
if (!env.CUBEJS_JWK_URL && !env.CUBEJS_API_SECRETS) {
  required('CUBEJS_API_SECRET');
}
const refresh = Number(env.FLOE_CUBE_REFRESH);
if (!Number.isInteger(refresh) || refresh < 1) {
  refuse(`FLOE_CUBE_REFRESH=${env.FLOE_CUBE_REFRESH} is not a whole number of seconds.`);
}

const packages = createRequire(path.join(env.FLOE_CUBE_PACKAGES ?? __dirname, 'package.json'));

/** Model files below a folder. Names with a leading dot are left out: a mounted ConfigMap keeps second copies there. */
function modelFiles(folder) {
  return fs
    .readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .map((name) => path.join(folder, name))
    .flatMap((file) => (fs.statSync(file).isDirectory() ? modelFiles(file) : [file]))
    .filter((file) => /\.ya?ml$/.test(file))
    .sort();
}

/** The list of each namespace that the model reads. */
function lists() {
  const namespaces = modelFiles(model).flatMap((file) =>
    [...fs.readFileSync(file, 'utf8').matchAll(/\{namespace\}['"]\s*,\s*['"](\w+)['"]/g)].map((found) => found[1]),
  );
  return Object.fromEntries(namespaces.map((namespace) => [namespace, `${marts}/${namespace}/marts.json`]));
}

/** The drivers of engines that hold marts which are published while Cube runs. */
const DRIVERS = {
  // DuckDB is in memory unless Cube's own variables say otherwise, so that Cube locks no file.
  duckdb: () => duckdb(packages('@cubejs-backend/duckdb-driver'), lists()),
  trino: () => trino.driver(packages('@cubejs-backend/trino-driver').TrinoDriver),
};

module.exports = {
  repositoryFactory: () => ({
    dataSchemaFiles: async () =>
      modelFiles(model).map((file) => ({
        fileName: path.relative(model, file),
        content: fs.readFileSync(file, 'utf8'),
      })),
  }),
  scheduledRefreshTimer: /^(true|1)$/i.test(env.CUBEJS_REFRESH_WORKER ?? '') && refresh,
  gracefulShutdown: Number(env.CUBEJS_GRACEFUL_SHUTDOWN ?? 10),
  ...(DRIVERS[database] && { driverFactory: DRIVERS[database] }),
};

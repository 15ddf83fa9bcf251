// Starts Cube: node start.js [FOLDER], the folder that holds its node_modules (by default, this one).
'use strict';

const net = require('node:net');
const path = require('node:path');
const { createRequire } = require('node:module');

// Anything else turns on development mode, which opens a playground and writes files.
process.env.NODE_ENV = 'production';

const home = path.resolve(process.argv[2] ?? __dirname);
process.env.FLOE_CUBE_PACKAGES = home;
const config = require('./cube.js');

// Cube takes settings from an .env file where it is started; from here on that is a folder without one.
process.chdir(home);
const { CubejsServer } = createRequire(path.join(home, 'package.json'))('@cubejs-backend/server');

async function main() {
  const server = new CubejsServer(config);
  const { listen } = net.Server.prototype;
  // Cube listens on every address of the machine and has no setting for less.
  net.Server.prototype.listen = function listenOn(port) {
    this.once('error', (error) => {
      process.stderr.write(`cube: cannot listen on port ${port}: ${error.message}\n`);
      process.exit(1);
    });
    return listen.call(this, port, process.env.FLOE_CUBE_HOST, () => console.log(`Cube listens on port ${port}`));
  };
  await server.listen();
  net.Server.prototype.listen = listen;
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, async () => process.exit(await server.shutdown(signal, true)));
  }
}

main().catch((error) => {
  process.stderr.write(`cube: ${error.message}\n`);
  process.exit(1);
});

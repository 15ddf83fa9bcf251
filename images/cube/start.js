// Starts Cube: node start.js [FOLDER]. FOLDER holds its node_modules (default: the folder of this file).
'use strict';

const net = require('node:net');
const path = require('node:path');
const { createRequire } = require('node:module');

// Any other value turns on development mode, which serves a playground and writes files.
process.env.NODE_ENV = 'production';

const home = path.resolve(process.argv[2] ?? __dirname);
process.env.FLOE_CUBE_PACKAGES = home;
const config = require('./cube.js');

// Cube reads settings from an .env file in the working folder. Change to a folder without one.
process.chdir(home);
const { CubejsServer } = createRequire(path.join(home, 'package.json'))('@cubejs-backend/server');

async function main() {
  const server = new CubejsServer(config);
  const { listen } = net.Server.prototype;
  // Cube listens on every address and has no setting to restrict that, so set the address here.
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

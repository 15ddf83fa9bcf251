// The image's health check: succeeds if Cube answers on /livez.
'use strict';

const port = process.env.PORT ?? 4000;
fetch(`http://127.0.0.1:${port}/livez`, { signal: AbortSignal.timeout(5000) }).then(
  (reply) => process.exit(reply.ok ? 0 : 1),
  () => process.exit(1),
);

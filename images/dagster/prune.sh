#!/bin/sh
# Takes from an environment what no process of the image reads: prune.sh VENV
set -eu
cd "$1"/lib/python3*/site-packages

# Tests, headers and sources of extension modules.
find . -type d \( -name tests -o -name test -o -name include \) -path '*/numpy/*' -prune -exec rm -rf {} +
rm -rf pyarrow/include pyarrow/src pyarrow/tests pandas/tests networkx/*/tests networkx/*/*/tests
find . -type f \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.a' -o -name '*.js.map' -o -name '*.css.map' \) -delete

# Arrow's network protocol, which nothing here speaks.
rm -f pyarrow/libarrow_flight* pyarrow/libarrow_python_flight* pyarrow/_flight*

# Languages: dbt's tables format numbers the English way, and the generator makes up names of one country.
# Providers of Faker that do not know that country speak another English by default.
find babel/locale-data -type f ! -name 'en*' ! -name 'root*' -delete
find faker/providers -mindepth 2 -type d -name '??_*' ! -name 'en_*' -prune -exec rm -rf {} +

# A catalog that platform.yaml has no kind for.
rm -rf hive_metastore

# What debuggers read.
find . -type f -name '*.so' ! -path '*.libs/*' -exec strip --strip-debug {} +

# Descriptions of the services of AWS: storage and the ways to log in to it are what is used.
find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -rf {} +

# BigQuery's adapter calls one API of Vertex AI; its client library brings the others, and their previews.
rm -rf google/cloud/aiplatform google/cloud/aiplatform_v1beta1 google/genai vertexai agentplatform

# Bytecode of what is left, which no timestamp makes stale.
python=$1/bin/python
"$python" -m compileall -q -j 0 --invalidation-mode unchecked-hash . || true # templates that are no Python

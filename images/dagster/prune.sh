#!/bin/sh
# Removes files that no process of the image reads from a virtual environment: prune.sh VENV
set -eu
cd "$1"/lib/python3*/site-packages

# Tests, headers and sources of extension modules.
find . -type d \( -name tests -o -name test -o -name include \) -path '*/numpy/*' -prune -exec rm -rf {} +
rm -rf pyarrow/include pyarrow/src pyarrow/tests pandas/tests networkx/*/tests networkx/*/*/tests
find . -type f \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.a' -o -name '*.js.map' -o -name '*.css.map' \) -delete

# Arrow Flight, a network protocol that nothing here uses.
rm -f pyarrow/libarrow_flight* pyarrow/libarrow_python_flight* pyarrow/_flight*

# Languages: dbt formats numbers in tables as in English. The generator draws names and cities of the countries in
# floe_synthetic.ecommerce.REGIONS. Providers of Faker without a country fall back to another English locale.
find babel/locale-data -type f ! -name 'en*' ! -name 'root*' -delete
find faker/providers -mindepth 2 -type d -name '??_*' ! -name 'en_*' \
  ! -path '*/person/de_DE' ! -path '*/person/fr_FR' ! -path '*/person/nl_NL' ! -path '*/person/es_ES' \
  ! -path '*/person/it_IT' ! -path '*/person/pl_PL' ! -path '*/person/sv_SE' \
  ! -path '*/address/de_DE' ! -path '*/address/fr_FR' ! -path '*/address/nl_NL' ! -path '*/address/es_ES' \
  ! -path '*/address/it_IT' ! -path '*/address/pl_PL' ! -path '*/address/sv_SE' -prune -exec rm -rf {} +

# The client of the Hive metastore, a catalog that platform.yaml does not support.
rm -rf hive_metastore

# Debug symbols.
find . -type f -name '*.so' ! -path '*.libs/*' -exec strip --strip-debug {} +

# Descriptions of AWS services, except for S3 and the services to log in to it.
find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -rf {} +

# Vertex AI: BigQuery's adapter uses one of its APIs, but its client library includes all others and their previews.
rm -rf google/cloud/aiplatform google/cloud/aiplatform_v1beta1 google/genai vertexai agentplatform

# Compile the remaining files to bytecode that stays valid whatever the files' timestamps are.
python=$1/bin/python
"$python" -m compileall -q -j 0 --invalidation-mode unchecked-hash . || true # some .py files are templates, not Python

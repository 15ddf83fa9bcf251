{{- /* What Cube is told: itself, Cube Store, and the one data source that is supported here. */}}
{{- define "standin.cube-env" -}}
{{- $config := .Values.config }}
{{- if ne (keys .Values.datasources | sortAlpha | join " ") "default" }}
{{- fail "this stand-in knows the data source `default` alone" }}
{{- end }}
{{- $database := .Values.datasources.default }}
{{- $plain := dict
  "PORT" $config.apiPort
  "CUBEJS_LOG_LEVEL" $config.logLevel
  "CUBEJS_TELEMETRY" (toString $config.telemetry)
  "CUBEJS_PG_SQL_PORT" $config.pgSqlPort
  "CUBEJS_SQL_USER" $config.sqlUser
  "CUBEJS_CUBESTORE_HOST" .Values.cubestore.host
  "CUBEJS_CUBESTORE_PORT" .Values.cubestore.port
  "CUBEJS_DB_TYPE" (required "datasources.default.type" $database.type)
  "CUBEJS_DB_HOST" $database.host
  "CUBEJS_DB_PORT" $database.port
  "CUBEJS_DB_USER" $database.user
  "CUBEJS_DB_SSL" (($database.ssl).enabled | default "" | toString)
}}
{{- if eq $database.type "trino" }}
{{- $_ := set $plain "CUBEJS_DB_PRESTO_CATALOG" ($database.trino).catalog }}
{{- else if eq $database.type "duckdb" }}
{{- range $name, $key := dict "ENDPOINT" "endpoint" "REGION" "region" "USE_SSL" "useSSL" "URL_STYLE" "URLStyle" }}
{{- $_ := set $plain (print "CUBEJS_DB_DUCKDB_S3_" $name) (get (($database.duckdb).s3 | default dict) $key) }}
{{- end }}
{{- else }}
{{- fail (print "this stand-in knows no data source of the type " $database.type) }}
{{- end }}
{{- include "standin.env" (dict "plain" $plain "secret" (dict
  "CUBEJS_API_SECRET" $config.apiSecretFromSecret
  "CUBEJS_SQL_PASSWORD" $config.sqlPasswordFromSecret
  "CUBEJS_DB_PASS" $database.passFromSecret
)) }}
{{- end }}

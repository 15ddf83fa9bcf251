{{- /* Metadata of an object. Arguments: root, name, component. */}}
{{- define "standin.metadata" -}}
metadata:
  name: {{ .name }}
  annotations:
    floe-runtime.io/stand-in-chart: {{ .root.Chart.Name }}
  labels:
    {{- include "standin.selector" . | nindent 4 }}
    app.kubernetes.io/managed-by: {{ .root.Release.Service }}
    app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- end }}

{{- define "standin.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- /* Environment variables of the one data source that is supported here. */}}
{{- define "standin.database" -}}
{{- $s3 := (.duckdb).s3 | default dict }}
{{- $plain := dict
  "CUBEJS_DB_TYPE" .type
  "CUBEJS_DB_HOST" .host
  "CUBEJS_DB_PORT" .port
  "CUBEJS_DB_SSL" (.ssl).enabled
  "CUBEJS_DB_PRESTO_CATALOG" (.trino).catalog
  "CUBEJS_DB_DUCKDB_S3_ENDPOINT" $s3.endpoint
  "CUBEJS_DB_DUCKDB_S3_USE_SSL" $s3.useSSL
  "CUBEJS_DB_DUCKDB_S3_URL_STYLE" $s3.URLStyle
}}
{{- range $name, $value := $plain }}
{{- if $value }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- with .passFromSecret }}
- name: CUBEJS_DB_PASS
  valueFrom:
    secretKeyRef: {{ toJson . }}
{{- end }}
{{- end }}

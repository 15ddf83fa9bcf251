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

{{- /* Environment variables of both roles: where partitions are kept, and who the workers are. */}}
{{- define "standin.env" -}}
{{- $aws := .Values.cloudStorage.aws }}
{{- $minio := .Values.cloudStorage.minio }}
{{- $addresses := list }}
{{- range until (int .Values.workers.workersCount) }}
{{- $addresses = append $addresses (printf "%s-workers-%d.%s-headless:%v" $.Release.Name . $.Release.Name $.Values.workers.port) }}
{{- end }}
{{- $plain := dict
  "CUBESTORE_LOG_LEVEL" .Values.config.logLevel
  "CUBESTORE_TELEMETRY" (toString .Values.config.telemetry)
  "CUBESTORE_DATA_DIR" "/cube/.cubestore/data"
  "CUBESTORE_WORKERS" (join "," $addresses)
  "CUBESTORE_S3_BUCKET" $aws.bucket
  "CUBESTORE_S3_REGION" $aws.region
  "CUBESTORE_S3_SUB_PATH" $aws.subPath
  "CUBESTORE_MINIO_BUCKET" $minio.bucket
  "CUBESTORE_MINIO_SUB_PATH" $minio.subPath
  "CUBESTORE_MINIO_SERVER_ENDPOINT" $minio.endpoint
}}
{{- $secret := dict
  "CUBESTORE_AWS_ACCESS_KEY_ID" $aws.accessKeyIDFromSecret
  "CUBESTORE_AWS_SECRET_ACCESS_KEY" $aws.secretKeyFromSecret
  "CUBESTORE_MINIO_SECRET_ACCESS_KEY" $minio.secretKeyFromSecret
}}
{{- range $name, $value := $plain }}
{{- if $value }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- range $name, $reference := $secret }}
{{- if $reference }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {{ toJson $reference }}
{{- end }}
{{- end }}
{{- end }}

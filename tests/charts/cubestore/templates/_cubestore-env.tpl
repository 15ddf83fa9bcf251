{{- /* What both roles are told: where partitions are kept, and who the workers are. */}}
{{- define "standin.cubestore-env" -}}
{{- if .Values.exporter.enabled }}
{{- fail "this stand-in has no exporter" }}
{{- end }}
{{- $aws := .Values.cloudStorage.aws }}
{{- $minio := .Values.cloudStorage.minio }}
{{- if not (or $aws.bucket $minio.bucket) }}
{{- fail "this stand-in keeps partitions in a bucket alone: cloudStorage.aws.bucket or cloudStorage.minio.bucket" }}
{{- end }}
{{- $addresses := list }}
{{- range until (int .Values.workers.workersCount) }}
{{- $addresses = append $addresses (printf "%s-workers-%d.%s-headless:%v" (include "standin.fullname" $) . (include "standin.fullname" $) $.Values.workers.port) }}
{{- end }}
{{- include "standin.env" (dict
  "plain" (dict
    "CUBESTORE_LOG_LEVEL" .Values.config.logLevel
    "CUBESTORE_TELEMETRY" (toString .Values.config.telemetry)
    "CUBESTORE_DATA_DIR" "/cube/.cubestore/data"
    "CUBESTORE_WORKERS" (join "," $addresses)
    "CUBESTORE_S3_BUCKET" $aws.bucket
    "CUBESTORE_S3_REGION" $aws.region
    "CUBESTORE_S3_SUB_PATH" $aws.subPath
    "CUBESTORE_MINIO_BUCKET" $minio.bucket
    "CUBESTORE_MINIO_REGION" $minio.region
    "CUBESTORE_MINIO_SUB_PATH" $minio.subPath
    "CUBESTORE_MINIO_SERVER_ENDPOINT" $minio.endpoint
  )
  "secret" (dict
    "CUBESTORE_AWS_ACCESS_KEY_ID" $aws.accessKeyIDFromSecret
    "CUBESTORE_AWS_SECRET_ACCESS_KEY" $aws.secretKeyFromSecret
    "CUBESTORE_MINIO_SECRET_ACCESS_KEY" $minio.secretKeyFromSecret
  )
) }}
{{- end }}

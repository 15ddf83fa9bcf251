{{- /* Metadata of an object. Arguments: root, name, part (dagster or dagster-user-deployments), labels. */}}
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
app.kubernetes.io/name: {{ .part }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "standin.postgres" -}}
postgres_db:
  hostname: {{ .postgresqlHost | quote }}
  port: {{ .service.port }}
  db_name: {{ .postgresqlDatabase }}
  username: {{ .postgresqlUsername }}
  password: {env: DAGSTER_PG_PASSWORD}
  params: {{ toJson .postgresqlParams }}
{{- end }}

{{- define "standin.pg-password" -}}
- name: DAGSTER_PG_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .Values.global.postgresqlSecretName }}
      key: postgresql-password
{{- end }}

{{- define "standin.user-deployments" -}}
{{ .Release.Name }}-dagster-user-deployments
{{- end }}

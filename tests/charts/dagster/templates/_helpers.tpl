{{- /* How most objects' names begin: as upstream, after the release. */}}
{{- define "standin-dagster.fullname" -}}
{{ .Release.Name }}{{ if not (contains "dagster" .Release.Name) }}-dagster{{ end }}
{{- end }}

{{- /* Metadata of an object. Arguments: root, name, part (dagster or dagster-user-deployments), labels. */}}
{{- define "standin-dagster.metadata" -}}
metadata:
  name: {{ .name }}
  annotations:
    floe-runtime.io/stand-in-chart: {{ .root.Chart.Name }}
  labels:
    {{- include "standin-dagster.selector" . | nindent 4 }}
    app.kubernetes.io/managed-by: {{ .root.Release.Service }}
    app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
    helm.sh/chart: {{ .part }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "standin-dagster.selector" -}}
app.kubernetes.io/name: {{ .part }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* The same, for ConfigMaps and roles, which upstream labels in an older fashion. */}}
{{- define "standin-dagster.plain-metadata" -}}
metadata:
  name: {{ .name }}
  annotations:
    floe-runtime.io/stand-in-chart: {{ .root.Chart.Name }}
  labels:
    app: {{ .part }}
    chart: {{ .part }}-{{ .root.Chart.Version }}
    release: {{ .root.Release.Name }}
    heritage: {{ .root.Release.Service }}
{{- end }}

{{- define "standin-dagster.image" -}}
{{- .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end }}

{{- define "standin-dagster.pg-password" -}}
- name: DAGSTER_PG_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .Values.global.postgresqlSecretName }}
      key: postgresql-password
{{- end }}

{{- /* ConfigMaps and Secrets whose every key is a variable. Arguments: own (names of ConfigMaps), values. */}}
{{- define "standin-dagster.env-from" -}}
{{- range .own }}
- configMapRef:
    name: {{ . }}
{{- end }}
{{- range .values.envConfigMaps }}
- configMapRef: {{ toJson . }}
{{- end }}
{{- range .values.envSecrets }}
- secretRef: {{ toJson . }}
{{- end }}
{{- end }}

{{- define "standin-dagster.user-deployments" -}}
{{ .Release.Name }}{{ if not (contains "dagster-user-deployments" .Release.Name) }}-dagster-user-deployments{{ end }}
{{- end }}

{{- /* Refuses what would change what is rendered in ways that this chart does not follow. */}}
{{- define "standin-dagster.refuse" -}}
{{- $users := index .Values "dagster-user-deployments" }}
{{- if ne .Values.runLauncher.type "K8sRunLauncher" }}
{{- fail "this stand-in knows the K8sRunLauncher alone" }}
{{- else if .Values.generatePostgresqlPasswordSecret }}
{{- fail "this stand-in renders no Secret: generatePostgresqlPasswordSecret" }}
{{- else if or .Values.postgresql.enabled .Values.rabbitmq.enabled .Values.redis.enabled .Values.flower.enabled }}
{{- fail "this stand-in brings no servers of its own: postgresql, rabbitmq, redis, flower" }}
{{- else if or .Values.global.celeryConfigSecretName $users.celeryConfigSecretName }}
{{- fail "this stand-in knows no Celery: celeryConfigSecretName" }}
{{- else if $users.rbacEnabled }}
{{- fail "this stand-in gives no permission to code locations: dagster-user-deployments.rbacEnabled" }}
{{- end }}
{{- range $users.deployments }}
{{- if (.includeConfigInLaunchedRuns | default (dict "enabled" true)).enabled }}
{{- fail (print "this stand-in does not hand a code location's configuration to its runs: " .name) }}
{{- end }}
{{- end }}
{{- end }}

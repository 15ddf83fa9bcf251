{{- /* dagster.yaml: what Dagster's instance is made of. */}}
{{- define "standin-dagster.dagster-yaml" -}}
scheduler:
  module: dagster.core.scheduler
  class: DagsterDaemonScheduler
{{- range $storage, $class := dict "run" "run_storage PostgresRunStorage" "event_log" "event_log PostgresEventLogStorage" "schedule" "schedule_storage PostgresScheduleStorage" }}
{{ $storage }}_storage:
  module: dagster_postgres.{{ splitList " " $class | first }}
  class: {{ splitList " " $class | last }}
  config:
    postgres_db:
      {{- with $.Values.postgresql }}
      hostname: {{ .postgresqlHost | quote }}
      port: {{ .service.port }}
      db_name: {{ .postgresqlDatabase }}
      username: {{ .postgresqlUsername }}
      password: {env: DAGSTER_PG_PASSWORD}
      params: {{ toJson .postgresqlParams }}
      {{- with .postgresqlScheme }}
      scheme: {{ . }}
      {{- end }}
      {{- end }}
{{- end }}
run_launcher:
  module: dagster_k8s
  class: {{ .Values.runLauncher.type }}
  config:
    load_incluster_config: true
    job_namespace: {{ .Release.Namespace }}
    service_account_name: {{ .Values.global.serviceAccountName | default (include "standin-dagster.fullname" .) }}
    instance_config_map: {{ include "standin-dagster.fullname" . }}-instance
    dagster_home: {{ .Values.global.dagsterHome }}
    postgres_password_secret: {{ .Values.global.postgresqlSecretName }}
    {{- with .Values.runLauncher.config.k8sRunLauncher }}
    image_pull_policy: {{ .imagePullPolicy }}
    {{- range $key, $sources := dict "env_config_maps" .envConfigMaps "env_secrets" .envSecrets }}
    {{- if $sources }}
    {{ $key }}:
      {{- range $sources }}
      - {{ .name }}
      {{- end }}
    {{- end }}
    {{- end }}
    {{- range $key, $value := dict "env_vars" .envVars "labels" .labels "volumes" .volumes "volume_mounts" .volumeMounts "resources" .resources "security_context" .securityContext }}
    {{- if $value }}
    {{ $key }}: {{ toJson $value }}
    {{- end }}
    {{- end }}
    {{- with .runK8sConfig }}
    run_k8s_config:
      {{- range $key, $value := . }}
      {{ snakecase $key }}: {{ toJson $value }}
      {{- end }}
    {{- end }}
    {{- end }}
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config:
    dequeue_use_threads: true
    dequeue_num_workers: 4
{{- with .Values.concurrency }}
{{- if .enabled }}
concurrency:
  {{- range $part, $settings := pick . "runs" "pools" }}
  {{ $part }}:
    {{- range $key, $value := $settings }}
    {{ snakecase $key }}: {{ toJson $value }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}
compute_logs:
  module: dagster.core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
{{- range $key := list "runMonitoring" "runRetries" }}
{{- $settings := get $.Values.dagsterDaemon $key }}
{{- if $settings.enabled }}
{{ snakecase $key }}:
  {{- range $name, $value := $settings }}
  {{ snakecase $name }}: {{ toJson $value }}
  {{- end }}
{{- end }}
{{- end }}
{{- range list "sensors" "schedules" }}
{{ . }}:
  use_threads: true
  num_workers: 4
{{- end }}
telemetry:
  enabled: {{ .Values.telemetry.enabled }}
{{- if .Values.retention.enabled }}
retention:
  {{- range $key, $value := omit .Values.retention "enabled" }}
  {{ snakecase $key }}:
    purge_after_days: {{ toJson $value.purgeAfterDays }}
  {{- end }}
{{- end }}
{{- with .Values.additionalInstanceConfig }}
{{ toYaml . }}
{{- end }}
{{- end }}

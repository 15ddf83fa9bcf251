{{- /* Name of the ConfigMap that holds CompiledArtifacts.json. It changes with the content, so that pods are replaced. */}}
{{- define "floe-dagster.artifacts" -}}
{{- with .Values.floe.compiledArtifacts }}
{{- if .existingConfigMap }}
{{- .existingConfigMap }}
{{- else }}
{{- include "floe.hashed" (dict "name" "floe-compiled-artifacts" "data" (dict "CompiledArtifacts.json" .value)) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "floe-dagster.check-artifacts" -}}
{{- $floe := .Values.floe }}
{{- $value := printf "%sfloe.compiledArtifacts" (include "floe.prefix" .) }}
{{- $how := printf "--set-file %s.value=overlays/%s/compiled/CompiledArtifacts.json" $value $floe.environment }}
{{- if $floe.compiledArtifacts.existingConfigMap }}
{{- else if not $floe.compiledArtifacts.value }}
{{- fail (printf "floe-dagster: no CompiledArtifacts: %s, or --set %s.existingConfigMap=NAME" $how $value) }}
{{- else }}
{{- $artifacts := fromJson $floe.compiledArtifacts.value }}
{{- if hasKey $artifacts "Error" }}
{{- fail (printf "floe-dagster: floe.compiledArtifacts.value is not JSON: give the file that floe compile wrote, with %s" $how) }}
{{- else if ne (int $artifacts.version) 1 }}
{{- fail (printf "floe-dagster: floe.compiledArtifacts.value is of version %v, and this release reads version 1: compile it with this release's floe compile" $artifacts.version) }}
{{- else if ne $artifacts.environment $floe.environment }}
{{- fail (printf "floe-dagster: floe.compiledArtifacts.value is compiled for %v, but floe.environment is %s: give overlays/%s/compiled/CompiledArtifacts.json" $artifacts.environment $floe.environment $floe.environment) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* One environment variable, followed by a comma, for each reference to a Secret. Argument: CompiledArtifacts' platform. */}}
{{- define "floe-dagster.references" -}}
{{- if kindIs "map" . }}
{{- if and .env .secret }}
{"name": {{ toJson .env }}, "valueFrom": {"secretKeyRef": {"name": {{ toJson .secret }}, "key": {{ toJson (.key | default .env) }}}}},
{{- else }}
{{- range $_, $part := . }}{{ include "floe-dagster.references" $part }}{{ end }}
{{- end }}
{{- end }}
{{- end }}

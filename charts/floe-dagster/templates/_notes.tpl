{{- define "floe-dagster.notes" -}}
{{- include "floe.stand-ins" . }}
Dagster's page, once the pods of {{ .Release.Namespace }} are Running (kubectl get pods -n {{ .Release.Namespace }} -w):
{{- if .Values.floe.authProxy.enabled }}
  https://{{ .Values.floe.authProxy.host }}, behind a login, or without one from here:
{{- end }}
  kubectl port-forward -n {{ .Release.Namespace }} service/{{ .Release.Name }}-webserver 3000:3000    # then http://127.0.0.1:3000

These Secrets must be in the namespace, with these keys. A pod whose Secret is missing waits as CreateContainerConfigError.
{{- include "floe.secrets" . }}

Pod Security: every pod of Dagster meets `restricted`. With the post-renderer of charts/post-renderer, code locations get
their cheap probes and no token, and pods end without losing a request.

CompiledArtifacts: {{ .Values.floe.compiledArtifacts.existingConfigMap | default "given by value" }}; another content replaces the pods that read it.
An upgrade leaves runs alone: each is a Job of its own, which Dagster launched. While pods are replaced, Dagster's API may
refuse for a moment.

What an uninstall leaves: Secrets, runs that have not ended and those that ended less than an hour ago (Jobs, deleted by
themselves), all that is outside (database, object store, catalog), and pods of helm test:
  kubectl delete pod -n {{ .Release.Namespace }} -l app.kubernetes.io/name=floe-test
{{- end }}

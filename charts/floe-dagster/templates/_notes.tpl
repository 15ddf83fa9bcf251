{{- define "floe-dagster.notes" -}}
{{- include "floe.stand-ins" . }}
Dagster's web page, once the pods of {{ .Release.Namespace }} are Running (kubectl get pods -n {{ .Release.Namespace }} -w):
{{- if .Values.floe.authProxy.enabled }}
  https://{{ .Values.floe.authProxy.host }}, with a login, or from here without a login:
{{- end }}
  kubectl port-forward -n {{ .Release.Namespace }} service/{{ .Release.Name }}-webserver 3000:3000    # then open http://127.0.0.1:3000

These Secrets must be in the namespace, with these keys. A pod whose Secret is missing waits as CreateContainerConfigError.
{{- include "floe.secrets" . }}

Pod Security: every pod of Dagster meets `restricted`. With the post-renderer in charts/post-renderer, code locations also
get cheap probes and mount no token, and pods stop without losing a request.

CompiledArtifacts: {{ .Values.floe.compiledArtifacts.existingConfigMap | default "from floe.compiledArtifacts.value" }}; new content replaces the pods that read it.
An upgrade does not affect runs: each is a separate Job that Dagster launched. While pods are replaced, Dagster's API may
refuse connections for a moment.

An uninstall does not delete Secrets, Jobs of runs (they delete themselves an hour after the run has ended), nor anything
outside of the release (database, object store, catalog). To delete the pods of helm test:
  kubectl delete pod -n {{ .Release.Namespace }} -l app.kubernetes.io/name=floe-test
{{- end }}

{{- define "floe-cube.notes" -}}
{{- include "floe.stand-ins" . }}
Cube's REST and GraphQL APIs, once its pods are Running:
{{- if (.Values.cube.ingress).enabled }}
  https://{{ .Values.cube.ingress.hostname }}, or from here:
{{- end }}
  kubectl port-forward -n {{ .Release.Namespace }} service/cube 4000:4000    # then http://127.0.0.1:4000/cubejs-api/v1/meta
A token is a JWT signed with CUBEJS_API_SECRET of the Secret floe-cube.

These Secrets must be in the namespace, with these keys. A pod whose Secret is missing waits as CreateContainerConfigError.
{{- include "floe.secrets" . }}

Pod Security: plain Helm reaches `baseline` with Cube and Cube Store, whose charts know no more; with the post-renderer of
charts/post-renderer it is `restricted`. Label the namespace accordingly.

What an uninstall leaves: Secrets, and Cube Store's claims with their volumes:
  kubectl delete pvc -n {{ .Release.Namespace }} -l app.kubernetes.io/name=cubestore
and the pod of helm test:
  kubectl delete pod -n {{ .Release.Namespace }} -l app.kubernetes.io/name=floe-test
{{- end }}

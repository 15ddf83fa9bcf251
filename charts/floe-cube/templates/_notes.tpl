{{- define "floe-cube.notes" -}}
{{- include "floe.stand-ins" . }}
Cube's REST and GraphQL APIs, once its pods are Running:
{{- if (.Values.cube.ingress).enabled }}
  https://{{ .Values.cube.ingress.hostname }}, or from here:
{{- end }}
  kubectl port-forward -n {{ .Release.Namespace }} service/cube 4000:4000    # then open http://127.0.0.1:4000/cubejs-api/v1/meta
Clients need a token: a JWT signed with CUBEJS_API_SECRET of the Secret floe-cube.

These Secrets must be in the namespace, with these keys. A pod whose Secret is missing waits as CreateContainerConfigError.
{{- include "floe.secrets" . }}

Pod Security: with plain Helm, Cube and Cube Store meet `baseline`, because their charts cannot set more. With the
post-renderer in charts/post-renderer they meet `restricted`. Label the namespace accordingly.

An uninstall does not delete Secrets, nor the volume claims of Cube Store. To delete the claims with their data:
  kubectl delete pvc -n {{ .Release.Namespace }} -l app.kubernetes.io/name=cubestore
To delete the pod of helm test:
  kubectl delete pod -n {{ .Release.Namespace }} -l app.kubernetes.io/name=floe-test
{{- end }}

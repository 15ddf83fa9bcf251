{{- /* How the objects' names begin: as upstream, after the release, where nothing else is given. */}}
{{- define "standin.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name }}
{{- .Release.Name }}
{{- else }}
{{- .Release.Name }}-{{ .Chart.Name }}
{{- end }}
{{- end }}

{{- /* Metadata of an object. Arguments: root, name; component where the object belongs to one. */}}
{{- define "standin.metadata" -}}
metadata:
  name: {{ .name }}
  annotations:
    floe-runtime.io/stand-in-chart: {{ .root.Chart.Name }}
  labels:
    {{- include "standin.selector" . | nindent 4 }}
    app.kubernetes.io/managed-by: {{ .root.Release.Service }}
    app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
    helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "standin.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- /* Environment variables. Arguments: plain and secret, each a map from name to value or reference; empty ones are left out. */}}
{{- define "standin.env" -}}
{{- range $name, $value := .plain }}
{{- if $value }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- range $name, $reference := .secret }}
{{- if $reference }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {{ toJson $reference }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Templates that floe's charts share. Edit charts/_floe.tpl; `floe charts sync` copies it into each chart. */}}

{{- /* Name of the chart that is installed, which may be a parent of this one: the first folder in any template's path. */}}
{{- define "floe.installed" -}}
{{- splitList "/" .Template.BasePath | first }}
{{- end }}

{{- /* Prefix of this chart's values on Helm's command line: empty, or the chart's name if it is a dependency. */}}
{{- define "floe.prefix" -}}
{{- if not .Chart.IsRoot }}{{ .Chart.Name }}.{{ end }}
{{- end }}

{{- /* For NOTES: warns of each upstream chart that is a stand-in of the tests. */}}
{{- define "floe.stand-ins" -}}
{{- range $name, $part := .Subcharts }}
{{- if index $part.Chart.Annotations "floe-runtime.io/stand-in" }}
NOT TO DEPLOY: {{ $name }} is a small stand-in, because the real chart could not be downloaded. Run `floe charts pull` where
its repository can be reached, or with FLOE_CHART_MIRROR, and install again.
{{ end }}
{{- end }}
{{- end }}

{{- /* Metadata of an object that floe adds. Arguments: root, name, and labels (optional). */}}
{{- define "floe.metadata" -}}
metadata:
  name: {{ quote .name }}
  annotations:
    floe-runtime.io/environment: {{ .root.Values.floe.environment | quote }}
  {{- with .labels }}
  labels: {{ toJson . }}
  {{- end }}
{{- end }}

{{- /* Name of a ConfigMap with the hash suffix that kustomize would add. Arguments: name, data. */}}
{{- define "floe.hashed" -}}
{{- $sum := dict "data" .data "kind" "ConfigMap" "name" "" | toJson | sha256sum | trunc 10 }}
{{- range $from, $to := dict "0" "g" "1" "h" "3" "k" "a" "m" "e" "t" }}
{{- $sum = $sum | replace $from $to }}
{{- end }}
{{- .name }}-{{ $sum }}
{{- end }}

{{- /* Objects that only this environment's overlay has, unchanged. */}}
{{- define "floe.objects" -}}
{{- range $path, $_ := .Files.Glob (printf "objects/%s/*.yaml" .Values.floe.environment) }}
---
{{ $.Files.Get $path }}
{{- end }}
{{- end }}

{{- /* Objects for the namespace as a whole. */}}
{{- define "floe.namespace" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
{{ include "floe.metadata" (dict "root" . "name" "default-deny") }}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
{{ include "floe.metadata" (dict "root" . "name" "dns") }}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
    - to:
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: kube-system
      ports:
        - {protocol: UDP, port: 53}
        - {protocol: TCP, port: 53}
{{- with .Values.floe.namespace.quota }}
---
apiVersion: v1
kind: ResourceQuota
{{ include "floe.metadata" (dict "root" $ "name" "floe") }}
spec:
  hard: {{ toJson . }}
{{- end }}
{{- end }}

{{- /* Checks that fail before anything is rendered. Arguments: root, marker (a PodDisruptionBudget of every release). */}}
{{- define "floe.checks" -}}
{{- $floe := .root.Values.floe }}
{{- $release := .root.Release }}
{{- $chart := .root.Chart.Name }}
{{- if not $floe.environment }}
{{- fail (printf "%s: name the environment: add --values charts/%s/values-dev.yaml, or another environment's file" $chart (include "floe.installed" .root)) }}
{{- end }}
{{- $there := lookup "policy/v1" "PodDisruptionBudget" $release.Namespace .marker }}
{{- if $there }}
{{- $owner := dig "metadata" "annotations" "meta.helm.sh/release-name" "" $there }}
{{- if not $owner }}
{{- fail (printf "%s: the namespace %s has floe already, and not by Helm: install into another with --namespace, or take that one away first" $chart $release.Namespace) }}
{{- else if ne $owner $release.Name }}
{{- fail (printf "%s: the namespace %s has floe already, by the release %s: helm upgrade %s, or install %s into another with --namespace" $chart $release.Namespace $owner $owner $release.Name) }}
{{- end }}
{{- end }}
{{- if and $floe.checkSecrets (lookup "v1" "Namespace" "" $release.Namespace) }}
{{- $missing := list }}
{{- range $name, $keys := $floe.secrets }}
{{- $secret := lookup "v1" "Secret" $release.Namespace $name }}
{{- range $key := $keys }}
{{- if not (hasKey (($secret).data | default dict) $key) }}
{{- $missing = append $missing (printf "%s (key %s)" $name $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- if $missing }}
{{- fail (printf "%s: the namespace %s lacks Secrets that pods would wait for: %s. Make them (docs/10-helm.md, Secrets), or set floe.checkSecrets=false%s where somebody makes them later" $chart $release.Namespace (join ", " $missing) (.root.Chart.IsRoot | ternary "" (print " below " $chart))) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* For NOTES: the Secrets of a release, with their keys. */}}
{{- define "floe.secrets" -}}
{{- range $name, $keys := .Values.floe.secrets }}
  {{ $name }}: {{ join ", " $keys }}
{{- end }}
{{- end }}

{{- /* A pod of `helm test`. Arguments: root, name, image, command; optional: env, artifacts (name of the ConfigMap). */}}
{{- define "floe.test" -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ printf "%s-test-%s" .root.Release.Name .name | quote }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation # keeps the pod, and so its log, after the test
    floe-runtime.io/environment: {{ .root.Values.floe.environment | quote }}
  labels:
    app.kubernetes.io/name: floe-test
    floe-runtime.io/cube-client: "true"
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  activeDeadlineSeconds: 300
  securityContext: {runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: test
      image: {{ printf "%s:%s" .image.repository .image.tag | quote }}
      imagePullPolicy: IfNotPresent
      command: {{ toJson .command }}
      {{- with .env }}
      env: {{ toJson . }}
      {{- end }}
      securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
      resources:
        requests: {cpu: 50m, memory: 128Mi}
        limits: {cpu: "1", memory: 1Gi}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- with .artifacts }}
        - {name: compiled-artifacts, mountPath: /etc/floe, readOnly: true}
        {{- end }}
  volumes:
    - {name: tmp, emptyDir: {sizeLimit: 64Mi}}
    {{- with .artifacts }}
    - {name: compiled-artifacts, configMap: {name: {{ quote . }}}}
    {{- end }}
{{- end }}

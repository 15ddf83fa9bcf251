{{- /* Kubernetes refuses to change a StatefulSet's volume claims, but only in the middle of an upgrade: check before. */}}
{{- define "floe-cube.check-claims" -}}
{{- range $part := list "router" "workers" }}
{{- $there := lookup "apps/v1" "StatefulSet" $.Release.Namespace (printf "cubestore-%s" $part) }}
{{- range (dig "spec" "volumeClaimTemplates" list $there) }}
{{- $size := .spec.resources.requests.storage }}
{{- $wanted := dig $part "persistence" "size" "" $.Values.cubestore }}
{{- if and $wanted (ne $size $wanted) }}
{{- fail (printf "floe-cube: cubestore.%s.persistence.size is %s, but the claims are of %s, and Kubernetes changes no claims of a StatefulSet: enlarge each with kubectl patch pvc, then kubectl delete statefulset cubestore-%s --cascade=orphan -n %s, and upgrade again" $part $wanted $size $part $.Release.Namespace) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

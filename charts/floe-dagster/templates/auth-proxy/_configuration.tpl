{{- /* oauth2-proxy's settings as JSON. */}}
{{- define "floe-dagster.auth-proxy" -}}
{{- $upstream := printf "http://%s-webserver:3000" .Release.Name }}
{{- merge (dict "OAUTH2_PROXY_UPSTREAMS" $upstream) .Values.floe.authProxy.settings | toJson }}
{{- end }}

{{- define "floe-dagster.auth-proxy-name" -}}
{{- include "floe.hashed" (dict "name" "auth-proxy" "data" (include "floe-dagster.auth-proxy" . | fromJson)) }}
{{- end }}

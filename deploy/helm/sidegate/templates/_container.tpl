{{- /* The variables of the API server: what the chart has to know, it sets. */ -}}
{{- define "sidegate.env" -}}
- name: SIDEGATE_CONFIG
  value: /etc/sidegate/sidegate.yaml
# Off: decisions are the sidecars'.
- name: SIDEGATE_CHECK_LISTEN
  value: ""
- name: SIDEGATE_API_LISTEN
  value: ":7071"
- name: SIDEGATE_OPS_LISTEN
  value: ":7072"
- name: SIDEGATE_LOG_LEVEL
  value: {{ .Values.log.level }}
- name: SIDEGATE_LOG_FORMAT
  value: {{ .Values.log.format }}
- name: SIDEGATE_POSTGRES_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "sidegate.secretName" . }}
      key: postgres-url
- name: SIDEGATE_API_TOKENS
  valueFrom:
    secretKeyRef:
      name: {{ include "sidegate.secretName" . }}
      key: api-tokens
{{- if .Values.tls.enabled }}
# The files are read again when the Secret changes.
- name: SIDEGATE_API_TLS_CERT_FILE
  value: /etc/sidegate-tls/tls.crt
- name: SIDEGATE_API_TLS_KEY_FILE
  value: /etc/sidegate-tls/tls.key
{{- end }}
# Endpoints hear of the end no sooner than the pod does: it serves on until nobody
# is sent here any more.
- name: SIDEGATE_SHUTDOWN_DELAY
  value: 5s
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "sidegate.probes" -}}
startupProbe:
  httpGet:
    path: /startupz
    port: sidegate-ops
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 300
readinessProbe:
  httpGet:
    path: /readyz
    port: sidegate-ops
  periodSeconds: 5
  timeoutSeconds: 2
  failureThreshold: 3
# Never touches Postgres: a restart would not bring that back.
livenessProbe:
  httpGet:
    path: /livez
    port: sidegate-ops
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}

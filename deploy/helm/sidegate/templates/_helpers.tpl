{{- define "sidegate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Every object's name. A release that is called sidegate gives sidegate, not sidegate-sidegate. */ -}}
{{- define "sidegate.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "sidegate.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "sidegate.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "sidegate.selectorLabels" -}}
app.kubernetes.io/name: {{ include "sidegate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: api
{{- end }}

{{- define "sidegate.labels" -}}
{{ include "sidegate.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "sidegate.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end }}
{{- end }}

{{- define "sidegate.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "sidegate.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "sidegate.secretName" -}}
{{- if .Values.secret.create }}{{ include "sidegate.fullname" . }}{{ else }}{{ .Values.secret.name }}{{ end }}
{{- end }}

{{- define "sidegate.configMapName" -}}
{{- default (include "sidegate.fullname" .) .Values.existingConfigMap }}
{{- end }}

{{- define "sidegate.containerSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- /* What no schema can say: values that do not go together. Every template of a workload includes it. */ -}}
{{- define "sidegate.check" -}}
{{- with .Values.secret }}
{{- if and .create (not .postgresURL) }}
{{- fail "secret.create makes a Secret, and secret.postgresURL is empty: set it, or leave secret.create off and name a Secret of yours in secret.name" }}
{{- end }}
{{- if and (not .create) (or .postgresURL .apiTokens) }}
{{- fail "secret.postgresURL and secret.apiTokens have no effect without secret.create: switch that on, or put them into the Secret that secret.name names" }}
{{- end }}
{{- end }}
{{- with .Values.autoscaling }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
{{- fail (printf "autoscaling.minReplicas is %d, more than autoscaling.maxReplicas, which is %d" (int .minReplicas) (int .maxReplicas)) }}
{{- end }}
{{- end }}
{{- if and .Values.tls.enabled (not .Values.tls.secretName) }}
{{- fail "tls.enabled needs tls.secretName: a Secret with the keys tls.crt and tls.key" }}
{{- end }}
{{- range tuple "check" "postgres" "ops" }}
{{- if hasKey $.Values.config . }}
{{- fail (printf "config.%s is set by the chart, not in config; see the values secret, service and tls" .) }}
{{- end }}
{{- end }}
{{- end }}

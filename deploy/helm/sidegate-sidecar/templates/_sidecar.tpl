{{- /*
Each template takes the values of this chart:

  include "sidegate.sidecar.container" .Values.sidegate

container           one entry of initContainers, or of containers with legacy
volumes             entries of volumes
volumeMounts        entries of volumeMounts of the container that asks
podSecurityContext  keys of the pod's securityContext
podLabels           by which the PodMonitor and the NetworkPolicy find the pod
*/ -}}

{{- define "sidegate.sidecar.podLabels" -}}
sidegate.github.io/role: sidecar
{{- end }}

{{- define "sidegate.sidecar.podSecurityContext" -}}
fsGroup: {{ .fsGroup }}
{{- end }}

{{- define "sidegate.sidecar.volumes" -}}
# In memory, so that a socket of an earlier pod never lies there.
- name: sidegate-socket
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
- name: sidegate-config
  configMap:
    name: {{ .configMap }}
{{- end }}

{{- define "sidegate.sidecar.volumeMounts" -}}
- name: sidegate-socket
  mountPath: /run/sidegate
{{- end }}

{{- define "sidegate.sidecar.container" -}}
- name: sidegate
  image: {{ .image.repository }}{{ if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag }}{{ end }}
  imagePullPolicy: {{ .image.pullPolicy }}
  {{- if not .legacy }}
  # With this, an init container is a sidecar.
  restartPolicy: Always
  {{- end }}
  args: [serve]
  env:
    - name: SIDEGATE_CONFIG
      value: /etc/sidegate/sidegate.yaml
    - name: SIDEGATE_CHECK_LISTEN
      value: unix:///run/sidegate/sidegate.sock?mode=0660
    # Off: a sidecar only answers decisions, and never writes.
    - name: SIDEGATE_API_LISTEN
      value: ""
    - name: SIDEGATE_OPS_LISTEN
      value: ":7072"
    - name: SIDEGATE_LOG_LEVEL
      value: {{ .log.level }}
    - name: SIDEGATE_LOG_FORMAT
      value: {{ .log.format }}
    {{- if .legacy }}
    # All containers get SIGTERM at once, so it answers on while the others end.
    - name: SIDEGATE_SHUTDOWN_DELAY
      value: {{ .shutdownDelay }}
    {{- end }}
    - name: SIDEGATE_POSTGRES_URL
      valueFrom:
        secretKeyRef:
          name: {{ .secret.name }}
          key: {{ .secret.key }}
    {{- with .extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - name: sidegate-ops
      containerPort: 7072
      protocol: TCP
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
  resources:
    {{- toYaml .resources | nindent 4 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    readOnlyRootFilesystem: true
    allowPrivilegeEscalation: false
    capabilities:
      drop: [ALL]
    seccompProfile:
      type: RuntimeDefault
  volumeMounts:
    - name: sidegate-socket
      mountPath: /run/sidegate
    - name: sidegate-config
      mountPath: /etc/sidegate
      readOnly: true
{{- end }}

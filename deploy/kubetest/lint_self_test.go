package kubetest

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestTheExampleIsClean, and so is what each base makes alone.
func TestTheExampleIsClean(t *testing.T) {
	for _, dir := range []string{"example", "api", "migrate"} {
		for _, wrong := range lint(render(t, filepath.Join(kustomizeRoot, dir))) {
			t.Errorf("%s: %s", dir, wrong)
		}
	}
}

// TestLintFinds breaks each rule once in the rendered example.
func TestLintFinds(t *testing.T) {
	text := string(build(t, filepath.Join(kustomizeRoot, "example")))
	for _, tc := range []struct{ name, right, wrong, says string }{
		{"selector", "  selector:\n    matchLabels:\n      app: chat", "  selector:\n    matchLabels:\n      app: chit", "its selector does not match"},
		{"label", "sidegate.github.io/role: sidecar", "sidegate.github.io/role: side car", "label sidegate.github.io/role"},
		{"volume twice", "name: sidegate-config\n", "name: sidegate-socket\n", "two volumes are called sidegate-socket"},
		{"mount", "- mountPath: /run/sidegate\n          name: sidegate-socket", "- mountPath: /run/sidegate\n          name: sockets", "mounts the volume sockets, which is not there"},
		{"config map", "kind: ConfigMap\nmetadata:\n  name: sidegate-", "kind: ConfigMap\nmetadata:\n  name: other-", "needs the ConfigMap sidegate-"},
		{"container name", "        name: chat\n        ports:", "        name: sidegate\n        ports:", "two containers are called sidegate"},
		{"port name", "name: sidegate-ops", "name: sidegate-listener-ops", "port \"sidegate-listener-ops\""},
		{"probe port", "            path: /startupz\n            port: sidegate-ops", "            path: /startupz\n            port: ops", "the startup probe asks port ops"},
		{"group", "fsGroup: 65532", "runAsGroup: 65532", "has no fsGroup"},
		{"variable twice", "name: SIDEGATE_LOG_FORMAT", "name: SIDEGATE_CONFIG", "SIDEGATE_CONFIG is set twice"},
		{"root", "runAsNonRoot: true\n          runAsUser: 65532", "runAsNonRoot: true\n          runAsUser: 0", "may run as root"},
		{"writable", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "may write to its image"},
		{"escalation", "allowPrivilegeEscalation: false\n          capabilities", "allowPrivilegeEscalation: true\n          capabilities", "may gain privileges"},
		{"capabilities", "- ALL", "- NET_RAW", "has capabilities"},
		{"seccomp", "type: RuntimeDefault", "type: Unconfined", "is not under seccomp"},
		{"no limit", "limits:\n            memory: 256Mi", "limits:\n            ephemeral-storage: 256Mi", "has no memory limit"},
		{"throttled", "limits:\n            memory: 256Mi", "limits:\n            cpu: 1\n            memory: 256Mi", "is throttled"},
		{"no request", "requests:\n            cpu: 100m", "requests:\n            ephemeral-storage: 1Mi", "requests no CPU"},
		{"no version", "ghcr.io/sidegate/sidegate:0.1.0", "ghcr.io/sidegate/sidegate", "without a version"},
		{"no probe", "        livenessProbe:\n          failureThreshold: 6\n          httpGet:\n            path: /livez\n            port: sidegate-ops\n          periodSeconds: 10\n          timeoutSeconds: 5\n", "", "has not all three probes"},
		{"ops port", "containerPort: 7072", "containerPort: 7073", `SIDEGATE_OPS_LISTEN is ":7072", and the port sidegate-ops is 7073`},
		{"service port", "targetPort: api", "targetPort: http", "v1/Service sidegate-api needs port http"},
		{"service selector", "  selector:\n    app.kubernetes.io/component: api", "  selector:\n    app.kubernetes.io/component: server", "v1/Service sidegate-api selects no pod"},
		{"scaling target", "    kind: Deployment\n    name: sidegate-api", "    kind: Deployment\n    name: sidegate", "its target Deployment sidegate is not there"},
		{"replicas", "  revisionHistoryLimit: 3", "  replicas: 2\n  revisionHistoryLimit: 3", "sets replicas too"},
		{"monitored port", "port: sidegate-ops\n    relabelings", "port: metrics\n    relabelings", "needs port metrics"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			broken := strings.ReplaceAll(text, tc.right, tc.wrong)
			if broken == text {
				t.Fatalf("the example does not hold %q", tc.right)
			}
			wrong := lint(mustDecode(t, tc.name, []byte(broken)))
			if !strings.Contains(strings.Join(wrong, "\n"), tc.says) {
				t.Errorf("found %q, want one that says %s", wrong, tc.says)
			}
		})
	}
}

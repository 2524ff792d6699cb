package kubetest

import (
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const helmRoot = "../helm"

// load reads a chart. A dependency of the form file://… is put where "helm
// dependency update" puts it, if it is the version that is asked for.
func load(t *testing.T, name string) *chart.Chart {
	t.Helper()
	dir := filepath.Join(helmRoot, name)
	c, err := loader.LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, d := range c.Metadata.Dependencies {
		path, local := strings.CutPrefix(d.Repository, "file://")
		if !local {
			t.Fatalf("%s depends on %s, which is not in this repository", name, d.Repository)
		}
		sub, err := loader.LoadDir(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		if sub.Metadata.Name != d.Name || !chartutil.IsCompatibleRange(d.Version, sub.Metadata.Version) {
			t.Fatalf("%s wants %s %s; there is %s %s", name, d.Name, d.Version, sub.Metadata.Name, sub.Metadata.Version)
		}
		c.AddDependency(sub)
	}
	return c
}

// template renders a chart as "helm template" does.
func template(t *testing.T, name string, values map[string]any) (files map[string]string, err error) {
	t.Helper()
	c := load(t, name)
	if err := chartutil.ProcessDependenciesWithMerge(c, values); err != nil {
		return nil, err
	}
	caps := chartutil.DefaultCapabilities.Copy()
	caps.KubeVersion = chartutil.KubeVersion{Version: "v1.32.0", Major: "1", Minor: "32"}
	if !chartutil.IsCompatibleRange(c.Metadata.KubeVersion, caps.KubeVersion.Version) {
		t.Fatalf("%s does not install on %s", name, caps.KubeVersion.Version)
	}
	release := chartutil.ReleaseOptions{Name: "blocks", Namespace: "chat", Revision: 1, IsInstall: true}
	rendered, err := chartutil.ToRenderValues(c, values, release, caps)
	if err != nil {
		return nil, err
	}
	return engine.Render(c, rendered)
}

// install renders a chart and decodes what results; notes are what Helm prints.
func install(t *testing.T, name string, values map[string]any) (list []object, notes string) {
	t.Helper()
	files, err := template(t, name, values)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if filepath.Base(path) == "NOTES.txt" {
			notes = files[path]
			continue
		}
		list = append(list, mustDecode(t, path, []byte(files[path]))...)
	}
	return list, notes
}

// valuesIn reads a file of values.
func valuesIn(t *testing.T, path string) map[string]any {
	t.Helper()
	values, err := chartutil.ReadValuesFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// parse reads values that are written down in a test.
func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	values := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(text), &values); err != nil {
		t.Fatal(err)
	}
	return values
}

// theirs are the ConfigMaps that the value sets say the user has.
var theirs = map[string]string{"blocks-config": `
ops:
  tokens: [{name: support, file: /etc/sidegate-staff/token, scopes: [staff]}]
apps:
  default: {}
`}

// TestChart renders the chart with the default values and each set that is kept in
// ci, decodes what comes out and asks the program about it.
func TestChart(t *testing.T) {
	sets, err := filepath.Glob(filepath.Join(helmRoot, "sidegate", "ci", "*-values.yaml"))
	if err != nil || len(sets) < 3 {
		t.Fatalf("sets of values: %q, %v", sets, err)
	}
	for _, set := range append([]string{""}, sets...) {
		t.Run(strings.TrimSuffix(filepath.Base(set), "-values.yaml"), func(t *testing.T) {
			values := map[string]any{}
			if set != "" {
				values = valuesIn(t, set)
			}
			list, notes := install(t, "sidegate", values)
			for _, wrong := range lint(list, slices.Collect(maps.Keys(theirs))...) {
				t.Error(wrong)
			}
			holdsTogether(t, list, theirs)
			if !strings.Contains(notes, "rollout status deployment/"+deployment(t, list).Name) {
				t.Errorf("the notes are %s", notes)
			}
		})
	}
}

func deployment(t *testing.T, list []object) *appsv1.Deployment {
	t.Helper()
	for _, o := range list {
		if d, ok := o.any.(*appsv1.Deployment); ok {
			return d
		}
	}
	t.Fatalf("there is no Deployment among %s", names(list))
	return nil
}

// TestValuesHaveAnEffect: what a value set says stands in the objects.
func TestValuesHaveAnEffect(t *testing.T) {
	minimal, _ := install(t, "sidegate", valuesIn(t, filepath.Join(helmRoot, "sidegate/ci/minimal-values.yaml")))
	if got := names(minimal); got != "v1/ConfigMap blocks-sidegate, apps/v1/Deployment blocks-sidegate, v1/Secret blocks-sidegate, v1/Service blocks-sidegate" {
		t.Errorf("the minimal set makes %s", got)
	}
	if d := deployment(t, minimal); *d.Spec.Replicas != 1 || d.Spec.Template.Annotations["checksum/secret"] == "" {
		t.Errorf("%d replicas, annotations %v", *d.Spec.Replicas, d.Spec.Template.Annotations)
	}
	production, _ := install(t, "sidegate", valuesIn(t, filepath.Join(helmRoot, "sidegate/ci/production-values.yaml")))
	pod := deployment(t, production).Spec.Template
	if image := pod.Spec.Containers[0].Image; !strings.Contains(image, "@sha256:") {
		t.Error("the digest is not used:", image)
	}
	if !slices.ContainsFunc(workloads(production), func(w workload) bool { return w.what == "Job" && w.name == "blocks-sidegate-migrate" }) {
		t.Error("there is no migration among", names(production))
	}
	if pod.Labels["team"] != "messaging" || pod.Spec.PriorityClassName != "production" || len(pod.Spec.Tolerations) != 1 || len(pod.Spec.ImagePullSecrets) != 1 {
		t.Errorf("the pod is %+v", pod)
	}
	tls, notes := install(t, "sidegate", valuesIn(t, filepath.Join(helmRoot, "sidegate/ci/tls-values.yaml")))
	service := only[corev1.Service](t, tls, "blocks")
	if service.Spec.Type != corev1.ServiceTypeLoadBalancer || service.Spec.Ports[0].Name != "https" || !strings.Contains(notes, "https://blocks.chat:443") {
		t.Errorf("the service is %+v\n%s", service.Spec, notes)
	}
	if *deployment(t, tls).Spec.Template.Spec.SecurityContext.FSGroup != 65532 {
		t.Error("the program cannot read its certificate")
	}
}

// TestConfigurationRollsOut: other configuration makes other pods.
func TestConfigurationRollsOut(t *testing.T) {
	sum := func(values string) string {
		list, _ := install(t, "sidegate", parse(t, values))
		return deployment(t, list).Spec.Template.Annotations["checksum/config"]
	}
	if sum("{}") == sum("config: {apps: {default: {mode: two_way}}}") {
		t.Error("the pods are the same whatever the configuration says")
	}
}

// TestWrongValues: each fails with a sentence that names the value.
func TestWrongValues(t *testing.T) {
	for _, tc := range []struct{ name, chart, values, says string }{
		{"wrong type", "sidegate", "replicas: two", "'/replicas': got string, want integer"},
		{"unknown key", "sidegate", "replica: 2", "additional properties 'replica' not allowed"},
		{"unknown key below", "sidegate", "autoscaling: {max: 3}", "'/autoscaling': additional properties 'max' not allowed"},
		{"out of range", "sidegate", "autoscaling: {maxReplicas: 1000}", "'/autoscaling/maxReplicas': maximum: got 1,000, want 100"},
		{"no memory limit", "sidegate", "resources: {limits: {memory: null}}", "'/resources/limits': missing property 'memory'"},
		{"wrong unit", "sidegate", "resources: {limits: {memory: 256MB}}", "'/resources/limits/memory': '256MB' does not match pattern"},
		{"wrong word", "sidegate", "log: {level: loud}", "'/log/level': value must be one of 'debug', 'info', 'warn', 'error'"},
		{"token in the clear", "sidegate", "secret: {create: true, postgresURL: x, apiTokens: [plain]}", "'/secret/apiTokens/0': 'plain' does not match pattern"},
		{"least above most", "sidegate", "autoscaling: {minReplicas: 7}", "autoscaling.minReplicas is 7, more than autoscaling.maxReplicas, which is 6"},
		{"secret without url", "sidegate", "secret: {create: true}", "secret.postgresURL is empty"},
		{"secret without effect", "sidegate", "secret: {postgresURL: x}", "have no effect without secret.create"},
		{"tls without secret", "sidegate", "tls: {enabled: true}", "tls.enabled needs tls.secretName"},
		{"chart's own key", "sidegate", "config: {postgres: {url: x}}", "config.postgres is set by the chart"},
		{"sidecar", "sidegate-sidecar-example", "sidegate: {image: {tags: x}}", "'/image': additional properties 'tags' not allowed"},
		{"sidecar's group", "sidegate-sidecar-example", "sidegate: {fsGroup: root}", "'/fsGroup': got string, want integer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := template(t, tc.chart, parse(t, tc.values))
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("the error is %v, want one that says %s", err, tc.says)
			}
		})
	}
}

// TestEveryValueIsKnown: each value of values.yaml stands in the schema with its
// comment beside it, so that neither can be forgotten.
func TestEveryValueIsKnown(t *testing.T) {
	for _, name := range []string{"sidegate", "sidegate-sidecar"} {
		c := load(t, name)
		var schema struct {
			Properties map[string]any `json:"properties"`
			Additional *bool          `json:"additionalProperties"`
		}
		if err := yaml.Unmarshal(c.Schema, &schema); err != nil || schema.Additional == nil || *schema.Additional {
			t.Fatalf("%s: the schema is not strict: %v", name, err)
		}
		delete(schema.Properties, "global") // Helm adds it
		if want, got := slices.Sorted(maps.Keys(c.Values)), slices.Sorted(maps.Keys(schema.Properties)); !slices.Equal(want, got) {
			t.Errorf("%s: values.yaml has %q, the schema %q", name, want, got)
		}
	}
}

// TestSidecarChart: a chart that depends on the library gets the container that the
// Kustomize component adds.
func TestSidecarChart(t *testing.T) {
	for _, legacy := range []bool{false, true} {
		t.Run(fmt.Sprintf("legacy=%v", legacy), func(t *testing.T) {
			list, _ := install(t, "sidegate-sidecar-example", map[string]any{"sidegate": map[string]any{"legacy": legacy}})
			for _, wrong := range lint(list) {
				t.Error(wrong)
			}
			holdsTogether(t, list, nil)
			component, get := "sidecar", func(p corev1.PodSpec) []corev1.Container { return p.InitContainers }
			if legacy {
				component, get = "legacy", func(p corev1.PodSpec) []corev1.Container { return p.Containers }
			}
			kustomized := only[appsv1.Deployment](t, render(t, withComponent(t, component, "Deployment", crowded)), "chat")
			want, got := ours(t, get(kustomized.Spec.Template.Spec)), ours(t, get(deployment(t, list).Spec.Template.Spec))
			got.ImagePullPolicy = "" // a value of the chart; Kubernetes has the same default
			got.Env = slices.DeleteFunc(got.Env, func(e corev1.EnvVar) bool { return e.Name == "SIDEGATE_LOG_LEVEL" })
			wantText, _ := yaml.Marshal(want)
			gotText, _ := yaml.Marshal(got)
			if string(wantText) != string(gotText) {
				t.Errorf("the chart makes\n%s\nthe component\n%s", gotText, wantText)
			}
		})
	}
}

var update = flag.Bool("update", false, "copy the rules into the chart")

// TestChartHasTheRules: a chart can read only its own files, so the rules are there
// twice.
func TestChartHasTheRules(t *testing.T) {
	copied := filepath.Join(helmRoot, "sidegate/files/sidegate-rules.yaml")
	want, err := os.ReadFile("../prometheus/operator/sidegate-rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(copied, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(copied); err != nil || string(got) != string(want) {
		t.Errorf("%s is not up to date (%v): go -C deploy/kubetest test . -run Rules -update", copied, err)
	}
	list, _ := install(t, "sidegate", parse(t, "prometheusRule: {enabled: true}"))
	rule := only[monitoringv1.PrometheusRule](t, list, "blocks-sidegate")
	if !reflect.DeepEqual(rule.Spec, only[monitoringv1.PrometheusRule](t, mustDecode(t, "rules", want), "sidegate").Spec) {
		t.Error("the chart renders other rules")
	}
}

// TestChartFilesDecode: what Helm itself reads has no unknown field either.
func TestChartFilesDecode(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(helmRoot, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "Chart.yaml" {
			return err
		}
		seen++
		text, err := os.ReadFile(path)
		if err == nil {
			err = yaml.UnmarshalStrict(text, new(chart.Metadata))
		}
		return err
	})
	if err != nil || seen != 3 {
		t.Errorf("%d charts, %v", seen, err)
	}
}

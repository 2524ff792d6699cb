package kubetest

import (
	"reflect"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// withComponent makes a kustomization that adds a component to a workload, with
// what else the component needs.
func withComponent(t *testing.T, component, kind, workload string) (dir string) {
	t.Helper()
	dir, _ = scratch(t, map[string]string{
		"chat.yaml":     strings.Replace(workload, "KIND", kind, 1),
		"sidegate.yaml": "apps:\n  default: {mode: two_way}\n",
		"kustomization.yaml": `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [chat.yaml]
components: ["` + remoteKustomize + "/" + component + `?ref=v0.1.0"]
configMapGenerator: [{name: sidegate, files: [sidegate.yaml]}]
`,
	})
	return dir
}

// decodeCrowded is the pod of the crowded workload as it was written.
func decodeCrowded(t *testing.T, kind string) *corev1.PodTemplateSpec {
	t.Helper()
	list := mustDecode(t, "crowded", []byte(strings.Replace(crowded, "KIND", kind, 1)))
	return workloads(list)[0].pod
}

// TestLabelsChoose: a workload without the label is left alone, and one without the
// second label gets the group.
func TestLabelsChoose(t *testing.T) {
	without := strings.Replace(crowded, `sidegate.github.io/sidecar: "true"`, `sidegate.github.io/sidecar: "false"`, 1)
	for _, c := range render(t, withComponent(t, "sidecar", "Deployment", without)) {
		if d, ok := c.any.(*appsv1.Deployment); ok && !reflect.DeepEqual(&d.Spec.Template, decodeCrowded(t, "Deployment")) {
			t.Errorf("without the label it has become %+v", d.Spec.Template)
		}
	}
	given := strings.Replace(crowded, "    sidegate.github.io/fs-group: own\n", "", 1)
	list := render(t, withComponent(t, "sidecar", "Deployment", given))
	if got := *only[appsv1.Deployment](t, list, "chat").Spec.Template.Spec.SecurityContext.FSGroup; got != 65532 {
		t.Errorf("the group is %d", got)
	}
}

// TestLegacyIsTheSame: apart from its place in the pod and how it ends, the
// container is the native one.
func TestLegacyIsTheSame(t *testing.T) {
	list := render(t, withComponent(t, "legacy", "Deployment", crowded))
	for _, wrong := range lint(list) {
		t.Error(wrong)
	}
	holdsTogether(t, list, nil)
	pod := only[appsv1.Deployment](t, list, "chat").Spec.Template.Spec
	legacy := ours(t, pod.Containers)
	native := ours(t, only[appsv1.Deployment](t, render(t, withComponent(t, "sidecar", "Deployment", crowded)), "chat").Spec.Template.Spec.InitContainers)
	if legacy.RestartPolicy != nil || native.RestartPolicy == nil {
		t.Error("restartPolicy belongs to the native one alone")
	}
	native.RestartPolicy = nil
	var env []corev1.EnvVar
	delayed := false
	for _, e := range legacy.Env {
		if e.Name == "SIDEGATE_SHUTDOWN_DELAY" {
			delayed = true
			continue
		}
		env = append(env, e)
	}
	legacy.Env = env
	if !delayed {
		t.Error("it ends as soon as the chat server is told to end")
	}
	if !reflect.DeepEqual(legacy, native) {
		t.Errorf("the container is\n%+v\nand the native one\n%+v", legacy, native)
	}
}

// TestFences: the monitor and the policies find the pods that they are for, and
// open the ports that these listen on.
func TestFences(t *testing.T) {
	dir, _ := scratch(t, map[string]string{
		"kustomization.yaml": `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: ["` + remoteKustomize + `/example?ref=v0.1.0"]
components:
  - "` + remoteKustomize + `/networkpolicy?ref=v0.1.0"
  - "` + remoteKustomize + `/api-networkpolicy?ref=v0.1.0"
`,
	})
	list := render(t, dir)
	if len(list) != len(render(t, kustomizeRoot+"/example"))+2 {
		t.Fatalf("there are %s", names(list))
	}
	for _, wrong := range lint(list) {
		t.Error(wrong)
	}
}

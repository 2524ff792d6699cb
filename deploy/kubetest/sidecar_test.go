package kubetest

import (
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"
)

// TestTheExampleHoldsTogether asks the built program about each container.
func TestTheExampleHoldsTogether(t *testing.T) {
	holdsTogether(t, render(t, filepath.Join(kustomizeRoot, "example")), nil)
}

// container returns the only container of ours among some.
func ours(t *testing.T, list []corev1.Container) corev1.Container {
	t.Helper()
	mine := slices.DeleteFunc(slices.Clone(list), func(c corev1.Container) bool { return !isOurs(c) })
	if len(mine) != 1 {
		t.Fatalf("%d containers run sidegate, want 1", len(mine))
	}
	return mine[0]
}

// TestNativeSidecar: the pod of the example has what its documentation promises.
func TestNativeSidecar(t *testing.T) {
	chat := only[appsv1.Deployment](t, render(t, filepath.Join(kustomizeRoot, "example")), "chat")
	pod := chat.Spec.Template.Spec
	c := ours(t, pod.InitContainers)
	if c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways {
		t.Error("without restartPolicy: Always it is an ordinary init container, and the pod never starts")
	}
	for path, probe := range map[string]*corev1.Probe{"/startupz": c.StartupProbe, "/readyz": c.ReadinessProbe, "/livez": c.LivenessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path {
			t.Errorf("no probe asks %s: %v", path, probe)
		}
	}
	if c.StartupProbe.PeriodSeconds != 1 {
		t.Error("the chat server waits longer than it must: the startup probe asks every", c.StartupProbe.PeriodSeconds, "s")
	}
	if !*c.SecurityContext.ReadOnlyRootFilesystem {
		t.Error("its root can be written to")
	}
	if group := pod.SecurityContext.FSGroup; group == nil || *group != *c.SecurityContext.RunAsGroup {
		t.Error("the pod's group is not the sidecar's:", group)
	}
	for _, v := range pod.Volumes {
		if v.Name == "sidegate-socket" && (v.EmptyDir == nil || v.EmptyDir.Medium != corev1.StorageMediumMemory || v.EmptyDir.SizeLimit.IsZero()) {
			t.Error("the socket does not lie in bounded memory")
		}
	}
	// Both mount the socket where the sidecar listens.
	for _, mounts := range [][]corev1.VolumeMount{c.VolumeMounts, pod.Containers[0].VolumeMounts} {
		if !slices.ContainsFunc(mounts, func(m corev1.VolumeMount) bool {
			return m.Name == "sidegate-socket" && m.MountPath == "/run/sidegate" && !m.ReadOnly
		}) {
			t.Error("the socket is not mounted:", mounts)
		}
	}
}

// TestMemoryHasOneNumber: the limit. The program derives the rest from it; a
// variable beside it would win, and stay behind when the limit changes.
func TestMemoryHasOneNumber(t *testing.T) {
	list := render(t, filepath.Join(kustomizeRoot, "example"))
	for _, w := range workloads(list) {
		for _, c := range containers(w.pod) {
			if !isOurs(c) {
				continue
			}
			if c.Resources.Limits.Memory().Cmp(resource.MustParse("64Mi")) < 0 {
				t.Errorf("%s: a limit of %v does not hold the process itself", w.name, c.Resources.Limits.Memory())
			}
			for _, e := range c.Env {
				if e.Name == "GOMEMLIMIT" || e.Name == "GOGC" || e.Name == "SIDEGATE_CACHE_MAX_BYTES" {
					t.Errorf("%s sets %s", w.name, e.Name)
				}
			}
			_, printed := given{list, nil, secrets(t)}.prepare(t, w.pod, c).run(t, "config", "print")
			var cfg struct {
				Cache struct {
					MaxBytes string `json:"max_bytes"`
				} `json:"cache"`
			}
			if err := yaml.Unmarshal([]byte(printed), &cfg); err != nil || cfg.Cache.MaxBytes != "auto" {
				t.Errorf("%s: cache.max_bytes is %q, want auto: %v", w.name, cfg.Cache.MaxBytes, err)
			}
		}
	}
}

// crowded is a workload that has everything the component adds to already.
const crowded = `apiVersion: apps/v1
kind: KIND
metadata:
  name: chat
  labels:
    sidegate.github.io/sidecar: "true"
    sidegate.github.io/fs-group: own
spec:
  selector:
    matchLabels: {app: chat}
  template:
    metadata:
      labels: {app: chat, team: messaging}
      annotations: {example.com/owner: messaging}
    spec:
      serviceAccountName: chat
      securityContext: {fsGroup: 2000, runAsUser: 1000, supplementalGroups: [3000]}
      initContainers:
        - {name: wait, image: "example.com/wait:1", args: [for, it]}
        - {name: proxy, image: "example.com/proxy:1", restartPolicy: Always}
      containers:
        - name: chat
          image: example.com/chat:1
          env: [{name: PORT, value: "8080"}]
          ports: [{name: http, containerPort: 8080}]
          volumeMounts: [{name: data, mountPath: /data}, {name: sidegate-socket, mountPath: /run/sidegate}]
        - {name: exporter, image: "example.com/exporter:1"}
      volumes:
        - {name: data, emptyDir: {}}
`

// TestWhatIsThereStays: the components add, and change nothing that a workload has.
func TestWhatIsThereStays(t *testing.T) {
	for _, component := range []string{"sidecar", "legacy"} {
		for _, kind := range []string{"Deployment", "StatefulSet"} {
			t.Run(component+"/"+kind, func(t *testing.T) {
				alone := decodeCrowded(t, kind)
				list := render(t, withComponent(t, component, kind, crowded))
				w := workloads(list)[0]
				pod := w.pod.Spec

				init, own := pod.InitContainers, pod.Containers
				if component == "sidecar" {
					ours(t, init[:1]) // before the others, which may then ask it
					init = init[1:]
				} else {
					ours(t, own)
					own = slices.DeleteFunc(slices.Clone(own), isOurs)
				}
				volumes := slices.DeleteFunc(slices.Clone(pod.Volumes), func(v corev1.Volume) bool {
					return v.Name == "sidegate-socket" || v.Name == "sidegate-config"
				})
				if len(pod.Volumes) != len(volumes)+2 {
					t.Errorf("the volumes are %v", pod.Volumes)
				}
				delete(w.pod.Labels, "sidegate.github.io/role")
				pod.InitContainers, pod.Containers, pod.Volumes = init, own, volumes
				if !reflect.DeepEqual(pod, alone.Spec) {
					t.Errorf("the pod has become\n%+v\nwas\n%+v", pod, alone.Spec)
				}
				if !reflect.DeepEqual(w.pod.ObjectMeta, alone.ObjectMeta) {
					t.Errorf("its labels and annotations have become %+v", w.pod.ObjectMeta)
				}
			})
		}
	}
}

package kubetest

import (
	"fmt"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
)

// workload is what makes pods.
type workload struct {
	what     string
	name     string
	replicas *int32
	selector *metav1.LabelSelector // nil = a Job, which makes its own
	pod      *corev1.PodTemplateSpec
}

func workloads(list []object) (all []workload) {
	for _, o := range list {
		switch w := o.any.(type) {
		case *appsv1.Deployment:
			all = append(all, workload{"Deployment", o.name, w.Spec.Replicas, w.Spec.Selector, &w.Spec.Template})
		case *appsv1.StatefulSet:
			all = append(all, workload{"StatefulSet", o.name, w.Spec.Replicas, w.Spec.Selector, &w.Spec.Template})
		case *batchv1.Job:
			all = append(all, workload{"Job", o.name, nil, nil, &w.Spec.Template})
		}
	}
	return all
}

// containers are all of a pod, in the order in which they are started.
func containers(pod *corev1.PodTemplateSpec) []corev1.Container {
	return slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers)
}

// isOurs reports whether a container runs sidegate.
func isOurs(c corev1.Container) bool {
	return strings.HasPrefix(c.Image, "ghcr.io/sidegate/sidegate")
}

// linter collects what does not meet in a set of objects.
type linter struct {
	list  []object
	wrong []string
}

// lint returns what an API server would accept, or not look at, and what does not
// work all the same. theirs are ConfigMaps that the user brings.
func lint(list []object, theirs ...string) []string {
	l := &linter{list: list}
	maps := theirs
	for _, o := range list {
		if _, ok := o.any.(*corev1.ConfigMap); ok {
			maps = append(maps, o.name)
		}
		if bad := validation.IsDNS1123Subdomain(o.name); len(bad) > 0 {
			l.say("%s %q is no name: %s", o.kind, o.name, bad[0])
		}
	}
	for _, w := range workloads(list) {
		l.workload(w)
		l.volumes(w, maps)
		for _, c := range containers(w.pod) {
			l.container(w, c)
			if isOurs(c) {
				l.hardened(w, c)
				l.listeners(w, c)
			}
		}
	}
	for _, o := range list {
		l.selecting(o)
	}
	return l.wrong
}

func (l *linter) say(format string, args ...any) {
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}

func (l *linter) workload(w workload) {
	if w.selector != nil && !selects(w.selector, w.pod) {
		l.say("%s %s: its selector does not match the labels of its pods", w.what, w.name)
	}
	for key, value := range w.pod.Labels {
		for _, bad := range append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...) {
			l.say("%s %s: label %s=%q: %s", w.what, w.name, key, value, bad)
		}
	}
	var seen []string
	for _, c := range containers(w.pod) {
		if slices.Contains(seen, c.Name) {
			l.say("%s %s: two containers are called %s", w.what, w.name, c.Name)
		}
		seen = append(seen, c.Name)
	}
}

// volumes: each mount has a volume, and each ConfigMap of a volume is there.
func (l *linter) volumes(w workload, maps []string) {
	var have []string
	for _, v := range w.pod.Spec.Volumes {
		if slices.Contains(have, v.Name) {
			l.say("%s %s: two volumes are called %s", w.what, w.name, v.Name)
		}
		have = append(have, v.Name)
		if v.ConfigMap != nil && !slices.Contains(maps, v.ConfigMap.Name) {
			l.say("%s %s: the volume %s needs the ConfigMap %s, which is not there", w.what, w.name, v.Name, v.ConfigMap.Name)
		}
	}
	for _, c := range containers(w.pod) {
		for _, m := range c.VolumeMounts {
			if !slices.Contains(have, m.Name) {
				l.say("%s %s: %s mounts the volume %s, which is not there", w.what, w.name, c.Name, m.Name)
			}
			if isOurs(c) && m.Name == "sidegate-socket" && (w.pod.Spec.SecurityContext == nil || w.pod.Spec.SecurityContext.FSGroup == nil) {
				l.say("%s %s: the socket is shared, and the pod has no fsGroup", w.what, w.name)
			}
		}
	}
}

// container: names of ports, and the probes that use them.
func (l *linter) container(w workload, c corev1.Container) {
	where := w.what + " " + w.name + ": " + c.Name
	for _, p := range c.Ports {
		if p.Name != "" {
			for _, bad := range validation.IsValidPortName(p.Name) {
				l.say("%s: port %q: %s", where, p.Name, bad)
			}
		}
	}
	var env []string
	for _, e := range c.Env {
		if slices.Contains(env, e.Name) {
			l.say("%s: %s is set twice", where, e.Name)
		}
		env = append(env, e.Name)
	}
	for kind, probe := range map[string]*corev1.Probe{"startup": c.StartupProbe, "readiness": c.ReadinessProbe, "liveness": c.LivenessProbe} {
		if probe != nil && probe.HTTPGet != nil && portOf(c, probe.HTTPGet.Port) == 0 {
			l.say("%s: the %s probe asks port %s, which the container does not have", where, kind, probe.HTTPGet.Port.String())
		}
	}
}

// hardened: what our own containers promise.
func (l *linter) hardened(w workload, c corev1.Container) {
	where := w.what + " " + w.name + ": " + c.Name
	s := c.SecurityContext
	if s == nil {
		l.say("%s has no securityContext", where)
		return
	}
	for _, rule := range []struct {
		ok   bool
		what string
	}{
		{is(s.RunAsNonRoot, true) && s.RunAsUser != nil && *s.RunAsUser > 0, "may run as root"},
		{is(s.ReadOnlyRootFilesystem, true), "may write to its image"},
		{is(s.AllowPrivilegeEscalation, false), "may gain privileges"},
		{s.Capabilities != nil && slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) && len(s.Capabilities.Add) == 0, "has capabilities"},
		{s.SeccompProfile != nil && s.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault, "is not under seccomp"},
		{!is(s.Privileged, true), "is privileged"},
		{!c.Resources.Requests.Cpu().IsZero() && !c.Resources.Requests.Memory().IsZero(), "requests no CPU or no memory"},
		{!c.Resources.Limits.Memory().IsZero(), "has no memory limit"},
		{c.Resources.Limits.Cpu().IsZero(), "is throttled by a CPU limit"},
		{strings.Contains(strings.TrimPrefix(c.Image, "ghcr.io/"), ":"), "has an image without a version"},
	} {
		if !rule.ok {
			l.say("%s %s", where, rule.what)
		}
	}
}

// listeners: where a container that serves listens, and what it says of that.
func (l *linter) listeners(w workload, c corev1.Container) {
	if !slices.Contains(c.Args, "serve") {
		return
	}
	where := w.what + " " + w.name + ": " + c.Name
	if c.StartupProbe == nil || c.ReadinessProbe == nil || c.LivenessProbe == nil {
		l.say("%s has not all three probes", where)
	}
	for variable, port := range map[string]string{"SIDEGATE_API_LISTEN": "api", "SIDEGATE_OPS_LISTEN": "sidegate-ops"} {
		i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == variable })
		if i < 0 {
			l.say("%s: %s is not set, so that it listens on loopback, where no pod and no kubelet reaches it", where, variable)
			continue
		}
		number := portOf(c, intstr.FromString(port))
		if listen := c.Env[i].Value; listen != "" && listen != fmt.Sprintf(":%d", number) || listen == "" && number != 0 {
			l.say("%s: %s is %q, and the port %s is %d", where, variable, listen, port, number)
		}
	}
}

// selecting: what finds pods by labels and ports by names.
func (l *linter) selecting(o object) {
	switch s := o.any.(type) {
	case *corev1.Service:
		for _, w := range l.selected(o, &metav1.LabelSelector{MatchLabels: s.Spec.Selector}) {
			for _, p := range s.Spec.Ports {
				l.hasPort(o, w, p.TargetPort)
			}
		}
	case *policyv1.PodDisruptionBudget:
		l.selected(o, s.Spec.Selector)
	case *networkingv1.NetworkPolicy:
		for _, w := range l.selected(o, &s.Spec.PodSelector) {
			for _, rule := range s.Spec.Ingress {
				for _, p := range rule.Ports {
					l.hasPort(o, w, *p.Port)
				}
			}
		}
	case *monitoringv1.PodMonitor:
		for _, w := range l.selected(o, &s.Spec.Selector) {
			for _, e := range s.Spec.PodMetricsEndpoints {
				l.hasPort(o, w, intstr.FromString(*e.Port))
			}
		}
	case *autoscalingv2.HorizontalPodAutoscaler:
		target := s.Spec.ScaleTargetRef
		all := workloads(l.list)
		i := slices.IndexFunc(all, func(w workload) bool { return w.what == target.Kind && w.name == target.Name })
		switch {
		case i < 0:
			l.say("%s %s: its target %s %s is not there", o.kind, o.name, target.Kind, target.Name)
		case all[i].replicas != nil:
			l.say("%s %s: its target sets replicas too, and each apply undoes the scaling", o.kind, o.name)
		}
	}
}

// selected returns the workloads whose pods a selector finds.
func (l *linter) selected(o object, s *metav1.LabelSelector) (found []workload) {
	for _, w := range workloads(l.list) {
		if selects(s, w.pod) {
			found = append(found, w)
		}
	}
	if len(found) == 0 {
		l.say("%s %s selects no pod", o.kind, o.name)
	}
	return found
}

func (l *linter) hasPort(o object, w workload, port intstr.IntOrString) {
	for _, c := range containers(w.pod) {
		if portOf(c, port) != 0 {
			return
		}
	}
	l.say("%s %s needs port %s, which the pods of %s %s do not have", o.kind, o.name, port.String(), w.what, w.name)
}

// portOf returns the number of a port that a container names or has, or 0.
func portOf(c corev1.Container, port intstr.IntOrString) int32 {
	for _, p := range c.Ports {
		if port.Type == intstr.String && p.Name == port.StrVal || port.Type == intstr.Int && p.ContainerPort == port.IntVal {
			return p.ContainerPort
		}
	}
	return 0
}

func selects(s *metav1.LabelSelector, pod *corev1.PodTemplateSpec) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && selector.Matches(labels.Set(pod.Labels))
}

func is(b *bool, want bool) bool { return b != nil && *b == want }

package kubetest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"
)

// kinds are the types that we ship and document. A kind that is not here is a
// failure: nothing would look at its fields.
var kinds = map[string]func() any{
	"v1/ConfigMap":                            func() any { return new(corev1.ConfigMap) },
	"v1/Namespace":                            func() any { return new(corev1.Namespace) },
	"v1/Secret":                               func() any { return new(corev1.Secret) },
	"v1/Service":                              func() any { return new(corev1.Service) },
	"v1/ServiceAccount":                       func() any { return new(corev1.ServiceAccount) },
	"apps/v1/Deployment":                      func() any { return new(appsv1.Deployment) },
	"apps/v1/StatefulSet":                     func() any { return new(appsv1.StatefulSet) },
	"batch/v1/Job":                            func() any { return new(batchv1.Job) },
	"autoscaling/v2/HorizontalPodAutoscaler":  func() any { return new(autoscalingv2.HorizontalPodAutoscaler) },
	"policy/v1/PodDisruptionBudget":           func() any { return new(policyv1.PodDisruptionBudget) },
	"networking.k8s.io/v1/NetworkPolicy":      func() any { return new(networkingv1.NetworkPolicy) },
	"monitoring.coreos.com/v1/PodMonitor":     func() any { return new(monitoringv1.PodMonitor) },
	"monitoring.coreos.com/v1/PrometheusRule": func() any { return new(monitoringv1.PrometheusRule) },

	"kustomize.config.k8s.io/v1beta1/Kustomization": func() any { return new(types.Kustomization) },
	"kustomize.config.k8s.io/v1alpha1/Component":    func() any { return new(types.Kustomization) },
}

// object is one document of a file, in its type.
type object struct {
	kind string // as in kinds
	name string
	typed
}

// typed is a pointer to the Go type of the object.
type typed struct{ any }

// decodeObjects reads all documents of a text, which came from source. Documents
// that are empty or only comments are left out.
func decodeObjects(source string, text []byte) (list []object, err error) {
	for i, part := range bytes.Split(append([]byte("\n"), text...), []byte("\n---")) {
		var some any
		if e := yaml.Unmarshal(part, &some); e == nil && some == nil {
			continue
		}
		o, e := decodeObject(part)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s, document %d: %w", source, i+1, e))
			continue
		}
		list = append(list, o)
	}
	return list, err
}

// decodeObject reads one document. Unlike encoding/json it takes no field whose
// name has another case: the API server would not.
func decodeObject(text []byte) (o object, err error) {
	asJSON, err := yaml.YAMLToJSONStrict(text) // a key that stands there twice is refused
	if err != nil {
		return o, err
	}
	var head struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
	}
	if err := yaml.Unmarshal(text, &head); err != nil {
		return o, err
	}
	o.kind, o.name = head.APIVersion+"/"+head.Kind, head.Name
	newObject, known := kinds[o.kind]
	if !known {
		return o, fmt.Errorf("the kind %s is unknown to these tests", o.kind)
	}
	o.any = newObject()
	strict, err := kjson.UnmarshalStrict(asJSON, o.any)
	return o, errors.Join(append(strict, err)...)
}

// mustDecode is decodeObjects for what has to be right.
func mustDecode(t *testing.T, source string, text []byte) []object {
	t.Helper()
	list, err := decodeObjects(source, text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return list
}

// only returns the object of that type and name.
func only[T any](t *testing.T, list []object, name string) *T {
	t.Helper()
	for _, o := range list {
		if typed, ok := o.any.(*T); ok && o.name == name {
			return typed
		}
	}
	t.Fatalf("there is no %T %s among %s", *new(T), name, names(list))
	return nil
}

func names(list []object) string {
	var all []string
	for _, o := range list {
		all = append(all, o.kind+" "+o.name)
	}
	return strings.Join(all, ", ")
}

// TestDecodingIsStrict: what an API server would refuse or, worse, drop in silence
// does not pass here. Each case is the right file with one mistake.
func TestDecodingIsStrict(t *testing.T) {
	text, err := os.ReadFile("../kustomize/api/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if list := mustDecode(t, "deployment.yaml", text); len(list) != 1 || list[0].name != "sidegate-api" {
		t.Fatalf("decoded %s", names(list))
	}
	for _, tc := range []struct{ name, right, wrong, says string }{
		{"unknown field", "readOnlyRootFilesystem: true", "readOnlyRootFileSystem: true", `unknown field "spec.template.spec.containers[0].securityContext.readOnlyRootFileSystem"`},
		{"another case", "startupProbe:", "startupprobe:", `unknown field "spec.template.spec.containers[0].startupprobe"`},
		{"field at the wrong place", "  template:", "  automountServiceAccountToken: false\n  template:", `unknown field "spec.automountServiceAccountToken"`},
		{"twice", "maxSurge: 1", "maxSurge: 1\n      maxSurge: 2", `key "maxSurge" already set`},
		{"wrong type", "revisionHistoryLimit: 3", "revisionHistoryLimit: three", "cannot unmarshal string"},
		{"unknown kind", "kind: Deployment", "kind: Deploymnet", "unknown to these tests"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			broken := strings.Replace(string(text), tc.right, tc.wrong, 1)
			if broken == string(text) {
				t.Fatalf("the file does not hold %q", tc.right)
			}
			_, err := decodeObjects("deployment.yaml", []byte(broken))
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("the error is %v, want one that says %s", err, tc.says)
			}
		})
	}
}

package observetest

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// strictly decodes a file under deploy/grafana; a field that is not known is an
// error, as it is to whoever reads the file.
func strictly(t *testing.T, into any, path ...string) {
	t.Helper()
	name := filepath.Join(append([]string{root(t), "deploy", "grafana"}, path...)...)
	decoder := yaml.NewDecoder(bytes.NewReader(read(t, name)))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// TestProvisioning: the files with which Grafana finds the data source and the
// dashboards have the fields that it reads, and no others.
func TestProvisioning(t *testing.T) {
	var sources struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, Access, URL string
			IsDefault                    bool `yaml:"isDefault"`
			Editable                     bool
			JSONData                     struct {
				HTTPMethod   string `yaml:"httpMethod"`
				TimeInterval string `yaml:"timeInterval"`
			} `yaml:"jsonData"`
		}
	}
	strictly(t, &sources, "provisioning", "datasources", "prometheus.yaml")
	if sources.APIVersion != 1 || len(sources.Datasources) != 1 || sources.Datasources[0].Type != "prometheus" || sources.Datasources[0].Access != "proxy" {
		t.Errorf("not one Prometheus behind Grafana: %+v", sources)
	}

	var providers struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name                  string
			OrgID                 int `yaml:"orgId"`
			Folder                string
			FolderUID             string `yaml:"folderUid"`
			Type                  string
			DisableDeletion       bool `yaml:"disableDeletion"`
			AllowUIUpdates        bool `yaml:"allowUiUpdates"`
			UpdateIntervalSeconds int  `yaml:"updateIntervalSeconds"`
			Options               struct{ Path string }
		}
	}
	strictly(t, &providers, "provisioning", "dashboards", "sidegate.yaml")
	if providers.APIVersion != 1 || len(providers.Providers) != 1 || providers.Providers[0].Type != "file" || !filepath.IsAbs(providers.Providers[0].Options.Path) {
		t.Errorf("not one folder of files: %+v", providers)
	}
}

// appliedLimit is what the API server takes as the annotations of an object; `kubectl
// apply` keeps the whole object in one, as JSON.
const appliedLimit = 256 << 10

// TestConfigMaps: each dashboard is in one ConfigMap, small enough to be applied.
func TestConfigMaps(t *testing.T) {
	var k struct {
		APIVersion       string `yaml:"apiVersion"`
		Kind             string
		GeneratorOptions struct {
			DisableNameSuffixHash bool `yaml:"disableNameSuffixHash"`
			Labels, Annotations   map[string]string
		} `yaml:"generatorOptions"`
		ConfigMapGenerator []struct {
			Name  string
			Files []string
		} `yaml:"configMapGenerator"`
	}
	strictly(t, &k, "kustomization.yaml")
	if k.Kind != "Kustomization" || k.GeneratorOptions.Labels["grafana_dashboard"] != "1" {
		t.Errorf("the loader would not find what this makes: %+v", k)
	}
	var there, made []string
	for _, name := range glob(t, "deploy", "grafana", "dashboards", "*.json") {
		there = append(there, "dashboards/"+filepath.Base(name))
	}
	for _, m := range k.ConfigMapGenerator {
		size := 0
		for _, file := range m.Files {
			text := read(t, filepath.Join(root(t), "deploy", "grafana", file))
			size += len(text) // and one byte more for whatever has to be escaped
			for _, escaped := range []string{"\n", `"`, `\`} {
				size += strings.Count(string(text), escaped)
			}
		}
		if size > appliedLimit {
			t.Errorf("%s is too large to be applied: %d bytes of %d", m.Name, size, appliedLimit)
		}
		made = append(made, m.Files...)
	}
	slices.Sort(made)
	if !slices.Equal(there, made) {
		t.Errorf("there are %v, and ConfigMaps of %v", there, made)
	}
}

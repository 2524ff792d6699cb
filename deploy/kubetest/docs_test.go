package kubetest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

const docsRoot = "../../docs"

// block is a fenced block of YAML on a page.
type block struct {
	page string
	file string // as the fence names it; "" = none
	text string
}

var (
	fenced   = regexp.MustCompile("(?ms)^ *```yaml([^\n]*)\n(.*?)^ *```$")
	fileName = regexp.MustCompile(`\bfile=(\S+)`)
	// manifest matches what is for Kubernetes or Kustomize.
	manifest = regexp.MustCompile(`(?m)^(apiVersion|kind):`)
)

// blocks takes the YAML out of all pages.
func blocks(t *testing.T) (list []block) {
	t.Helper()
	read := func(path string) error {
		text, err := os.ReadFile(path)
		for _, match := range fenced.FindAllStringSubmatch(string(text), -1) {
			b := block{page: path, text: match[2]}
			if named := fileName.FindStringSubmatch(match[1]); named != nil {
				b.file = named[1]
			}
			list = append(list, b)
		}
		return err
	}
	err := filepath.WalkDir(docsRoot, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		return read(path)
	})
	for _, page := range []string{"README.md", "CHANGELOG.md", "SECURITY.md"} {
		if err == nil {
			err = read(filepath.Join("..", "..", page))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestDocumentedManifestsDecode: what the pages show can be applied.
func TestDocumentedManifestsDecode(t *testing.T) {
	seen := 0
	for _, b := range blocks(t) {
		if !manifest.MatchString(b.text) {
			continue
		}
		seen++
		if _, err := decodeObjects(b.page, []byte(b.text)); err != nil {
			t.Errorf("%v\n%s", err, b.text)
		}
	}
	if seen < 4 {
		t.Errorf("only %d manifests were found", seen)
	}
}

// page writes the named blocks of a page to a folder.
func page(t *testing.T, name string) (dir string) {
	t.Helper()
	files := map[string]string{}
	for _, b := range blocks(t) {
		if filepath.Base(b.page) == name && b.file != "" {
			files[b.file] = b.text
		}
	}
	dir, _ = scratch(t, files)
	return dir
}

// TestSidecarPage follows docs/how-to/kubernetes.md: its files, rendered with the
// components of this tree, hold together, and the reader's patch has the last word.
func TestSidecarPage(t *testing.T) {
	list := render(t, page(t, "kubernetes.md"))
	for _, wrong := range lint(list) {
		t.Error(wrong)
	}
	holdsTogether(t, list, nil)
	c := ours(t, only[appsv1.Deployment](t, list, "chat").Spec.Template.Spec.InitContainers)
	if got := c.Resources.Limits.Memory().String(); got != "512Mi" {
		t.Errorf("the patch of the page sets a limit of 512Mi, and it is %s", got)
	}
}

// TestDecisionsCanBeChanged: the two patches that the page tells of do what it says.
func TestDecisionsCanBeChanged(t *testing.T) {
	dir := page(t, "kubernetes.md")
	patch := `apiVersion: apps/v1
kind: Deployment
metadata: {name: chat}
spec:
  template:
    spec:
      initContainers:
        - name: sidegate
          startupProbe: {httpGet: {path: /livez}}
          readinessProbe: null
`
	if err := os.WriteFile(filepath.Join(dir, "sidecar-size.yaml"), []byte(patch), 0o600); err != nil {
		t.Fatal(err)
	}
	c := ours(t, only[appsv1.Deployment](t, render(t, dir), "chat").Spec.Template.Spec.InitContainers)
	if c.ReadinessProbe != nil {
		t.Error("the readiness probe is still there")
	}
	if get := c.StartupProbe.HTTPGet; get.Path != "/livez" || get.Port.StrVal != "sidegate-ops" || c.StartupProbe.PeriodSeconds != 1 {
		t.Errorf("the startup probe is %+v", c.StartupProbe)
	}
}

// TestAPIPage follows docs/how-to/shared-api.md, with Kustomize and with Helm.
func TestAPIPage(t *testing.T) {
	dir := page(t, "shared-api.md")
	list := render(t, dir)
	for _, wrong := range lint(list) {
		t.Error(wrong)
	}
	holdsTogether(t, list, nil)

	list, _ = install(t, "sidegate", valuesIn(t, filepath.Join(dir, "values.yaml")))
	for _, wrong := range lint(list) {
		t.Error(wrong)
	}
	holdsTogether(t, list, nil)
	text, err := os.ReadFile(filepath.Join(docsRoot, "how-to", "shared-api.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, values := range []string{"autoscaling: {max: 3}", "autoscaling: {minReplicas: 7}"} {
		_, err := template(t, "sidegate", parse(t, values))
		if err == nil || !slices.ContainsFunc(strings.Split(string(text), "\n"), func(line string) bool {
			return len(line) > 40 && strings.Contains(err.Error(), line)
		}) {
			t.Errorf("the page does not show how %s is refused: %v", values, err)
		}
	}
}

// TestOneVersion: image tags, charts and pages name the same version.
func TestOneVersion(t *testing.T) {
	want := load(t, "sidegate").Metadata.AppVersion
	if got := load(t, "sidegate-sidecar"); got.Metadata.AppVersion != want || got.Values["image"].(map[string]any)["tag"] != want {
		t.Errorf("sidegate-sidecar is for %s, with the image %v; want %s", got.Metadata.AppVersion, got.Values["image"], want)
	}
	paths, err := filepath.Glob(filepath.Join(kustomizeRoot, "*", "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	tags := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var k struct {
			Images []struct {
				NewTag string `json:"newTag"`
			} `json:"images"`
		}
		if err := yaml.Unmarshal(text, &k); err != nil {
			t.Fatal(err)
		}
		for _, image := range k.Images {
			if tags++; image.NewTag != want {
				t.Errorf("%s names the version %s, want %s", path, image.NewTag, want)
			}
		}
	}
	if tags < 4 {
		t.Errorf("only %d tags were found", tags)
	}
	for _, b := range blocks(t) {
		for _, ref := range regexp.MustCompile(`\?ref=v(\S+)`).FindAllStringSubmatch(b.text, -1) {
			if ref[1] != want {
				t.Errorf("%s names the version %s, want %s", b.page, ref[1], want)
			}
		}
	}
}

// TestScrapedByHand: the configuration on the page for those without the operator
// finds every container of ours by its name and that of its port.
func TestScrapedByHand(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(docsRoot, "how-to", "monitor.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^\s+separator: "/"\n\s+regex: (\S+)$`).FindSubmatch(text)
	if found == nil {
		t.Fatal("the page has no such rule any more")
	}
	kept := regexp.MustCompile("^(?:" + string(found[1]) + ")$") // anchored, as Prometheus does
	seen := 0
	for _, w := range workloads(render(t, filepath.Join(kustomizeRoot, "example"))) {
		for _, c := range containers(w.pod) {
			for _, p := range c.Ports {
				if p.ContainerPort != 7072 {
					continue
				}
				seen++
				if at := c.Name + "/" + p.Name; !kept.MatchString(at) {
					t.Errorf("%s: nobody scrapes %s, the page asks for %s", w.name, at, kept)
				}
			}
		}
	}
	if seen < 2 {
		t.Errorf("%d ports with metrics, want those of sidecar and API server", seen)
	}
}

package kubetest

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const kustomizeRoot = "../kustomize"

// render builds a kustomization and decodes what results.
func render(t *testing.T, dir string) []object {
	t.Helper()
	return mustDecode(t, dir, build(t, dir))
}

func build(t *testing.T, dir string) []byte {
	t.Helper()
	result, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatalf("build %s: %v", dir, err)
	}
	text, err := result.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// scratch makes a folder from which ../kustomize can be reached by a relative path,
// as Kustomize wants it, and returns it with that path.
func scratch(t *testing.T, files map[string]string) (dir, toKustomize string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(kustomizeRoot)
	if err != nil {
		t.Fatal(err)
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		t.Fatal(err)
	}
	if toKustomize, err = filepath.Rel(dir, root); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		text = strings.ReplaceAll(text, remoteKustomize, toKustomize)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(pinned.ReplaceAllString(text, "$1")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, toKustomize
}

// TestEveryManifestDecodes reads every YAML file of deploy/kustomize, patches and
// kustomizations included, in its type. sidegate.yaml is the program's own.
func TestEveryManifestDecodes(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(kustomizeRoot, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" || d.Name() == "sidegate.yaml" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if len(mustDecode(t, path, text)) == 0 {
			t.Errorf("%s holds no object", path)
		}
		seen++
		return nil
	})
	if err != nil || seen < 15 {
		t.Fatalf("%d files, %v", seen, err)
	}
}

// TestKubectlRendersTheSame: the version of Kustomize that kubectl brings, an older
// one, makes the same objects.
func TestKubectlRendersTheSame(t *testing.T) {
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("kubectl is not installed: only the library renders the example")
	}
	for _, dir := range []string{"example", "api", "migrate"} {
		dir = filepath.Join(kustomizeRoot, dir)
		out, err := exec.CommandContext(t.Context(), kubectl, "kustomize", dir).Output()
		if err != nil {
			t.Fatalf("kubectl kustomize %s: %v", dir, err)
		}
		ours, theirs := render(t, dir), mustDecode(t, "kubectl kustomize "+dir, out)
		// kubectl sorts them in another way.
		for _, list := range [][]object{ours, theirs} {
			slices.SortFunc(list, func(a, b object) int { return strings.Compare(a.kind+" "+a.name, b.kind+" "+b.name) })
		}
		if names(ours) != names(theirs) {
			t.Fatalf("%s: the library makes %s; kubectl makes %s", dir, names(ours), names(theirs))
		}
		for i, o := range ours {
			if !reflect.DeepEqual(o.any, theirs[i].any) {
				t.Errorf("%s: %s %s differs", dir, o.kind, o.name)
			}
		}
	}
}

package packagetest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goreleaser/goreleaser/v2/pkg/config"
)

// release reads the file as goreleaser does: a field that it does not know is an
// error.
func release(t *testing.T) config.Project {
	t.Helper()
	project, err := config.Load("../goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// TestReleaseIsBuiltAsStatic: with the flags of "make static", for all six targets.
func TestReleaseIsBuiltAsStatic(t *testing.T) {
	builds := release(t).Builds
	if len(builds) != 1 {
		t.Fatalf("%d builds", len(builds))
	}
	b := builds[0]
	if !slices.Equal(b.Goos, []string{"linux", "darwin", "windows"}) || !slices.Equal(b.Goarch, []string{"amd64", "arm64"}) || len(b.Ignore) > 0 {
		t.Errorf("it is built for %v × %v", b.Goos, b.Goarch)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	recipe := regexp.MustCompile(`(?m)^static:.*\n\t@CGO_ENABLED=0 go build (.*) -ldflags "(.*)" -o`).FindStringSubmatch(string(makefile))
	if recipe == nil {
		t.Fatal("the Makefile has no static as this test knows it")
	}
	if !slices.Equal(b.Flags, strings.Fields(recipe[1])) || !slices.Contains(b.Env, "CGO_ENABLED=0") {
		t.Errorf("it is built with %v and %v, make static with %s", b.Env, b.Flags, recipe[1])
	}
	want := strings.NewReplacer("$(VERSION)", "v{{ .Version }}", "$(REVISION)", "{{ .FullCommit }}", "$(DATE)", "{{ .CommitDate }}").Replace(recipe[2])
	if len(b.Ldflags) != 1 || b.Ldflags[0] != want {
		t.Errorf("it is linked with %v, make static with %s", b.Ldflags, want)
	}
}

// TestReleaseFindsItsFiles: what archives, packages and images are made of is there.
func TestReleaseFindsItsFiles(t *testing.T) {
	p := release(t)
	var sources []string
	for _, a := range p.Archives {
		for _, f := range a.Files {
			sources = append(sources, strings.Replace(f.Source, "**/", "*/", 1))
		}
	}
	for _, n := range p.NFPMs {
		for _, c := range n.Contents {
			if c.Source != "" {
				sources = append(sources, c.Source)
			}
		}
	}
	for _, d := range p.DockersV2 {
		sources = append(append(sources, d.Dockerfile), d.ExtraFiles...)
		text, err := os.ReadFile("../Dockerfile")
		if err != nil {
			t.Fatal(err)
		}
		for _, source := range d.ExtraFiles {
			if !regexp.MustCompile(`(?m)^COPY .*\b` + regexp.QuoteMeta(source) + `\b`).Match(text) {
				t.Errorf("the image gets %s, and the Dockerfile does not copy it", source)
			}
		}
		for name := range d.BuildArgs {
			if !strings.Contains(string(text), "\nARG "+name+"=") {
				t.Errorf("the Dockerfile has no argument %s", name)
			}
		}
	}
	for _, source := range sources {
		if found, err := filepath.Glob(filepath.Join("../..", source)); err != nil || len(found) == 0 {
			t.Errorf("there is no %s (%v)", source, err)
		}
	}
}

// TestReleaseSignsAndLists: checksums, SBOMs and signatures are not forgotten.
func TestReleaseSignsAndLists(t *testing.T) {
	p := release(t)
	if len(p.Signs) == 0 || p.Signs[0].Artifacts != "checksum" || len(p.DockerSigns) == 0 || len(p.SBOMs) == 0 || p.Checksum.Disable {
		t.Errorf("signs %v and %v, lists %v", p.Signs, p.DockerSigns, p.SBOMs)
	}
}

//go:build unix

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// instruction is one of a Dockerfile, its lines joined.
type instruction struct{ name, args string }

// stages reads a Dockerfile as far as ours goes: no heredocs, no escapes but at the
// end of a line. The first stage holds what stands before any FROM.
func stages(t *testing.T, text string) (list [][]instruction) {
	t.Helper()
	list = [][]instruction{nil}
	text = regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		if line = strings.Join(strings.Fields(line), " "); line == "" {
			continue
		}
		name, args, _ := strings.Cut(line, " ")
		if !slices.Contains(known, name) {
			t.Fatalf("%q is no instruction", line)
		}
		if name == "FROM" {
			list = append(list, nil)
		}
		list[len(list)-1] = append(list[len(list)-1], instruction{name, args})
	}
	return list
}

var known = strings.Fields("ARG FROM ENV WORKDIR COPY RUN LABEL USER EXPOSE STOPSIGNAL HEALTHCHECK ENTRYPOINT CMD")

// all returns what the instructions of a name say.
func all(stage []instruction, name string) (args []string) {
	for _, i := range stage {
		if i.name == name {
			args = append(args, i.args)
		}
	}
	return args
}

const repository = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// dockerfile returns the stage that builds and the one that is the image.
func dockerfile(t *testing.T) (head, build, final []instruction) {
	t.Helper()
	list := stages(t, read(t, "deploy/Dockerfile"))
	if len(list) != 3 {
		t.Fatalf("there are %d stages, not two", len(list)-1)
	}
	return list[0], list[1], list[2]
}

// TestTheImageIsSmallAndHarmless: nothing below the program, a user that is a number
// and not root's, a health check and an entry point that need no shell.
func TestTheImageIsSmallAndHarmless(t *testing.T) {
	_, _, final := dockerfile(t)
	number := strconv.Itoa(user)
	for name, want := range map[string]string{
		"FROM": "scratch", "USER": number + ":" + number, "STOPSIGNAL": "SIGTERM", "COPY": "--from=build /image/ /",
		"ENTRYPOINT": `["/` + programPath + `"]`, "CMD": `["serve"]`,
	} {
		if got := all(final, name); len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	health := all(final, "HEALTHCHECK")
	if len(health) != 1 {
		t.Fatal("there is not one health check")
	}
	_, form, _ := strings.Cut(health[0], "CMD ")
	var command []string
	if err := json.Unmarshal([]byte(form), &command); err != nil || len(command) < 2 || command[0] != "/"+programPath || command[1] != "healthcheck" {
		t.Errorf("%s: not the program's own check without a shell (%v)", form, err)
	}
}

// TestTheImageHoldsWhatIsChecked: layout.go lays out what the Dockerfile builds.
func TestTheImageHoldsWhatIsChecked(t *testing.T) {
	_, build, _ := dockerfile(t)
	runs := strings.Join(all(build, "RUN"), "\n")
	for _, path := range []string{programPath, passwdPath, certsPath} {
		if !strings.Contains(runs, "/image/"+path) {
			t.Errorf("/%s is checked, and not in the image", path)
		}
	}
	if !strings.Contains(runs, `echo "`+strings.TrimSpace(passwd)+`" > /image/etc/passwd`) {
		t.Error("the image has another user than the check")
	}
	// And no other file.
	if targets := regexp.MustCompile(`(?:-o|>|\.crt) /image/`).FindAllString(runs, -1); len(targets) != 3 {
		t.Errorf("%d files come into the image, three are checked", len(targets))
	}
}

// TestItIsBuiltAsItIsReleased: the same flags as "make static", and Go as go.mod has it.
func TestItIsBuiltAsItIsReleased(t *testing.T) {
	head, build, _ := dockerfile(t)
	recipe := regexp.MustCompile(`go build (.*) -o \S+ (\./cmd/sidegate)`)
	image := recipe.FindStringSubmatch(strings.Join(all(build, "RUN"), "\n"))
	made := recipe.FindStringSubmatch(read(t, "Makefile")[strings.Index(read(t, "Makefile"), "\nstatic:"):])
	if image == nil || made == nil {
		t.Fatal("there is no go build in the Dockerfile or in the Makefile's static")
	}
	if got, want := strings.NewReplacer("${", "$(", "}", ")").Replace(image[1]), made[1]; got != want {
		t.Errorf("the Dockerfile builds with\n%s\nand make static with\n%s", got, want)
	}
	if !slices.Contains(all(build, "ENV"), "CGO_ENABLED=0") {
		t.Error("the Dockerfile does not build without C")
	}
	version := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, "go.mod"))[1]
	if !slices.Contains(all(head, "ARG"), "GO_VERSION="+version) {
		t.Errorf("go.mod says Go %s, the Dockerfile %q", version, all(head, "ARG"))
	}
}

// TestEverySourceIsCopied: what the program is made of is in the build, and is let
// through by the ignore file; what is copied exists.
func TestEverySourceIsCopied(t *testing.T) {
	_, build, _ := dockerfile(t)
	var copied []string
	for _, args := range all(build, "COPY") {
		words := strings.Fields(args)
		for _, source := range words[:len(words)-1] {
			if _, err := os.Stat(filepath.Join(repository, source)); err != nil {
				t.Errorf("COPY %s: %v", args, err)
			}
			copied = append(copied, source)
		}
	}
	seen := allowed(read(t, "deploy/Dockerfile.dockerignore"))
	for _, source := range copied {
		if !slices.Contains(seen, source) {
			t.Errorf("%s is copied, and the ignore file hides it", source)
		}
	}
	for _, source := range seen {
		if !slices.Contains(copied, source) {
			t.Errorf("the ignore file lets %s through, and nothing copies it", source)
		}
	}
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if .Main}}{{$.ImportPath}}{{end}}{{end}}", module+"/cmd/sidegate").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		folder, _, _ := strings.Cut(strings.TrimPrefix(path, module+"/"), "/")
		if !slices.Contains(copied, folder) {
			t.Errorf("the program needs %s, and %s is not copied", path, folder)
		}
	}
}

const module = "github.com/sidegate/sidegate"

// allowed returns what an ignore file that begins by hiding everything shows again.
func allowed(text string) (names []string) {
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "!"); ok {
			names = append(names, name)
		}
	}
	return names
}

func TestIgnoreBeginsWithEverything(t *testing.T) {
	for line := range strings.Lines(read(t, "deploy/Dockerfile.dockerignore")) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if line != "*" {
			t.Errorf("the first rule is %q, not *: what lies around could end in a layer", line)
		}
		return
	}
}

package kubetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"go.uber.org/goleak"
)

// Where the pages find our kustomizations, and the version that they pin.
const remoteKustomize = "https://github.com/sidegate/sidegate//deploy/kustomize"

var pinned = regexp.MustCompile(`(\S)\?ref=v[0-9.]+`)

// program is the built sidegate.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kubetest")
	if err == nil {
		program = filepath.Join(dir, "sidegate")
		build := exec.Command("go", "build", "-buildvcs=false", "-o", program, "./cmd/sidegate")
		build.Dir = filepath.Join("..", "..")
		build.Stderr = os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build sidegate:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

package harness

import (
	"os"
	"os/exec"
	"testing"
)

// NeedTool returns where a program is installed. Where it is not, the test is
// skipped with a sentence that names the Debian package; in CI, which installs
// what it needs, it fails.
func NeedTool(t testing.TB, tool, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") != "":
		t.Fatalf("%s is not installed, and in CI it must be: .ci/prometheus installs the Debian package %s", tool, pkg)
	default:
		t.Skipf("%s is not installed: install the Debian package %s (make alerts does, if it may)", tool, pkg)
	}
	return ""
}

// Tool runs a program to its end in a folder of the repository and returns what it
// printed. An exit code other than 0 fails the test.
func Tool(t testing.TB, dir, tool string, args ...string) string {
	t.Helper()
	cmd := exec.Command(tool, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", tool, args, err, out)
	}
	return string(out)
}

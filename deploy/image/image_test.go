//go:build unix

package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOnlyStatic: what needs a loader would not start in an image that has none.
func TestOnlyStatic(t *testing.T) {
	const shell = "/bin/sh"
	if text, err := os.ReadFile(shell); err != nil || !bytes.Contains(text, []byte("/ld-")) {
		t.Skipf("%s names no loader here (%v)", shell, err)
	}
	if _, err := lay(shell); err == nil || !strings.Contains(err.Error(), "not static") {
		t.Errorf("an image of a program that needs a loader: %v", err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := static(text); err == nil {
		t.Error("a text counts as a static program")
	}
}

// newImage is an image with these files and no program.
func newImage(t *testing.T, files map[string]string) *image {
	t.Helper()
	img := &image{root: filepath.Join(t.TempDir(), "root")}
	for name, text := range files {
		if err := img.put(name, []byte(text), 0o444); err != nil {
			t.Fatal(err)
		}
	}
	if err := img.close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(img.remove)
	return img
}

// TestFilesAreCounted: what the image holds is listed with sizes, and a file that
// was not there before is seen.
func TestFilesAreCounted(t *testing.T) {
	img := newImage(t, map[string]string{"a": "12345", "etc/deep/b": "123"})
	files, err := img.files()
	if err != nil {
		t.Fatal(err)
	}
	if want := []file{{"/a", 5}, {"/etc/deep/b", 3}}; len(files) != 2 || files[0] != want[0] || files[1] != want[1] || total(files) != 8 {
		t.Errorf("%v, %d bytes", files, total(files))
	}
	if err := img.unchanged(files); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(img.root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(img.root, "left"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := img.unchanged(files); err == nil {
		t.Error("a file that was left behind is not seen")
	}
}

func TestBounds(t *testing.T) {
	err := errors.Join(bounded("small", 10, 10), bounded("large", 11e6, 10e6))
	if err == nil || strings.Contains(err.Error(), "small") || !strings.Contains(err.Error(), "large: 11.00 MB are more than 10 MB") {
		t.Errorf("%v", err)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"check"}, {"build", "x"}, {"check", "a", "b"}} {
		if err := run(t.Context(), args); err == nil || !strings.Contains(err.Error(), "usage:") {
			t.Errorf("%v: %v", args, err)
		}
	}
}

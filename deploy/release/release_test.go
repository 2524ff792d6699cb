package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

// copyOfTest is a binary that is at hand: this test.
func copyOfTest(t *testing.T, folder string) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "program"), data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestDescribe: the SBOM names what is linked, the checksums are those of the files,
// and a second run changes nothing.
func TestDescribe(t *testing.T) {
	folder := t.TempDir()
	copyOfTest(t, folder)
	var before map[string]string
	for range 2 {
		if err := describe(folder); err != nil {
			t.Fatal(err)
		}
		files := map[string]string{}
		for _, name := range []string{"program" + sbomSuffix, checksumsFile} {
			text, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				t.Fatal(err)
			}
			if files[name] = string(text); before != nil && before[name] != files[name] {
				t.Errorf("%s is another one the second time", name)
			}
		}
		before = files
	}
	for line := range strings.Lines(before[checksumsFile]) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		data, err := os.ReadFile(filepath.Join(folder, name))
		if got := sha256.Sum256(data); err != nil || hex.EncodeToString(got[:]) != sum {
			t.Errorf("the checksum of %s is wrong (%v)", name, err)
		}
	}
	var b bom
	if err := json.Unmarshal([]byte(before["program"+sbomSuffix]), &b); err != nil {
		t.Fatal(err)
	}
	info, _ := debug.ReadBuildInfo()
	if b.Format != "CycloneDX" || b.Metadata.Component.Name != info.Main.Path || len(b.Components) != len(info.Deps)+1 {
		t.Errorf("%s of %s with %d components, want %s with %d and Go itself", b.Format, b.Metadata.Component.Name, len(b.Components), info.Main.Path, len(info.Deps))
	}
}

func TestDescribeRefuses(t *testing.T) {
	if err := describe(t.TempDir()); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("an empty folder: %v", err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "text"), []byte("no binary"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := describe(folder); err == nil || !strings.Contains(err.Error(), "text") {
		t.Errorf("a file that is no program: %v", err)
	}
}

func TestPackageURL(t *testing.T) {
	if got := library("github.com/MicahParks/jwkset", "v1.0.0+incompatible").PURL; got != "pkg:golang/github.com/micahparks/jwkset@v1.0.0%2Bincompatible" {
		t.Error(got)
	}
}

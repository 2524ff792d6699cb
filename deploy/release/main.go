// Command release writes what stands beside the binaries of a release: for each a
// list of what it is made of (an SBOM, CycloneDX 1.6 in JSON), and the checksums of
// all. It reads the binaries alone, so that it needs no network, and writes the same
// for the same binaries.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	sbomSuffix    = ".cdx.json"
	checksumsFile = "checksums.txt"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./deploy/release FOLDER   describe the binaries of a folder")
		os.Exit(2)
	}
	if err := describe(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// describe writes the SBOM of every binary in a folder, then the checksums of
// everything there. What an earlier run wrote is written anew.
func describe(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), sbomSuffix) || e.Name() == checksumsFile || e.IsDir() {
			continue
		}
		sbom, err := sbomOf(filepath.Join(folder, e.Name()))
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name(), err)
		}
		if err := os.WriteFile(filepath.Join(folder, e.Name()+sbomSuffix), sbom, 0o644); err != nil {
			return err
		}
		names = append(names, e.Name(), e.Name()+sbomSuffix)
	}
	if len(names) == 0 {
		return fmt.Errorf("there is nothing in %s to describe", folder)
	}
	slices.Sort(names)
	return writeChecksums(folder, names)
}

// writeChecksums writes what `sha256sum --check` reads.
func writeChecksums(folder string, names []string) (err error) {
	f, err := os.Create(filepath.Join(folder, checksumsFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		if _, err := fmt.Fprintf(w, "%s  %s\n", hex.EncodeToString(sum[:]), name); err != nil {
			return err
		}
	}
	return w.Flush()
}

// component is a part, or the whole, in the words of CycloneDX.
type component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl"`
	Hashes  []hash `json:"hashes,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type bom struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
}

type metadata struct {
	Component component `json:"component"`
}

// sbomOf lists the modules that are linked into a binary, and the Go that did it, as
// the binary itself says.
func sbomOf(file string) ([]byte, error) {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("it does not say what it is made of: %w", err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	whole := library(info.Main.Path, info.Main.Version)
	whole.Type, whole.Hashes = "application", []hash{{"SHA-256", hex.EncodeToString(sum[:])}}
	b := bom{Format: "CycloneDX", Spec: "1.6", Version: 1, Metadata: metadata{whole}}
	b.Components = append(b.Components, library("std", strings.TrimPrefix(info.GoVersion, "go")))
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		b.Components = append(b.Components, library(m.Path, m.Version))
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err = encoder.Encode(b)
	return out.Bytes(), err
}

// library names a module as package URLs do.
func library(path, version string) component {
	purl := "pkg:golang/" + strings.ToLower(path) + "@" + strings.ReplaceAll(version, "+", "%2B")
	return component{Type: "library", Ref: purl, Name: path, Version: version, PURL: purl}
}

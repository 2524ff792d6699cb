// Command generate writes the Grafana dashboards of deploy/grafana/dashboards.
//
// They are made from Go, so that what they have in common is written once and a
// test can hold every panel to it. `make docs` runs this; what is shipped is what
// it writes, byte for byte.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	dir := flag.String("dir", filepath.Join("deploy", "grafana", "dashboards"), "where to write")
	flag.Parse()
	if err := write(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "write the dashboards:", err)
		os.Exit(1)
	}
}

// write makes a file UID.json of every dashboard.
func write(dir string) error {
	files, err := files()
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// files returns the dashboards by the names of their files.
func files() (map[string][]byte, error) {
	made := map[string][]byte{}
	for _, d := range dashboards() {
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false) // expressions are full of < and >, and people read them
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(d); err != nil {
			return nil, fmt.Errorf("%s: %w", d.UID, err)
		}
		made[d.UID+".json"] = text.Bytes()
	}
	return made, nil
}

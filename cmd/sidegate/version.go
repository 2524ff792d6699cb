package main

import (
	"encoding/json"
	"fmt"

	"github.com/sidegate/sidegate/metrics"
)

// These are set by the linker (see the Makefile and deploy/Dockerfile); empty = what
// the compiler knows.
var version, buildRevision, buildDate string

// build says which program this is, for the version command, the ops listener
// and the metric build_info.
func build() metrics.Build {
	return metrics.ReadBuild(metrics.Build{Version: version, Revision: buildRevision, Date: buildDate})
}

// versionCmd prints what /version of the ops listener answers.
type versionCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run prints the version.
func (c *versionCmd) Run(p *program) error {
	b := build()
	if !c.JSON {
		p.say("sidegate %s, revision %s of %s, built with %s", b.Version, b.Revision, b.Date, b.GoVersion)
		return nil
	}
	text, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("encode version: %w", err)
	}
	p.say("%s", text)
	return nil
}

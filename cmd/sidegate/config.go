package main

import (
	"errors"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
)

type configCmd struct {
	Print    configPrintCmd    `cmd:"" help:"Print the configuration that is in force, without secrets."`
	Validate configValidateCmd `cmd:"" help:"Say whether serve would start with this configuration; nothing is started."`
}

type configPrintCmd struct {
	configFlags
	Format string `enum:"yaml,json" default:"yaml" placeholder:"FORMAT" help:"yaml or json (default yaml)."`
}

// Run prints the configuration.
func (c *configPrintCmd) Run(p *program) error {
	cfg, err := c.load(p)
	if err != nil {
		return err
	}
	text, err := printConfig(cfg, c.Format)
	if err != nil {
		return err
	}
	_, err = p.stdout.Write(text)
	return err
}

func printConfig(cfg *config.Config, format string) ([]byte, error) {
	if format == "json" {
		return cfg.JSON()
	}
	return cfg.YAML()
}

type configValidateCmd struct {
	configFlags
	Strict bool `help:"Fail on warnings too."`
}

// Run checks the configuration.
func (c *configValidateCmd) Run(p *program) error {
	cfg, err := c.load(p)
	if err != nil {
		return err
	}
	if err := cfg.CheckServe(); err != nil {
		return usageError{err}
	}
	for _, w := range cfg.Warnings {
		p.say("warning: %s", w)
	}
	if c.Strict && len(cfg.Warnings) > 0 {
		return usageError{errors.New("there are warnings, and --strict was given")}
	}
	p.say("The configuration is valid.")
	return nil
}

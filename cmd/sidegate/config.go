package main

import (
	"errors"
	"log/slog"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/sync/postgres"
)

// configCmd looks at the configuration without starting anything.
type configCmd struct {
	Print    configPrintCmd    `cmd:"" help:"Print the configuration that is in force, without secrets."`
	Validate configValidateCmd `cmd:"" help:"Say whether serve would start with this configuration; nothing is started."`
}

// configPrintCmd answers "what is in force?". It takes the flags of serve, so that
// a command line can be tried by changing one word.
type configPrintCmd struct {
	configFlags
	Format string `enum:"yaml,json" default:"yaml" placeholder:"FORMAT" help:"yaml or json (default yaml)."`
}

// Run prints the configuration. One that cannot be started is printed as well: it
// may be what one wants to look at.
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

// configValidateCmd answers "would it start?".
type configValidateCmd struct {
	configFlags
	Strict bool `help:"Fail on warnings too."`
}

// Run checks the configuration as serve does, files of tokens included. It does
// not connect to the database: a build machine may have none.
func (c *configValidateCmd) Run(p *program) error {
	cfg, err := c.load(p)
	if err != nil {
		return err
	}
	if err := cfg.CheckServe(); err != nil {
		return usageError{err}
	}
	if err := postgres.CheckURL(cfg.Postgres.URL); err != nil {
		return usageError{err}
	}
	if _, err := newAccess(cfg, nil, slog.New(slog.DiscardHandler)); err != nil {
		return err
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

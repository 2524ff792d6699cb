package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"text/tabwriter"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/sync/postgres"
)

// configCmd looks at the configuration without starting anything.
type configCmd struct {
	Print    configPrintCmd    `cmd:"" help:"Print the configuration that is in force and where each value comes from, without secrets."`
	Validate configValidateCmd `cmd:"" help:"Say whether serve would start with this configuration; nothing is started."`
	Docs     configDocsCmd     `cmd:"" help:"Print the reference of all keys, in Markdown."`
	Schema   configSchemaCmd   `cmd:"" help:"Print a JSON Schema of the configuration file, for editors and pipelines."`
	Env      configEnvCmd      `cmd:"" help:"Print the names of all keys: in the file, as a variable and as a flag."`
}

// configPrintCmd answers "what is in force, and why?". It takes the flags of serve,
// so that a command line can be tried by changing one word.
type configPrintCmd struct {
	configFlags
	Format string `enum:"yaml,json,env" default:"yaml" placeholder:"FORMAT" help:"yaml, json or env (default yaml). yaml and env say in comments where a value comes from; json has it beside the values, as sources."`
}

// Run prints the configuration. One that cannot be started is printed as well: it
// may be what one wants to look at. Files of secrets are not opened; they are not
// shown either.
func (c *configPrintCmd) Run(p *program) error {
	cfg, err := loadConfig(c.source(p))
	if err != nil {
		return err
	}
	text, err := printConfig(cfg, c.Format)
	if err != nil {
		return err
	}
	return p.write(text)
}

func printConfig(cfg *config.Config, format string) ([]byte, error) {
	switch format {
	case "json":
		return cfg.JSON()
	case "env":
		return cfg.Env(), nil
	}
	return cfg.YAML()
}

// configDocsCmd prints what docs/reference holds, of this very version.
type configDocsCmd struct{}

// Run prints the reference.
func (*configDocsCmd) Run(p *program) error { return p.write([]byte(config.Reference())) }

// configSchemaCmd prints the schema of this very version.
type configSchemaCmd struct{}

// Run prints the schema.
func (*configSchemaCmd) Run(p *program) error { return p.write(config.Schema()) }

// configEnvCmd answers "what is it called?".
type configEnvCmd struct{}

// Run prints one line a key.
func (*configEnvCmd) Run(p *program) error {
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { _, _ = fmt.Fprintln(table, strings.Join(cells, "\t")) } // Flush tells
	row("VARIABLE", "KEY", "FLAG", "TYPE", "RELOAD")
	for _, k := range config.Keys() {
		reload, flag := "restart", "-"
		if k.Hot {
			reload = "hot"
		}
		if k.Flag != "" {
			flag = "--" + k.Flag
		}
		row(cmp.Or(k.Env(), "-"), k.Path, flag, k.Type(), reload)
	}
	for _, name := range programVariables {
		row(name, "-", "-", programVariable[name], "-")
	}
	return table.Flush()
}

// write prints a result as it is.
func (p *program) write(text []byte) error {
	_, err := p.stdout.Write(text)
	return err
}

// configValidateCmd answers "would it start?".
type configValidateCmd struct {
	configFlags
	Strict bool `help:"Fail on warnings too."`
}

// Help is shown by config validate --help.
func (*configValidateCmd) Help() string {
	return "Reads every file that a value names, as serve does; connects to nothing. Exit code 2 means that serve " +
		"would refuse it, or with --strict that there is a warning: a secret in a file that every account may read, " +
		"insecure, a database role that is the superuser by its name, a database that need not prove who it is, " +
		"tokens that open nothing, signed tokens of any audience."
}

// Run checks the configuration as serve does, files of secrets included. It does
// not connect to the database: a build machine may have none.
func (c *configValidateCmd) Run(p *program) error {
	cfg, err := c.load(p)
	if err != nil {
		return err
	}
	if err := checkServe(cfg); err != nil {
		return err
	}
	warnings := cfg.Warnings
	if w := cfg.SuperuserByName(); w != "" {
		warnings = append(warnings, w)
	}
	if hosts := postgres.Unproven(cfg.Postgres.URL); len(hosts) > 0 {
		warnings = append(warnings, fmt.Sprintf("%s: reached over a network, %s need not prove to be the database; add sslmode=verify-full",
			cfg.Place("postgres", "url"), strings.Join(hosts, ", ")))
	}
	for _, w := range warnings {
		p.say("warning: %s", w)
	}
	if c.Strict && len(warnings) > 0 {
		return usageError{errors.New("there are warnings, and --strict was given")}
	}
	p.say("The configuration is valid.")
	return nil
}

// checkServe returns nil if serve would start with a configuration, as far as that
// can be told without connecting to anything.
func checkServe(cfg *config.Config) error {
	if err := cfg.CheckServe(); err != nil {
		return usageError{err}
	}
	if err := postgres.CheckURL(cfg.Postgres.URL); err != nil {
		return usageError{fmt.Errorf("%s: %w", cfg.Place("postgres", "url"), err)}
	}
	_, err := newAccess(cfg, &verifiers{log: slog.New(slog.DiscardHandler)})
	return err
}

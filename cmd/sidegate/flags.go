package main

import (
	"errors"
	"strconv"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
)

// The variables with our prefix that are no configuration keys.
const (
	envConfig   = config.EnvPrefix + "CONFIG"
	envToken    = config.EnvPrefix + "TOKEN"
	envCheckURL = config.EnvPrefix + "CHECK_URL"
	envAPIURL   = config.EnvPrefix + "API_URL"
	envOpsURL   = config.EnvPrefix + "OPS_URL"
)

var programVariables = []string{envConfig, envToken, envCheckURL, envAPIURL, envOpsURL}

// fileFlag names the configuration file.
type fileFlag struct {
	Config string `placeholder:"FILE" help:"Configuration file, YAML (SIDEGATE_CONFIG)."`
}

// load reads the configuration with the flags that were given.
func (f fileFlag) load(p *program, flags map[string]string) (*config.Config, error) {
	file := f.Config
	if file == "" {
		file = p.getenv(envConfig)
	}
	c, err := config.Load(config.Source{File: file, Environ: p.environ, Programs: programVariables, Flags: flags})
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// databaseFlags are for the commands that open the database.
type databaseFlags struct {
	fileFlag
	PostgresURL *string `name:"postgres-url" placeholder:"URL" help:"The primary that holds the block lists (SIDEGATE_POSTGRES_URL)."`
}

// configFlags are the configuration keys that have a flag. A pointer is nil if
// its flag was not given: that is how an empty flag is told from none.
type configFlags struct {
	databaseFlags
	CheckListen *string `placeholder:"ADDR,…" help:"Where decisions are asked for: host:port or unix:///path?mode=0660, empty = off (SIDEGATE_CHECK_LISTEN)."`
	APIListen   *string `name:"api-listen" placeholder:"ADDR,…" help:"Where block lists are served (SIDEGATE_API_LISTEN)."`
	OpsListen   *string `placeholder:"ADDR,…" help:"Where metrics and probes are served (SIDEGATE_OPS_LISTEN)."`
	LogLevel    *string `placeholder:"LEVEL" help:"debug, info, warn or error (SIDEGATE_LOG_LEVEL)."`
	LogFormat   *string `placeholder:"FORMAT" help:"text or json (SIDEGATE_LOG_FORMAT)."`
	Insecure    *bool   `help:"Start although a listener that other machines reach asks for no credential (SIDEGATE_INSECURE)."`
}

// values returns the flags that were given by the path of their key.
func (f *databaseFlags) values() map[string]string {
	values := map[string]string{}
	if f.PostgresURL != nil {
		values["postgres.url"] = *f.PostgresURL
	}
	return values
}

// values returns the flags that were given by the path of their key.
func (f *configFlags) values() map[string]string {
	values := f.databaseFlags.values()
	for path, flag := range map[string]*string{
		"check.listen": f.CheckListen, "api.listen": f.APIListen, "ops.listen": f.OpsListen,
		"log.level": f.LogLevel, "log.format": f.LogFormat,
	} {
		if flag != nil {
			values[path] = *flag
		}
	}
	if f.Insecure != nil {
		values["insecure"] = strconv.FormatBool(*f.Insecure)
	}
	return values
}

// load reads the configuration that a server starts with.
func (f *configFlags) load(p *program) (*config.Config, error) {
	return f.fileFlag.load(p, f.values())
}

// database reads the configuration and returns the DSN of the database.
func (f *databaseFlags) database(p *program) (string, error) {
	c, err := f.fileFlag.load(p, f.values())
	if err != nil {
		return "", err
	}
	if c.Postgres.URL == "" {
		return "", usageError{errors.New("postgres.url is empty: give --postgres-url, SIDEGATE_POSTGRES_URL or the key in the file")}
	}
	return c.Postgres.URL, nil
}

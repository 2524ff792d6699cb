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
	envCAFile   = config.EnvPrefix + "CA_FILE"
	envCertFile = config.EnvPrefix + "CERT_FILE"
	envKeyFile  = config.EnvPrefix + "KEY_FILE"
)

var programVariables = []string{envConfig, envToken, envCheckURL, envAPIURL, envOpsURL, envCAFile, envCertFile, envKeyFile}

// programVariable says what each of them is.
var programVariable = map[string]string{
	envConfig:   "path of the configuration file",
	envToken:    "token of a client",
	envCheckURL: "check listener that a client asks",
	envAPIURL:   "api listener that a client asks",
	envOpsURL:   "ops listener that a client asks",
	envCAFile:   "authorities that a client of https believes",
	envCertFile: "certificate that a client of https shows",
	envKeyFile:  "private key of that certificate",
}

// fileFlag names the configuration file.
type fileFlag struct {
	Config string `placeholder:"FILE" help:"Configuration file, YAML (SIDEGATE_CONFIG)."`
}

// source is where the configuration comes from, with the flags that were given.
func (f fileFlag) source(p *program, flags map[string]string) config.Source {
	file := f.Config
	if file == "" {
		file = p.getenv(envConfig)
	}
	return config.Source{File: file, Environ: p.environ, Programs: programVariables, Flags: flags}
}

// loadConfig reads a configuration; what is wrong with it is a wrong usage.
func loadConfig(src config.Source) (*config.Config, error) {
	c, err := config.Load(src)
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
	LogFormat   *string `placeholder:"FORMAT" help:"auto, text or json (SIDEGATE_LOG_FORMAT)."`
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

// source is where a server's configuration comes from.
func (f *configFlags) source(p *program) config.Source {
	return f.fileFlag.source(p, f.values())
}

// load reads the configuration that a server starts with, and the files of
// secrets that it names.
func (f *configFlags) load(p *program) (*config.Config, error) {
	src := f.source(p)
	src.Open = true
	return loadConfig(src)
}

// database reads the configuration and returns the DSN of the database.
func (f *databaseFlags) database(p *program) (string, error) {
	c, err := f.configured(p)
	if err != nil {
		return "", err
	}
	return c.Postgres.URL, nil
}

// configured reads the configuration, which names a database.
func (f *databaseFlags) configured(p *program) (*config.Config, error) {
	src := f.fileFlag.source(p, f.values())
	src.Open = true
	c, err := loadConfig(src)
	if err != nil {
		return nil, err
	}
	if c.Postgres.URL == "" {
		return nil, usageError{errors.New("postgres.url is empty: give --postgres-url, SIDEGATE_POSTGRES_URL or the key in the file")}
	}
	return c, nil
}

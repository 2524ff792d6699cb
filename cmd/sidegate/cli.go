package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// grammar is the command line: kong reads it from the fields and their tags, the
// reference page is made from it. Every command has a file of its own.
type grammar struct {
	Version kong.VersionFlag `name:"version" help:"Print the version and exit."`

	Serve serveCmd `cmd:"" help:"Answer decisions and serve block lists, on a Postgres of yours."`
	Dev   devCmd   `cmd:"" help:"The same on a private Postgres with demo data: nothing has to be set up."`

	Check   checkCmd   `cmd:"" help:"Ask a running sidegate whether a message may be delivered."`
	Block   blockCmd   `cmd:"" help:"Put somebody on a user's block list."`
	Unblock unblockCmd `cmd:"" help:"Take somebody off a user's block list."`
	List    listCmd    `cmd:"" help:"Show a user's block list, newest first."`
	Users   usersCmd   `cmd:"" help:"Keep the directory of users: put, get, delete, import."`
	Import  importCmd  `cmd:"" help:"Put the lines of a file on the lists of an app."`
	Export  exportCmd  `cmd:"" help:"Write all lists of an app to a file."`

	Replay replayCmd `cmd:"" help:"Ask recorded questions again and tell where the answers differ."`
	Probe  probeCmd  `cmd:"" help:"Write to lists of its own and measure when each sidecar answers it."`

	Status      statusCmd      `cmd:"" help:"Show the state of a running sidegate: feed, memory, listeners."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask a probe of a running sidegate; for containers without curl."`
	Migrate     migrateCmd     `cmd:"" help:"Make, remove or compare the schema in the database."`
	DB          dbCmd          `cmd:"" name:"db" help:"Keep the database in order: audit and repair, erase a user, trim, start over."`
	Config      configCmd      `cmd:"" help:"Print or check the configuration."`
	Token       tokenCmd       `cmd:"" help:"Make a token, and the hash of it that the configuration needs."`
	VersionCmd  versionCmd     `cmd:"" name:"version" help:"Print the version."`
	Docs        docsCmd        `cmd:"" hidden:"" help:"Write the generated pages of the reference."`
}

// serveCmd runs the server on a database that is there; see serve.go.
type serveCmd struct {
	configFlags
}

// devCmd runs the server on a private Postgres; see dev.go.
type devCmd struct {
	configFlags
	DataDir string `default:".sidegate" placeholder:"DIR" help:"Where the private Postgres keeps its data (default .sidegate). A second start finds it again."`
}

const description = `A sidecar that decides whether a chat message may be delivered.

Exit codes: 0 done, or allowed · 1 withheld (check --exit-code), or different (replay --exit-code), or answered wrongly (probe), or damage that is not repaired (db audit) · 2 wrong usage, configuration or credential · 3 no server reached, or not ready · 4 the store or a migration failed.`

// program is what a command sees of the world. Nothing in this package reads the
// environment, the clock or the streams of the process elsewhere, so a test runs
// a whole command line without a process.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string // as os.Environ returns it
	now            func() time.Time
	// hangup begins to catch SIGHUP, until stop; nil = it is not caught.
	hangup func() (signals <-chan os.Signal, stop func())
}

// hangups are the signals that ask a server to read its configuration again. A
// command that does not ask for them ends with its terminal, as ever.
func (p *program) hangups() (signals <-chan os.Signal, stop func()) {
	if p.hangup == nil {
		return nil, func() {}
	}
	return p.hangup()
}

// catchHangup catches SIGHUP. Several that come during a reload are one.
func catchHangup() (signals <-chan os.Signal, stop func()) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	return caught, func() { signal.Stop(caught) }
}

// getenv returns the value of a variable, "" if it is not set.
func (p *program) getenv(name string) string {
	for _, entry := range p.environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// say prints one line of result.
func (p *program) say(format string, args ...any) {
	_, _ = fmt.Fprintf(p.stdout, format+"\n", args...) // whoever closed the output does not want it
}

// execute runs one command line of the process and returns its exit code.
func execute(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks for an orderly end. From then on signals have
	// their default again, so that a second one ends a process that hangs.
	context.AfterFunc(ctx, stop)
	return run(ctx, args, &program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ(), now: time.Now, hangup: catchHangup})
}

// run parses a command line, carries it out until it is done or ctx ends, and
// returns the exit code.
func run(ctx context.Context, args []string, p *program) int {
	var helped bool
	parser, err := newParser(p, func(int) { helped = true })
	if err != nil {
		return p.fail(fmt.Errorf("command line grammar: %w", err))
	}
	if len(args) == 0 {
		args = []string{"--help"} // nothing at all is a question, not a mistake
	}
	command, err := parser.Parse(args)
	switch {
	case helped: // help was asked for and printed; what is missing beside it is no mistake
		return exitOK
	case err != nil:
		return p.fail(usageError{err})
	}
	command.BindTo(ctx, (*context.Context)(nil))
	return p.fail(command.Run(p))
}

// newParser makes the parser. kong ends the process after it has printed help;
// exit is called instead, and parsing goes on.
func newParser(p *program, exit func(int)) (*kong.Kong, error) {
	return kong.New(&grammar{},
		kong.Name("sidegate"),
		kong.Description(description),
		kong.Vars{"version": build().Version},
		kong.Writers(p.stdout, p.stderr),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.Exit(exit))
}

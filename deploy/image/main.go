//go:build unix

// Command image does what can be done about the container image where there is no
// engine to build it: it lays out the files that deploy/Dockerfile puts into the
// image, starts the program from them as the image would, and adds up their sizes.
//
// It builds no image, and says so.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const usage = `usage: go run ./deploy/image check BINARY   start it as the image would, ask a decision, stop it
       go run ./deploy/image size BINARY    print sizes and idle memory; fail over a bound`

// patience bounds a whole run: what is waited for takes seconds.
const patience = 3 * time.Minute

func main() { os.Exit(execute()) }

func execute() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func run(ctx context.Context, args []string) error {
	commands := map[string]func(context.Context, *image) error{"check": check, "size": size}
	if len(args) != 2 || commands[args[0]] == nil {
		return fmt.Errorf("%s", usage)
	}
	img, err := lay(args[1])
	if err != nil {
		return err
	}
	defer img.remove()
	return commands[args[0]](ctx, img)
}

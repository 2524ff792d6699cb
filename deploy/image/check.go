//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
)

// check starts the program from the image, asks what a user would, and stops it.
func check(ctx context.Context, img *image) (err error) {
	before, err := img.files()
	if err != nil {
		return err
	}
	fmt.Println("ok  the program is static") // or there would be no image to check
	s, err := serve(ctx, img)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop(context.WithoutCancel(ctx))) }()
	fmt.Println("ok  it made the schema over TCP, serves and has started")
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"it runs as " + img.who(), s.unprivileged},
		{"its health check is green", func() error { return s.healthy("readyz") }},
		{"it delivers, and stops delivering after a block", s.decides},
		{"SIGTERM ends it with 0", s.ends},
		{"its files are what they were", func() error { return img.unchanged(before) }},
	} {
		if err := step.run(); err != nil {
			return fmt.Errorf("%s: no: %w", step.name, err)
		}
		fmt.Println("ok ", step.name)
	}
	fmt.Printf("started from a folder with %d files and nothing else; no image was built\n", len(before))
	return nil
}

// who says as whom and where the program runs, for the report.
func (img *image) who() string {
	if img.jailed {
		return fmt.Sprintf("user %d, without a capability, in a root that it cannot write to", user)
	}
	return "whoever calls, in a folder that it cannot write to (an own root takes root)"
}

// unprivileged asks the kernel.
func (s *service) unprivileged() error {
	ids, err := s.status("Uid")
	if err != nil {
		return err
	}
	if slices.Contains(ids, "0") || s.image.jailed && ids[0] != strconv.Itoa(user) {
		return fmt.Errorf("its user ids are %v", ids)
	}
	caps, err := s.status("CapEff")
	if err != nil {
		return err
	}
	if n, err := strconv.ParseUint(caps[0], 16, 64); err != nil || n != 0 {
		return fmt.Errorf("its capabilities are %v", caps)
	}
	return nil
}

// decides asks before and after a block; the exit code of check is the answer.
func (s *service) decides() error {
	ask := []string{"check", "alice", "bob", "--exit-code"}
	if err := s.tool(ask...); err != nil {
		return fmt.Errorf("nobody has blocked anybody: %w", err)
	}
	if err := s.tool("block", "bob", "alice"); err != nil {
		return err
	}
	var exit *exec.ExitError
	if err := s.tool(ask...); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		return fmt.Errorf("bob has blocked alice, and the answer is not that: %w", err)
	}
	return nil
}

// ends sends the signal that engines send.
func (s *service) ends() error {
	s.process.Stop()
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("it ended with %d: %s", code, s.process.Output())
	}
	return nil
}

// unchanged holds the files to what they were.
func (img *image) unchanged(before []file) error {
	after, err := img.files()
	if err == nil && !slices.Equal(before, after) {
		err = fmt.Errorf("they were %v and are %v", before, after)
	}
	return err
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"

	"github.com/sidegate/sidegate/bench/history"
)

// sqlSession is a psql that stays: one person at one connection. Not for
// several goroutines at a time.
type sqlSession struct {
	cmd    *exec.Cmd
	input  io.WriteCloser
	output *bufio.Scanner
	errors strings.Builder // read it after close
}

// errSession says that the session has ended: the connection was lost, or a
// statement failed.
var errSession = errors.New("the session has ended")

// openSession returns when the server has answered. It ends with ctx, however
// long the server keeps still.
func openSession(ctx context.Context, dsn string) (*sqlSession, error) {
	s := &sqlSession{cmd: exec.CommandContext(ctx, "psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", dsn)}
	s.cmd.Stderr = &s.errors
	var err error
	if s.input, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	output, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.output = bufio.NewScanner(output)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := s.say("SELECT 'hello';", 1); err != nil {
		return nil, fmt.Errorf("%w: %s", err, s.close())
	}
	return s, nil
}

// say sends statements and returns that many lines of what they print.
func (s *sqlSession) say(statements string, lines int) (printed []string, err error) {
	if _, err := io.WriteString(s.input, statements+"\n"); err != nil {
		return nil, errSession
	}
	for range lines {
		if !s.output.Scan() {
			return nil, errSession
		}
		printed = append(printed, s.output.Text())
	}
	return printed, nil
}

// close ends the session and returns what psql complained about.
func (s *sqlSession) close() string {
	_ = s.input.Close() // it may have ended
	for s.output.Scan() {
		// Wait wants the output to have been read to its end.
	}
	_ = s.cmd.Wait()
	return strings.TrimSpace(s.errors.String())
}

// sqlHand writes by plain SQL and opens a new session when the old one has ended.
type sqlHand struct {
	world   *faultWorld
	session *sqlSession
}

const (
	blockSQL   = `INSERT INTO sidegate.block (app, owner, target) VALUES ('default', '%[1]s', '%[2]s') RETURNING 1;`
	unblockSQL = `DELETE FROM sidegate.block WHERE app = 'default' AND owner = '%[1]s' AND target = '%[2]s' RETURNING 1;`
	versionSQL = `SELECT version FROM sidegate.owner WHERE app = 'default' AND kind = 'block' AND owner = '%[1]s';`
)

func (h *sqlHand) write(ctx context.Context, owner, target string, listed bool) written {
	if h.session == nil {
		session, err := openSession(ctx, h.world.dsn)
		if err != nil {
			return written{outcome: history.Refused} // nothing has been sent
		}
		h.session = session
	}
	statement := unblockSQL
	if listed {
		statement = blockSQL
	}
	// The last line comes after the answer to the COMMIT.
	printed, err := h.session.say(fmt.Sprintf("BEGIN; "+statement+" "+versionSQL+" COMMIT; SELECT 'done';", owner, target), 3)
	if err != nil {
		complaint := h.session.close()
		h.session = nil
		h.world.lost.Add(1)
		if strings.Contains(complaint, "duplicate key") {
			h.world.complain("%s→%s: %s", owner, target, complaint)
		}
		return written{outcome: history.Unknown}
	}
	version, err := strconv.ParseInt(printed[1], 10, 64)
	if err != nil || printed[0] != "1" || printed[2] != "done" {
		h.world.complain("%s→%s, listed %v: psql printed %q", owner, target, listed, printed)
	}
	return written{outcome: history.Done, version: version}
}

func (h *sqlHand) rest() {
	if h.session != nil {
		_ = h.session.close()
		h.session = nil
	}
}

package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// Token opens the api listener, StaffToken the staff reads of the ops listener.
const (
	Token      = "token-of-the-alert-tests"
	StaffToken = "staff-of-the-alert-tests"
)

// Sidecar is a process that serves, as its clients and Prometheus see it. It may
// die and come back: under the same addresses, so that Prometheus knows it again.
type Sidecar struct {
	Name string // also the label "pod" of what Prometheus has of it
	File string // its configuration, which a test may change

	program string
	environ []string
	process *process
	urls    map[string]string // of the listeners that are on, by their names
	client  *http.Client
	logs    []*process // every life it had
}

// newSidecar writes the configuration of a process; start starts it.
func (w *World) newSidecar(name, configuration string, environ ...string) (*Sidecar, error) {
	s := &Sidecar{
		Name: name, File: filepath.Join(w.dir, name+".yaml"), program: w.program, urls: map[string]string{},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: patience},
		environ: append([]string{
			"SIDEGATE_CHECK_LISTEN=127.0.0.1:0", "SIDEGATE_API_LISTEN=127.0.0.1:0", "SIDEGATE_OPS_LISTEN=127.0.0.1:0",
			"SIDEGATE_LOG_FORMAT=json", "SIDEGATE_POSTGRES_URL=" + w.Postgres.DSN("postgres"),
		}, environ...),
	}
	return s, errors.Join(os.WriteFile(s.File, []byte(configuration), 0o600), s.start())
}

// serving finds the line of the log that says what is bound.
var serving = regexp.MustCompile(`(?m)^\{.*"msg":"sidegate serves".*\}$`)

// start starts the process and returns when it listens.
func (s *Sidecar) start() (err error) {
	if s.process, err = run(filepath.Dir(s.File), s.environ, s.program, "serve", "--config", s.File); err != nil {
		return err
	}
	s.logs = append(s.logs, s.process)
	var found string
	err = waitFor("sidegate serves", func() bool {
		done := s.process.hasEnded() // before the look: afterwards nothing more is printed
		found = serving.FindString(s.process.log.String())
		return found != "" || done
	})
	if err != nil || found == "" {
		return errors.Join(err, errors.New("sidegate serve: "+s.process.log.String()))
	}
	var line struct{ Listeners map[string][]string }
	if err := json.Unmarshal([]byte(found), &line); err != nil {
		return err
	}
	for door, addresses := range line.Listeners {
		if len(addresses) > 0 {
			s.urls[door] = "http://" + addresses[0]
			s.environ = append(s.environ, "SIDEGATE_"+strings.ToUpper(door)+"_LISTEN="+addresses[0]) // for its next life
		}
	}
	return nil
}

// URL is where a listener is reached: check, api or ops; "" if it is off.
func (s *Sidecar) URL(listener string) string { return s.urls[listener] }

// Instance is the label "instance" of what Prometheus has of this process.
func (s *Sidecar) Instance() string { return strings.TrimPrefix(s.urls["ops"], "http://") }

// Started waits until the process has started in every respect.
func (s *Sidecar) Started(t testing.TB) {
	t.Helper()
	WaitFor(t, s.Name+" is started", s.isStarted)
}

func (s *Sidecar) isStarted() bool {
	status, _, err := s.get("ops", "/startupz")
	return err == nil && status == http.StatusOK
}

// Kill ends the process as the kernel does when memory is short.
func (s *Sidecar) Kill(t testing.TB) {
	t.Helper()
	s.Signal(t, syscall.SIGKILL)
	<-s.process.ended
}

// Restart begins the next life of a process that has ended.
func (s *Sidecar) Restart(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// Signal sends the process a signal.
func (s *Sidecar) Signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := s.process.signal(sig); err != nil {
		t.Fatal(err)
	}
}

// Log is what the process has printed in its present life.
func (s *Sidecar) Log() string { return s.process.log.String() }

// Get asks a listener and returns the status and the body. The staff's token goes
// with what is asked of ops.
func (s *Sidecar) Get(t testing.TB, listener, path string) (status int, body string) {
	t.Helper()
	status, body, err := s.get(listener, path)
	if err != nil {
		t.Fatal(err)
	}
	return status, body
}

// Check asks whether a message may be delivered in a direct room. It may be called
// from any goroutine.
func (s *Sidecar) Check(sender, recipient string) (status int, err error) {
	query := url.Values{"sender": {sender}, "recipient": {recipient}, "room_type": {"direct"}}
	status, _, err = s.get("check", "/v1/can-deliver?"+query.Encode())
	return status, err
}

// Block puts a target on an owner's list. It may be called from any goroutine.
func (s *Sidecar) Block(owner, target string) (status int, err error) {
	path := fmt.Sprintf("/v1/apps/default/users/%s/blocks/%s", url.PathEscape(owner), url.PathEscape(target))
	status, _, err = s.send("api", http.MethodPut, path)
	return status, err
}

// Lists asks for the list of an owner, which is read in Postgres. It may be called
// from any goroutine.
func (s *Sidecar) Lists(owner string) (status int, err error) {
	status, _, err = s.get("api", "/v1/apps/default/users/"+url.PathEscape(owner)+"/blocks")
	return status, err
}

func (s *Sidecar) get(listener, path string) (status int, body string, err error) {
	return s.send(listener, http.MethodGet, path)
}

func (s *Sidecar) send(listener, method, path string) (status int, body string, err error) {
	return s.sendBody(listener, method, path, "")
}

func (s *Sidecar) sendBody(listener, method, path, content string) (status int, body string, err error) {
	req, err := http.NewRequest(method, s.urls[listener]+path, strings.NewReader(content))
	if err != nil {
		return 0, "", err
	}
	if content != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	switch listener {
	case "api":
		req.Header.Set("Authorization", "Bearer "+Token)
	case "ops":
		req.Header.Set("Authorization", "Bearer "+StaffToken)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end, or the read failed
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// end stops the process and reports what no process may print.
func (s *Sidecar) end(show bool) (err error) {
	err = s.process.stop()
	s.client.CloseIdleConnections()
	for _, p := range s.logs {
		log := p.log.String()
		if bad := disaster.FindString(log); bad != "" {
			err = errors.Join(err, fmt.Errorf("%s had a %s", s.Name, bad))
		}
		if show || err != nil {
			fmt.Fprintf(os.Stderr, "%s printed:\n%s\n", s.Name, tail(log))
		}
	}
	return err
}

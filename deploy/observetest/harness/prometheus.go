package harness

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// ScrapeInterval is how often the Prometheus of the tests scrapes and evaluates.
const ScrapeInterval = 500 * time.Millisecond

// Prometheus is a server of the tests' own, on a free port of loopback with its
// data in the tests' folder.
type Prometheus struct {
	URL string // of its HTTP API and its pages

	process *process
	client  *http.Client
}

// startPrometheus starts a server that scrapes the processes and evaluates the
// shipped rules, shortened, and returns when it is ready.
func startPrometheus(dir string, targets []*Sidecar) (*Prometheus, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	home := filepath.Join(dir, "prometheus")
	if err := os.MkdirAll(filepath.Join(home, "rules"), 0o700); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(root, "deploy", "prometheus", "rules", "*.yaml"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if err := shortenFile(file, filepath.Join(home, "rules", filepath.Base(file))); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(home, "prometheus.yml"), []byte(scrapes(targets)), 0o600); err != nil {
		return nil, err
	}
	program, err := exec.LookPath("prometheus")
	if err != nil {
		return nil, err
	}
	p := &Prometheus{client: &http.Client{Transport: &http.Transport{}, Timeout: patience}}
	// Between the look for a free port and the use of it somebody else may take it.
	for range 10 {
		if err = p.launch(program, home); err == nil || !strings.Contains(err.Error(), "address already in use") {
			break
		}
	}
	return p, err
}

// scrapes is the configuration: one job, as a PodMonitor makes it.
func scrapes(targets []*Sidecar) string {
	var b strings.Builder
	fmt.Fprintf(&b, "global: {scrape_interval: %v, scrape_timeout: %v, evaluation_interval: %v}\n", ScrapeInterval, ScrapeInterval, ScrapeInterval)
	fmt.Fprint(&b, "rule_files: [rules/*.yaml]\nscrape_configs:\n  - job_name: sidegate\n    static_configs:\n")
	for _, s := range targets {
		fmt.Fprintf(&b, "      - {targets: [%q], labels: {namespace: chat, pod: %q}}\n", s.Instance(), s.Name)
	}
	return b.String()
}

func (p *Prometheus) launch(program, home string) error {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		return err
	}
	p.URL = "http://" + address
	p.process, err = run(home, nil, program, "--config.file=prometheus.yml", "--storage.tsdb.path=data",
		"--web.listen-address="+address, "--storage.tsdb.retention.time=1d", "--log.level=warn")
	if err != nil {
		return err
	}
	ended := false
	err = waitFor("Prometheus is ready", func() bool {
		ended = p.process.hasEnded()
		resp, err := p.client.Get(p.URL + "/-/ready")
		if err == nil {
			_ = resp.Body.Close() // nothing of it was wanted
		}
		return ended || err == nil && resp.StatusCode == http.StatusOK
	})
	if ended {
		err = errors.Join(err, errors.New("prometheus ended: "+tail(p.process.log.String())))
	}
	return err
}

// end stops the server.
func (p *Prometheus) end(show bool) error {
	p.client.CloseIdleConnections()
	if p.process == nil {
		return nil
	}
	err := p.process.stop()
	if show {
		fmt.Fprintf(os.Stderr, "prometheus printed:\n%s\n", tail(p.process.log.String()))
	}
	return err
}

package kubetest

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// apiToken is the token of a backend.
const apiToken = "the-token-of-a-backend"

// noDatabase is an address that refuses at once.
const noDatabase = "postgres://sidegate@127.0.0.1:1/chat"

// secrets stand for the Secrets that the pages tell the user to make, by key.
func secrets(t *testing.T) map[string]string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"postgres-url": noDatabase,
		"api-tokens":   "sha256:" + strings.Repeat("7e", 32) + "," + fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(apiToken))),
		"token":        "the-token-of-support",
		"tls.crt":      string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})),
		"tls.key":      string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	}
}

// runnable is a container as a process of this machine: what it mounts lies below
// a folder, and the variables and files say so.
type runnable struct {
	args []string
	env  []string
}

// given is what containers are prepared from.
type given struct {
	list    []object
	maps    map[string]string // ConfigMaps that the user brings, by name: their sidegate.yaml
	secrets map[string]string // as secrets returns them
}

// prepare lays out what a container mounts.
func (g given) prepare(t *testing.T, pod *corev1.PodTemplateSpec, c corev1.Container) runnable {
	t.Helper()
	// Not t.TempDir: a socket's path has at most 103 bytes.
	root, err := os.MkdirTemp("", "k")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	r := runnable{args: c.Args}
	var moved []string // pairs of strings.NewReplacer
	for _, m := range c.VolumeMounts {
		moved = append(moved, m.MountPath+"/", root+m.MountPath+"/")
	}
	here := strings.NewReplacer(moved...)
	for _, m := range c.VolumeMounts {
		dir := root + m.MountPath
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range g.contents(t, pod, m.Name) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(here.Replace(text)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, e := range c.Env {
		value := here.Replace(e.Value)
		if e.ValueFrom != nil {
			ref := e.ValueFrom.SecretKeyRef
			if ref == nil || g.secrets[ref.Key] == "" {
				t.Fatalf("%s comes from something that these tests do not know: %v", e.Name, e.ValueFrom)
			}
			value = g.secrets[ref.Key]
		}
		r.env = append(r.env, e.Name+"="+value)
	}
	return r
}

// contents are the files of a volume.
func (g given) contents(t *testing.T, pod *corev1.PodTemplateSpec, volume string) map[string]string {
	t.Helper()
	i := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == volume })
	if i < 0 {
		t.Fatalf("there is no volume %s", volume)
	}
	switch v := pod.Spec.Volumes[i]; {
	case v.ConfigMap != nil && g.maps[v.ConfigMap.Name] != "":
		return map[string]string{"sidegate.yaml": g.maps[v.ConfigMap.Name]}
	case v.ConfigMap != nil:
		return only[corev1.ConfigMap](t, g.list, v.ConfigMap.Name).Data
	case v.Secret != nil:
		return g.secrets
	}
	return nil
}

// run ends when the program does and returns its exit code and what it printed.
func (r runnable) run(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = r.env
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text)
}

// everywhere is an address on all interfaces, as manifests have it.
var everywhere = regexp.MustCompile(`^(SIDEGATE_(?:API|OPS)_LISTEN=):[0-9]+$`)

// serving is a started container.
type serving struct {
	listeners map[string][]string // addresses by listener
}

// serve starts the container's own command line, on ports that are free, and waits
// until it listens. The test ends it, and fails if it does not end in order.
func (r runnable) serve(t *testing.T) serving {
	t.Helper()
	cmd := exec.Command(program, r.args...)
	for _, e := range r.env {
		cmd.Env = append(cmd.Env, everywhere.ReplaceAllString(e, "${1}127.0.0.1:0"))
	}
	// The delay is for others to look away, and nobody looks here.
	cmd.Env = append(cmd.Env, "SIDEGATE_SHUTDOWN_DELAY=0s")
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, log, ended := bufio.NewScanner(out), new(bytes.Buffer), make(chan struct{})
	var line struct {
		Message   string              `json:"msg"`
		Listeners map[string][]string `json:"listeners"`
	}
	for line.Listeners == nil && lines.Scan() {
		fmt.Fprintln(log, lines.Text())
		_ = json.Unmarshal(lines.Bytes(), &line) // a line that is none has no listeners
	}
	go func() {
		defer close(ended)
		for lines.Scan() {
			fmt.Fprintln(log, lines.Text())
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		<-ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", strings.Join(r.args, " "), err, log)
		}
	})
	if line.Listeners == nil {
		t.Fatalf("it ended without listening: %s", log)
	}
	return serving{line.Listeners}
}

// holdsTogether asks the program about every container of ours in a set: whether it
// takes the environment and the files, and serves what the manifest says it does.
func holdsTogether(t *testing.T, list []object, theirs map[string]string) {
	t.Helper()
	asked := 0
	for _, w := range workloads(list) {
		for _, c := range containers(w.pod) {
			if !isOurs(c) {
				continue
			}
			asked++
			t.Run(w.name+"/"+c.Name, func(t *testing.T) {
				r := given{list, theirs, secrets(t)}.prepare(t, w.pod, c)
				if code, out := r.run(t, "config", "validate", "--strict"); code != 0 {
					t.Fatalf("sidegate config validate: exit code %d: %s", code, out)
				}
				if slices.Contains(c.Args, "serve") {
					serves(t, r, c)
					return
				}
				// 4: it wanted the database. A command line that it did not
				// understand would be 2.
				if code, out := r.run(t, c.Args...); code != 4 {
					t.Errorf("sidegate %s: exit code %d: %s", strings.Join(c.Args, " "), code, out)
				}
			})
		}
	}
	if asked == 0 {
		t.Error("no container runs sidegate")
	}
}

// serves starts a container and asks its probes. The database is away, so it must be
// alive, and neither started nor ready: a path that is not there would answer 404.
func serves(t *testing.T, r runnable, c corev1.Container) {
	t.Helper()
	running := r.serve(t)
	want := []string{"ops"}
	for _, e := range c.Env {
		if e.Name == "SIDEGATE_CHECK_LISTEN" && e.Value != "" {
			want = append(want, "check")
		}
		if e.Name == "SIDEGATE_API_LISTEN" && e.Value != "" {
			want = append(want, "api")
		}
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(running.listeners)); !slices.Equal(got, want) {
		t.Fatalf("it serves %q, want %q", got, want)
	}
	ops := running.listeners["ops"][0]
	status := map[*corev1.Probe]int{c.StartupProbe: http.StatusServiceUnavailable, c.ReadinessProbe: http.StatusServiceUnavailable, c.LivenessProbe: http.StatusOK}
	for probe, want := range status {
		if got := get(t, "http://"+ops+probe.HTTPGet.Path); got != want {
			t.Errorf("%s answers %d without a database, want %d", probe.HTTPGet.Path, got, want)
		}
	}
	if got := get(t, "http://"+ops+"/metrics"); got != http.StatusOK {
		t.Errorf("/metrics answers %d", got)
	}
	// As "kubectl exec" asks: with the container's environment, the port as it is here.
	_, port, _ := strings.Cut(ops, ":")
	inside := runnable{env: append(slices.Clone(r.env), "SIDEGATE_OPS_LISTEN=:"+port)}
	for probe, want := range map[string]int{"livez": 0, "startupz": 3} {
		if code, out := inside.run(t, "healthcheck", "--probe", probe); code != want {
			t.Errorf("sidegate healthcheck --probe %s: exit code %d, want %d: %s", probe, code, want, out)
		}
	}
	if check := running.listeners["check"]; len(check) > 0 {
		info, err := os.Stat(strings.TrimPrefix(check[0], "unix://"))
		if err != nil || info.Mode()&os.ModeSocket == 0 || info.Mode().Perm() != 0o660 {
			t.Errorf("the socket %s: %v, %v", check[0], info, err)
		}
	}
}

func get(t *testing.T, url string) int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

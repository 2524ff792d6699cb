package config

import (
	"strings"
	"testing"
)

// TestObserveKeysRefuse: what is wrong is said, and no secret with it.
func TestObserveKeysRefuse(t *testing.T) {
	for file, want := range map[string]string{
		"decision_log: {sample: 1.5}":                   "1.5 is out of range; write 0 to 1",
		"decision_log: {sample: .nan}":                  "out of range",
		"decision_log: {sample: half}":                  "this is text; write a number",
		"decision_log: {user_ids: clear}":               "is not known",
		"tracing: {endpoint: collector:4318}":           "not a URL such as http://collector:4318",
		"tracing: {endpoint: 'grpc://collector'}":       "not a URL",
		"tracing: {endpoint: 'https://user:pw@c'}":      "not a URL",
		"tracing: {headers: ['authorization hunter2']}": "entry 1 is not name=value",
		"tracing: {headers: ['a=b', \"c=hunter2\\n\"]}": "entry 2 is not name=value",
		"log: {id_key: hunter2}":                        "fewer than 16 bytes",
		"log: {format: xml}":                            "is not known",
	} {
		_, err := Load(Source{File: write(t, file)})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", file, err)
		}
	}
	if _, err := Load(Source{File: write(t, "tracing: {headers: ['a="+Redacted+"']}")}); err == nil {
		t.Error("a placeholder passes for a header")
	}
}

// TestHeadersArePrintedByName: of a header the value is hidden.
func TestHeadersArePrintedByName(t *testing.T) {
	c := load(t, Source{File: write(t, "tracing: {headers: ['authorization=Bearer hunter2']}\nlog: {id_key: hunter2-hunter2-hunter2}")})
	text, err := c.YAML()
	if err != nil || strings.Contains(string(text), "hunter2") || !strings.Contains(string(text), "authorization=") {
		t.Errorf("%v\n%s", err, text)
	}
}

package main

import (
	"fmt"
	"strings"
	"testing"
)

// ran is the report of a run in which every row has one test, with a verdict for
// some of them.
func ran(verdicts map[string]string) string {
	var b strings.Builder
	for _, row := range rows {
		test := "Test" + row.name + "_Holds"
		verdict := verdicts[row.name]
		if verdict == "" {
			verdict = "pass"
		}
		if verdict == "missing" {
			continue
		}
		fmt.Fprintf(&b, `{"Action":"run","Package":"p/q","Test":%q}`+"\n", test)
		fmt.Fprintf(&b, `{"Action":"output","Package":"p/q","Test":%q,"Output":"%s says why\n"}`+"\n", test, row.name)
		if verdict != "unfinished" {
			fmt.Fprintf(&b, `{"Action":%q,"Package":"p/q","Test":%q}`+"\n", verdict, test)
		}
	}
	return b.String()
}

func TestTheMatrixFailsUnlessEveryRowIsProved(t *testing.T) {
	for _, c := range []struct {
		name, report string
		code         int
		says         []string
	}{
		{"all pass", ran(nil), 0, []string{"R1   RongCloud  pass     1/1", "pass  TestX2_Holds"}},
		{"one fails", ran(map[string]string{"R3": "fail"}), 1, []string{"R3   RongCloud  FAIL     0/1", "R3 says why"}},
		{"one has no test", ran(map[string]string{"S2": "missing"}), 1, []string{"S2   Sendbird   none     0/0"}},
		{"one is only skipped", ran(map[string]string{"I1": "skip"}), 1, []string{"I1   IMKit      none     0/1", "I1 says why"}},
		{"one never ended", ran(map[string]string{"X1": "unfinished"}), 1, []string{"X1   all        FAIL     0/1"}},
		{"another test fails", ran(nil) + `{"Action":"run","Package":"p","Test":"TestMatch"}` + "\n" + `{"Action":"fail","Package":"p","Test":"TestMatch"}` + "\n", 1, nil},
		{"a package fails", ran(nil) + `{"Action":"output","Package":"p","Output":"a goroutine was left\n"}` + "\n" + `{"Action":"fail","Package":"p"}` + "\n", 1, []string{"a goroutine was left"}},
		{"a build fails", ran(nil) + `{"Action":"build-output","ImportPath":"p","Output":"undefined: x\n"}` + "\n" + `{"Action":"build-fail","ImportPath":"p"}` + "\n", 1, []string{"undefined: x"}},
		{"nothing ran", "go: module m: no such host\n", 1, []string{"no such host", "No test has run"}},
	} {
		var out strings.Builder
		if code := judge(strings.NewReader(c.report), &out); code != c.code {
			t.Errorf("%s: the code is %d, want %d\n%s", c.name, code, c.code, &out)
		}
		for _, part := range c.says {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%s: %q is not in\n%s", c.name, part, &out)
			}
		}
	}
}

func TestASkippedTestBesideAPassingOneIsNoFailure(t *testing.T) {
	more := `{"Action":"run","Package":"p/q","Test":"TestS1_SDK"}` + "\n" + `{"Action":"skip","Package":"p/q","Test":"TestS1_SDK"}` + "\n"
	var out strings.Builder
	if code := judge(strings.NewReader(ran(nil)+more), &out); code != 0 || !strings.Contains(out.String(), "S1   Sendbird   pass     1/2") {
		t.Errorf("%d\n%s", code, &out)
	}
}

// A part of a test is not a proof of its own, nor is a name that only resembles
// a row.
func TestOnlyWholeTestsCountForARow(t *testing.T) {
	r, err := read(strings.NewReader(`{"Action":"run","Package":"p/q.d","Test":"TestR1_A"}
{"Action":"run","Package":"p/q.d","Test":"TestR1_A/x"}
{"Action":"run","Package":"p/q.d","Test":"TestR1_A/x.TestR1_B"}
{"Action":"run","Package":"p/q.d","Test":"TestR12"}
`))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.of("R1"); len(got) != 1 || got[0] != "p/q.d.TestR1_A" {
		t.Errorf("the tests are %q", got)
	}
}

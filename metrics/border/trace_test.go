package border

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

const goodTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestParseTrace(t *testing.T) {
	got := ParseTrace([]byte(goodTrace))
	if fmt.Sprintf("%x %x %t", got.ID, got.Span, got.Sampled) != "0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 true" {
		t.Errorf("%+v", got)
	}
	for text, sampled := range map[string]bool{
		goodTrace[:53] + "00":                             false,
		goodTrace[:53] + "03":                             true, // other flags are not ours to know
		"cc" + goodTrace[2:]:                              true, // of a version that is yet to come
		"cc" + goodTrace[2:] + "-what-the-future-is-like": true,
	} {
		if got := ParseTrace([]byte(text)); got.IsZero() || got.Sampled != sampled {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestMalformedTraceIsNone(t *testing.T) {
	for _, text := range []string{
		"", "00", goodTrace[:54], goodTrace + "0", goodTrace + "-", goodTrace + "-00",
		"ff" + goodTrace[2:], "0g" + goodTrace[2:], "cc" + goodTrace[2:] + ".00",
		strings.ToUpper(goodTrace), strings.Replace(goodTrace, "-", "_", 1),
		strings.Replace(goodTrace, "-b7ad", "_b7ad", 1), strings.Replace(goodTrace, "-01", "_01", 1),
		"00-" + strings.Repeat("0", 32) + goodTrace[35:], goodTrace[:36] + strings.Repeat("0", 16) + "-01",
		" " + goodTrace, goodTrace[:53] + "0x", "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
	} {
		if got := ParseTrace([]byte(text)); got != (Trace{}) {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

func TestTraceInContext(t *testing.T) {
	ctx := context.Background()
	if got := TraceOf(ctx); !got.IsZero() || WithTrace(ctx, Trace{}) != ctx {
		t.Errorf("%+v", got)
	}
	want := ParseTrace([]byte(goodTrace))
	if got := TraceOf(WithTrace(ctx, want)); got != want {
		t.Errorf("%+v", got)
	}
}

// FuzzParseTrace: what is taken for a trace stands in the header digit by digit, and
// nothing makes the parser fail.
func FuzzParseTrace(f *testing.F) {
	for _, seed := range []string{goodTrace, "", "01-" + goodTrace[3:] + "-more", strings.ToUpper(goodTrace), goodTrace[:54]} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		got := ParseTrace(header)
		if got.IsZero() {
			if got != (Trace{}) {
				t.Errorf("%q is half a trace: %+v", header, got)
			}
			return
		}
		if want := fmt.Sprintf("-%x-%x-", got.ID, got.Span); got.Span == [8]byte{} || string(header[2:2+len(want)]) != want {
			t.Errorf("%q is taken for %+v", header, got)
		}
	})
}

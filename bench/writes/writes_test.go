package writes

import (
	"strings"
	"testing"
)

func TestParsed(t *testing.T) {
	t.Parallel()
	const out = "transaction type: bare.sql\nnumber of transactions actually processed: 1600/1600\n" +
		"tps = 4813.902429 (without initial connection time)\n"
	n, rate, err := parsed(out)
	if err != nil || n != 1600 || rate != 4813.902429 {
		t.Errorf("%d, %v, %v", n, rate, err)
	}
	for _, bad := range []string{"", strings.ReplaceAll(out, "4813", "x"), strings.ReplaceAll(out, "1600/", "0/")} {
		if _, _, err := parsed(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

func TestTargetIsStated(t *testing.T) {
	t.Parallel()
	r := row(judged, "api", "")
	if r.ID != "writes" || r.AtLeast == nil || *r.AtLeast != 0.6 {
		t.Errorf("%+v", r)
	}
	if r := row(judged, "store", ""); r.AtLeast != nil || r.ID == "writes" {
		t.Errorf("%+v", r)
	}
}

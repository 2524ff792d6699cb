package blocksync

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParsePosition(t *testing.T) {
	for text, want := range map[string]Position{
		"795:799:795,797":         {Xmin: 795, Xmax: 799, InProgress: []uint64{795, 797}},
		"10:10:":                  {Xmin: 10, Xmax: 10},
		"3:18446744073709551615:": {Xmin: 3, Xmax: 1<<64 - 1},
	} {
		got, err := ParsePosition(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		if got.String() != text {
			t.Errorf("%q prints as %q", text, got.String())
		}
	}
}

func TestParsePositionRefuses(t *testing.T) {
	for _, text := range []string{
		"", "1", "1:2", "1:2:3:4", "a:2:", "1:b:", "1:2:x", "0:2:", "1:0:", "5:4:", "1:5:5", "4:6:3", "1:9:4,4",
		"1:9:5,4", "1:9:,", "1:9:4,", "-1:2:", "+1:2:", " 1:2:", "1:2: ", "1:18446744073709551616:", "1:9:0",
		"1:2:" + strings.Repeat("1,", 100),
	} {
		if p, err := ParsePosition(text); !errors.Is(err, errPosition) || !p.IsZero() {
			t.Errorf("%q: %+v, %v", text, p, err)
		}
	}
	long := strings.Repeat("x", 10_000)
	if _, err := ParsePosition(long + ":1:"); len(err.Error()) > 200 {
		t.Error("a long text is repeated whole in the error")
	}
}

func TestSees(t *testing.T) {
	p, err := ParsePosition("10:20:12,15")
	if err != nil {
		t.Fatal(err)
	}
	for xid, want := range map[uint64]bool{1: true, 10: true, 11: true, 12: false, 13: true, 15: false, 19: true, 20: false, 99: false} {
		if p.Sees(xid) != want {
			t.Errorf("%v sees %d: %v", p, xid, !want)
		}
	}
	if (Position{}).Sees(1) {
		t.Error("who has seen nothing sees 1")
	}
}

func TestZeroPosition(t *testing.T) {
	var p Position
	if !p.IsZero() || p.String() != "" {
		t.Errorf("%v %q", p.IsZero(), p.String())
	}
}

func FuzzParsePosition(f *testing.F) {
	for _, seed := range []string{"795:799:795,797", "10:10:", "", "1:2:3", "5:4:", "1:9:4,4", "::"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePosition(text)
		if err != nil {
			if !p.IsZero() {
				t.Errorf("%q: an error and a position", text)
			}
			return
		}
		if p.Xmin == 0 || p.Xmin > p.Xmax {
			t.Errorf("%q: %+v", text, p)
		}
		last := p.Xmin - 1
		for _, x := range p.InProgress {
			if x <= last || x >= p.Xmax {
				t.Errorf("%q: running transaction %d", text, x)
			}
			last = x
		}
		again, err := ParsePosition(p.String())
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Errorf("%q prints as %q, which reads as %+v, %v", text, p.String(), again, err)
		}
	})
}

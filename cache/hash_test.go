package cache

import (
	"strconv"
	"testing"
)

// Values that PostgreSQL 15 returned for hashtextextended(text, seed).
var hashVectors = []struct {
	text string
	seed int64
	want int64
}{
	{"", 0, -6939563903564495251},
	{"", 1, -150071773020461347},
	{"", -1, -5142811166230430645},
	{"", 77777777777777, -7472056444777881015},
	{"a", 0, 3591986179850072241},
	{"a", 1, 3325245193489759299},
	{"a", -1, 8688456822845412000},
	{"a", 77777777777777, 5852309955794689839},
	{"bob", 0, -8956707552566865779},
	{"bob", 1, -5519119128389068906},
	{"bob", -1, -5034180327687306697},
	{"bob", 77777777777777, -1287769309795111573},
	{"alice-12345", 0, 1348644165850951452},
	{"alice-12345", 1, 6294714820251400212},
	{"alice-12345", -1, -8243489667830246470},
	{"alice-12345", 77777777777777, 8494898189602817667},
	{"123456789012", 0, -3387667963766823555},
	{"123456789012", 1, 1413110227575725479},
	{"123456789012", -1, -1378801432561120576},
	{"123456789012", 77777777777777, -4390583007746676475},
	{"1234567890123", 0, 2373490033053362784},
	{"1234567890123", 1, 5874845508187794676},
	{"1234567890123", -1, -7703374522242852261},
	{"1234567890123", 77777777777777, -2300363415565296079},
	{"u12345678901234567890123äö", 0, -6378068672291415080},
	{"u12345678901234567890123äö", 1, -4688899845126736959},
	{"u12345678901234567890123äö", -1, 6890393276916798578},
	{"u12345678901234567890123äö", 77777777777777, -6816392841786998359},
}

func TestHashIsThatOfPostgres(t *testing.T) {
	for _, v := range hashVectors {
		if got := int64(hashText(v.text, uint64(v.seed))); got != v.want {
			t.Errorf("hashtextextended(%q, %d) = %d, want %d", v.text, v.seed, got, v.want)
		}
	}
}

func TestOwnerHashUsesTheSalt(t *testing.T) {
	if HashOwner("bob", 1) == HashOwner("bob", 2) {
		t.Error("two salts hash alike")
	}
	if got := HashOwner("bob", 77777777777777); int64(got) != hashVectors[11].want {
		t.Errorf("HashOwner = %d, want the vector of seed 77777777777777", int64(got))
	}
}

func TestProbeTellsAnotherHashApart(t *testing.T) {
	text, want := HashProbe()
	for i, seed := range []int64{0, 1, -1} {
		if int64(hashText(text, uint64(seed))) != want[i] {
			t.Errorf("probe of seed %d", seed)
		}
		if int64(hashText(text[1:], uint64(seed))) == want[i] {
			t.Errorf("another text has the same hash under seed %d", seed)
		}
	}
}

func TestDigestSeesSwappedExpiries(t *testing.T) {
	a := ListDigest(false, []Entry{{"x", 10}, {"y", 20}})
	b := ListDigest(false, []Entry{{"x", 20}, {"y", 10}})
	if a == b {
		t.Error("two entries swapped their expiries unnoticed")
	}
	if ListDigest(true, nil) == ListDigest(false, nil) {
		t.Error("allowlist mode is not in the digest")
	}
	if ListDigest(false, []Entry{{"x", 10}, {"y", 20}}) != ListDigest(false, []Entry{{"y", 20}, {"x", 10}}) {
		t.Error("the digest depends on the order")
	}
}

func BenchmarkHashOwner(b *testing.B) {
	ids := make([]string, 1024)
	for i := range ids {
		ids[i] = "user-0123456789-" + strconv.Itoa(10000000+i) // 24 bytes
	}
	var sum uint64
	for i := 0; b.Loop(); i++ {
		sum += HashOwner(ids[i&1023], 42)
	}
	_ = sum
}

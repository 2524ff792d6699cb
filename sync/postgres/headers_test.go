package postgres_test

import (
	"testing"

	"github.com/sidegate/sidegate/cache"
)

// Headers are those of the lists that a page read finds, without their entries.
func TestHeadersAreThoseOfThePage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`insert into sidegate.block (app, owner, target) select 'default', 'o' || i, 't' || t from generate_series(1, 50) i, generate_series(1, 3) t`)
	f.exec(`delete from sidegate.block where owner = 'o7'`)
	for _, bits := range []int{0, 3} {
		r := pageRange(bits, 0)
		want := map[string]cache.List{}
		for _, l := range f.load(cache.KindBlock, r).Lists {
			want[l.Owner] = l
		}
		n := 0
		if err := f.Headers(t.Context(), "default", cache.KindBlock, r, func(h cache.Header) {
			n++
			if l, ok := want[string(h.Owner)]; !ok || l.Version != h.Version || l.Digest != h.Digest || l.Size != h.Size {
				t.Errorf("%s: %+v, the page has %+v", h.Owner, h, l)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if n != len(want) || n == 0 || bits == 0 && n != 50 {
			t.Errorf("%d headers of %d lists", n, len(want))
		}
	}
}

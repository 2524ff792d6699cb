package postgres_test

import (
	"testing"

	blocksync "github.com/sidegate/sidegate/sync"
)

func TestBumpIncarnation(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before := f.edit(add("bob", "alice"))
	if err := f.BumpIncarnation(t.Context()); err != nil {
		t.Fatal(err)
	}
	if id := f.poll(blocksync.Position{}).Identity; id.Incarnation == before.Identity.Incarnation || id.System != before.Identity.System {
		t.Errorf("the identity was %+v and is %+v", before.Identity, id)
	}
	after := f.edit(add("bob", "carl"))
	if after.Version != before.Version+1 {
		t.Errorf("version %d follows %d: none may be given out twice, and none is skipped", after.Version, before.Version)
	}
}

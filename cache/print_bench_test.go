package cache

import (
	"hash/maphash"
	"testing"
)

func BenchmarkPrint(b *testing.B) {
	ids := []string{"user-000000000000000042x", "0123456789", "7", "a-room-whose-name-is-of-forty-eight-bytes-in-all"}
	for _, id := range ids {
		b.Run("multilinear", func(b *testing.B) {
			for b.Loop() {
				printOf(id)
			}
		})
		b.Run("maphash", func(b *testing.B) {
			seed := maphash.MakeSeed()
			for b.Loop() {
				maphash.String(seed, id)
			}
		})
	}
}

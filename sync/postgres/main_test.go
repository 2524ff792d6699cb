package postgres_test

import (
	"testing"

	"github.com/sidegate/sidegate/sync/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

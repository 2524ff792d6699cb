package main

import (
	"io"
	"log/slog"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
)

// newLogger returns the log that the configuration asks for, and its level, which
// may be changed. Levels and formats were checked when it was read.
func newLogger(c config.Log, w io.Writer) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(levelOf(c))
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options)), level
	}
	return slog.New(slog.NewTextHandler(w, options)), level
}

func levelOf(c config.Log) (level slog.Level) {
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // the configuration lets no other name through
	}
	return level
}

package main

import (
	"context"
	"encoding/hex"
	"io"
	"log/slog"

	"github.com/sidegate/sidegate/cmd/sidegate/config"
	"github.com/sidegate/sidegate/metrics/border"
)

// newLogger returns the log that the configuration asks for, and its level, which
// may be changed. Levels and formats were checked when it was read.
func newLogger(c config.Log, w io.Writer) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(levelOf(c))
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" || c.Format == "auto" && !isTerminal(w) {
		return slog.New(traced{slog.NewJSONHandler(w, options)}), level
	}
	return slog.New(traced{slog.NewTextHandler(w, options)}), level
}

func levelOf(c config.Log) (level slog.Level) {
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // the configuration lets no other name through
	}
	return level
}

// traced says which trace a line belongs to, if what is done belongs to one.
type traced struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h traced) Handle(ctx context.Context, r slog.Record) error {
	if t := border.TraceOf(ctx); !t.IsZero() {
		r = r.Clone() // its attributes may be shared
		r.AddAttrs(slog.String("trace_id", hex.EncodeToString(t.ID[:])), slog.String("span_id", hex.EncodeToString(t.Span[:])))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }

// WithGroup implements [slog.Handler].
func (h traced) WithGroup(name string) slog.Handler { return traced{h.Handler.WithGroup(name)} }

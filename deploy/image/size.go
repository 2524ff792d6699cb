//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// The bounds, in bytes. The first two are facts of a build; what is in memory
// differs a little from one start to the next.
const (
	maxBinary = 30e6
	maxImage  = 35e6
	maxIdle   = 40e6
)

const (
	// reads of the resident memory, of which the middle one counts.
	reads = 9
	// every so often: what a start leaves behind is collected meanwhile.
	readEvery = 250 * time.Millisecond
)

// size prints what the image and an idle process take, and fails over a bound.
func size(ctx context.Context, img *image) error {
	files, err := img.files()
	if err != nil {
		return err
	}
	idle, err := idleMemory(ctx, img)
	if err != nil {
		return err
	}
	for _, f := range files {
		fmt.Printf("%9.2f MB  %s\n", float64(f.size)/1e6, f.path)
	}
	program := files[slices.IndexFunc(files, func(f file) bool { return f.path == "/"+programPath })]
	fmt.Println("An image from scratch has no other layers; none was built, its size is the sum of its files.")
	return errors.Join(
		bounded("binary", program.size, maxBinary),
		bounded("image, as calculated", total(files), maxImage),
		bounded(fmt.Sprintf("idle memory on an empty database (resident, median of %d)", reads), idle, maxIdle))
}

// bounded prints a size beside its bound.
func bounded(what string, n int64, bound float64) error {
	fmt.Printf("%9.2f MB  %s, at most %.0f MB\n", float64(n)/1e6, what, bound/1e6)
	if float64(n) > bound {
		return fmt.Errorf("%s: %.2f MB are more than %.0f MB", what, float64(n)/1e6, bound/1e6)
	}
	return nil
}

// idleMemory starts the program with all three listeners on an empty database and
// returns the median of its resident memory, in bytes.
func idleMemory(ctx context.Context, img *image) (n int64, err error) {
	s, err := serve(ctx, img)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.stop(context.WithoutCancel(ctx))) }()
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	var resident []int64
	for len(resident) < reads {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-tick.C:
		}
		kb, err := s.status("VmRSS")
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseInt(kb[0], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("resident memory: %w", err)
		}
		resident = append(resident, n*1024)
	}
	slices.Sort(resident)
	return resident[len(resident)/2], nil
}

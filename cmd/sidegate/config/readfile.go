package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// maxFileBytes bounds the configuration file: a wrong path, such as that of a
// device, must end in an error and not in exhausted memory.
const maxFileBytes = 4 << 20

// pipeTime bounds how long the writer of a pipe may take: a program that hands
// over a secret (--config <(…)) has it ready, or asks a server for it.
const pipeTime = 10 * time.Second

// ReadFile reads a small file that may be anything, and comes back whatever it is: a
// reload that waited for a pipe would keep all that come after it waiting, and a
// device has no end. The errors name what is wrong with the path; what is larger than
// 4 MiB is refused. It is safe for concurrent use.
func ReadFile(path string) ([]byte, error) {
	return readWithin(path, pipeTime)
}

// readWithin reads a file, and whatever can be waited for at most for a time. It
// opens without waiting: to open a named pipe is to wait for somebody who writes.
func readWithin(path string, most time.Duration) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	// What has no deadline, such as a file of a disk, is not waited for either.
	if err := f.SetReadDeadline(time.Now().Add(most)); err != nil && !errors.Is(err, os.ErrNoDeadline) {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("%s is no file but %s, of which the end did not come within %v", path, describe(info.Mode()), most)
	case err != nil:
		return nil, err
	case len(data) > maxFileBytes:
		return nil, fmt.Errorf("%s is larger than %s", path, FormatSize(maxFileBytes))
	case len(data) == 0 && info.Mode().Type() == fs.ModeNamedPipe:
		return nil, fmt.Errorf("%s is no file but a pipe, and nobody writes to it", path)
	}
	return data, nil
}

// describe names a kind of file that has to be waited for.
func describe(mode fs.FileMode) string {
	if mode.Type() == fs.ModeNamedPipe {
		return "a pipe"
	}
	return "a device"
}

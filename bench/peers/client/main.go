// Command client asks a server questions with the library that a program in Go
// would ask it with, so that what a chat server sees can be measured: what a
// library costs is a part of the price. It is a program of another module because
// none of these libraries is to be a dependency of sidegate.
//
// It connects, prints "ready", and then waits for lines on its standard input,
// each a number of milliseconds. For as long it asks, with as many callers as it
// was told, and prints one line of JSON: operations, nanoseconds elapsed, median
// and 99th percentile of the time of one exchange. Every answer is compared with
// the one that the file of questions gives; a wrong one ends the program. The end
// of its input ends it too.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// asker asks one question and reports an error unless the answer is the right one.
// It is used by one goroutine at a time.
type asker func(ctx context.Context, q question) error

// target is what the command line says.
type target struct {
	address string
	callers int
	twoWay  bool
	store   string // of OpenFGA
}

// kinds makes the askers, one a caller, and what ends them.
var kinds = map[string]func(context.Context, target) ([]asker, func(), error){
	"go-redis": goRedis, "rueidis": rueidisClient, "fasthttp": fastHTTP, "openfga-grpc": openFGA,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var to target
	kind := flag.String("kind", "", "the library: "+strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
	path := flag.String("questions", "", "file of questions: recipient, sender, and whether either has blocked the other, a line each")
	flag.StringVar(&to.address, "address", "", "host:port of the server")
	flag.IntVar(&to.callers, "callers", 16, "how many ask at the same time")
	flag.BoolVar(&to.twoWay, "two-way", false, "ask whether either has blocked the other")
	flag.StringVar(&to.store, "store", "", "the store of OpenFGA to ask")
	flag.Parse()
	open, known := kinds[*kind]
	if !known {
		return fmt.Errorf("there is no library %q here; -help lists them", *kind)
	}
	questions, err := readQuestions(*path)
	if err != nil {
		return err
	}
	askers, end, err := open(ctx, to)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", to.address, err)
	}
	defer end()
	fmt.Println("ready")
	r := newRounds(askers, questions)
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		ms, err := strconv.Atoi(strings.TrimSpace(orders.Text()))
		if err != nil {
			return fmt.Errorf("an order is a number of milliseconds: %w", err)
		}
		found, err := r.run(ctx, time.Duration(ms)*time.Millisecond)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
			return err
		}
	}
	return orders.Err()
}

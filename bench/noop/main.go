// Command noop is the floor that a check is measured against: a fasthttp server
// that looks at nothing and answers what a check would. It sets no deadlines and
// names no server, so that nothing could be left out of it.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"

	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "noop:", err)
		os.Exit(1)
	}
}

var (
	jsonType = []byte("application/json")
	body     = []byte(`{"deliver":true,"notify":true,"action":"deliver","reason":"allowed"}`)
)

// run serves until the process is told to end: nothing here needs an orderly stop.
func run() error {
	tcp := flag.String("tcp", "127.0.0.1:0", "address to serve on")
	unix := flag.String("unix", "", "socket to serve on besides")
	flag.Parse()
	server := &fasthttp.Server{
		NoDefaultServerHeader: true, NoDefaultContentType: true,
		Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.Response.Header.SetContentTypeBytes(jsonType)
			ctx.Response.SetBodyRaw(body)
		},
	}
	var g errgroup.Group
	for network, address := range map[string]string{"tcp": *tcp, "unix": *unix} {
		if address == "" {
			continue
		}
		listener, err := net.Listen(network, address)
		if err != nil {
			return err
		}
		g.Go(func() error { return server.Serve(listener) })
	}
	return g.Wait()
}

package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/valyala/fasthttp"
)

// app is the tenant that holds the lists.
const app = "bench"

// fastHTTP asks sidegate with fasthttp's client, which keeps a connection for
// each caller. Rooms of several members look at both lists, as the study sets it.
func fastHTTP(_ context.Context, to target) ([]asker, func(), error) {
	client := &fasthttp.HostClient{Addr: to.address, MaxConns: to.callers, NoDefaultUserAgentHeader: true}
	room := "direct"
	if to.twoWay {
		room = "group"
	}
	delivered := []byte(`"reason":"allowed"`)
	askers := make([]asker, to.callers)
	for i := range askers {
		req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
		var uri []byte
		askers[i] = func(_ context.Context, q question) error {
			uri = append(uri[:0], "/v1/can-deliver?app="+app+"&sender="...)
			uri = append(uri, q.sender...)
			uri = append(uri, "&recipient="...)
			uri = append(uri, q.recipient...)
			uri = append(uri, "&room_type="...)
			uri = append(uri, room...)
			req.Header.SetHost(to.address)
			req.SetRequestURIBytes(uri)
			if err := client.Do(req, resp); err != nil {
				return err
			}
			want := q.blocked
			if to.twoWay {
				want = q.either
			}
			if resp.StatusCode() != fasthttp.StatusOK || bytes.Contains(resp.Body(), delivered) == want {
				return errWrong(q, fmt.Sprintf("%d %s", resp.StatusCode(), resp.Body()))
			}
			return nil
		}
	}
	return askers, client.CloseIdleConnections, nil
}

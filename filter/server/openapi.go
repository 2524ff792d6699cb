package server

import (
	_ "embed"

	"github.com/valyala/fasthttp"

	"github.com/sidegate/sidegate/metrics/border"
)

// openapi.json is made of openapi.yaml by "make docs".
//
//go:embed openapi.json
var openAPI []byte

// OpenAPI returns the OpenAPI 3.1 document of the native routes of all
// listeners, as JSON. It is shared and must not be changed.
func OpenAPI() []byte { return openAPI }

// describe is the route of the document. It is open to everybody: it describes
// the program and nobody's data.
func describe() *route {
	r := newRoute("/openapi.json", 0, [methods]handler{methodGet: func(ctx *fasthttp.RequestCtx, in input) error {
		if len(in.query) > 0 {
			return border.Problemf(border.CodeUnknownParameter, "this path takes no parameters")
		}
		ctx.Response.Header.SetContentTypeBytes(jsonType)
		ctx.Response.SetBodyRaw(openAPI)
		return nil
	}})
	r.public = true
	return r
}

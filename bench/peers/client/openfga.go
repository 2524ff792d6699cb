package main

import (
	"context"

	openfgav1 "github.com/openfga/api/proto/openfga/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// openFGA asks OpenFGA over gRPC: one connection, on which the callers' requests
// are streams, as the library does it.
func openFGA(_ context.Context, to target) ([]asker, func(), error) {
	conn, err := grpc.NewClient(to.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, err
	}
	client := openfgav1.NewOpenFGAServiceClient(conn)
	ask := func(ctx context.Context, q question) error {
		resp, err := client.Check(ctx, &openfgav1.CheckRequest{
			StoreId:  to.store,
			TupleKey: &openfgav1.CheckRequestTupleKey{User: "user:" + q.sender, Relation: "blocked", Object: "inbox:" + q.recipient},
		})
		if err == nil && resp.GetAllowed() != q.blocked {
			err = errWrong(q, resp.GetAllowed())
		}
		return err
	}
	askers := make([]asker, to.callers)
	for i := range askers {
		askers[i] = ask
	}
	return askers, func() { _ = conn.Close() }, nil
}

module github.com/sidegate/sidegate/filter/dialecttest

go 1.26.8

require (
	github.com/rongcloud/server-sdk-go/v3 v3.3.0
	github.com/sidegate/sidegate v0.0.0
	go.uber.org/goleak v1.3.0
)

require (
	github.com/astaxie/beego v1.12.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/kr/text v0.2.0 // indirect
	github.com/rogpeppe/go-internal v1.16.0 // indirect
	gopkg.in/yaml.v2 v2.2.1 // indirect
)

require (
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/pgx/v5 v5.12.0 // indirect
	github.com/stretchr/testify v1.12.1 // indirect
	golang.org/x/text v0.43.0 // indirect
)

replace github.com/sidegate/sidegate => ../..

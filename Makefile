# The version is what `sidegate version` and the metric build_info show.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
# Go refuses to build where git refuses to read, as in a checkout of another user.
BUILDVCS := $(shell git rev-parse HEAD >/dev/null 2>&1 && echo true || echo false)
LDFLAGS := -X main.version=$(VERSION)
# What is released and what the image holds knows besides from where it is.
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
DATE ?= $(shell TZ=UTC git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ 2>/dev/null || echo unknown)

# New fuzz targets are found by name; each runs for this long in the smoke test.
FUZZTIME ?= 5s
BENCHTIME ?= 1s
# A regular expression; nothing is left out unless it is given.
RACESKIP ?= ^$$
RACEPKGS ?= ./...
COVER := coverage.out
TOOLS := bin/tools

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: postgres build ## Start sidegate on a private Postgres with demo data (ARGS="--check-listen=…")
	@exec ./bin/sidegate dev $(ARGS)

.PHONY: test
test: postgres ## Run all tests, each with a private Postgres where it needs one
	go test ./...

.PHONY: build
build: ## Build bin/sidegate
	@go build -trimpath -buildvcs=$(BUILDVCS) -ldflags "$(LDFLAGS)" -o bin/sidegate ./cmd/sidegate

# Static, without what only a debugger reads, and the same bytes from the same sources
# wherever they are built: version control and folders leave no trace but the stamps.
.PHONY: static
static: ## Build bin/static/sidegate as it is released
	@CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION) -X main.buildRevision=$(REVISION) -X main.buildDate=$(DATE)" -o bin/static/sidegate ./cmd/sidegate

.PHONY: release-check
release-check: ## Build bin/release for every target, with SBOMs and checksums; publishes nothing
	@rm -rf bin/release
	@for target in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64; do \
		os=$${target%/*}; arch=$${target#*/}; suffix=; if [ $$os = windows ]; then suffix=.exe; fi; echo "building for $$target"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION) -X main.buildRevision=$(REVISION) -X main.buildDate=$(DATE)" \
			-o bin/release/sidegate_$${os}_$$arch$$suffix ./cmd/sidegate || exit 1; done
	@go run ./deploy/release bin/release && cat bin/release/checksums.txt

.PHONY: image
image: ## Build the container image sidegate:VERSION (needs an engine)
	docker build -f deploy/Dockerfile -t sidegate:$(VERSION) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) --build-arg DATE=$(DATE) .

.PHONY: image-check
image-check: postgres static ## Start what the image would hold, as it would; builds no image
	@go run ./deploy/image check bin/static/sidegate

.PHONY: size
size: postgres static ## Print the size of the binary, of the image and of an idle process; fail over a bound
	@go run ./deploy/image size bin/static/sidegate

.PHONY: lint
lint: fmt vet staticcheck golangci ## Run every linter

.PHONY: fmt
fmt: ## Fail if a file is not formatted
	@files=$$(gofmt -l bench cache cmd deploy docs filter metrics sync); \
	if [ -n "$$files" ]; then echo "not formatted (gofmt -w):"; echo "$$files"; exit 1; fi

.PHONY: vet
vet: ## Run go vet
	go vet ./...

.PHONY: staticcheck
staticcheck: $(TOOLS)/staticcheck ## Run staticcheck
	$(TOOLS)/staticcheck ./...

.PHONY: golangci
golangci: $(TOOLS)/golangci-lint ## Run golangci-lint: import rules, errors
	$(TOOLS)/golangci-lint run

# The linters are built from the versions that .ci/tools/go.mod pins.
$(TOOLS)/staticcheck: .ci/tools/go.mod .ci/tools/go.sum
	go -C .ci/tools build -o $(CURDIR)/$@ honnef.co/go/tools/cmd/staticcheck

$(TOOLS)/golangci-lint: .ci/tools/go.mod .ci/tools/go.sum
	go -C .ci/tools build -o $(CURDIR)/$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: race
race: postgres ## Run all tests under the race detector (RACESKIP leaves tests out, RACEPKGS names packages)
	go test -race -short -skip '$(RACESKIP)' $(RACEPKGS)

# In make test each fault strikes twice, in make race once, and those that take long do not strike.
.PHONY: chaos
chaos: postgres ## Let every fault happen to the program, write docs/concepts/faults.md (RUN=TestFaultDiskFull for one)
	go -C cmd/sidegate test -run '$(or $(RUN),^TestFault)' -count=1 -timeout 90m -args -chaos

SOAK ?= 10m
.PHONY: soak
soak: postgres ## Two sidecars under load and faults for SOAK (10m), one page about it (SEED=… repeats the faults)
	go -C cmd/sidegate test -run '^TestSoak$$' -v -count=1 -timeout 3h -args -soak $(SOAK) -soakseed $(or $(SEED),0)

# A module of its own: what the SDKs need never reaches the program. The results
# are not cached: the tests build the program, which go test cannot know.
.PHONY: dialects
dialects: postgres node ## Run the vendors' SDKs against the program, print what holds of each dialect
	@go -C filter/dialecttest test -count=1 -timeout 30m -json ./... 2>&1 | \
		go run filter/dialecttest/matrix/main.go filter/dialecttest/matrix/rows.go

# A module of its own, too. The results are not cached, for the same reason.
.PHONY: alerts
alerts: postgres prometheus ## Test the alert rules, with promtool and with a real Prometheus beside the program
	go -C deploy/observetest test -count=1 -timeout 15m ./...

# A module of its own, too; not cached, and without vet, which would read all of
# Kubernetes' types a second time.
.PHONY: kube
kube: postgres ## Hold the Kubernetes manifests and charts to the API's types and to the program
	go -C deploy/kubetest test -count=1 -vet=off ./...

# A module of its own as well.
.PHONY: packaging
packaging: ## Read Dockerfile and compose file as BuildKit and Compose do
	go -C deploy/packagetest test -count=1 ./...

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (5s)
	@.ci/fuzz $(FUZZTIME)

.PHONY: bench
bench: postgres build bench-peers ## Measure sidegate beside its peers: bench/RESULTS.md (ARGS="-only beside")
	go run ./bench $(ARGS)

.PHONY: bench-quick
bench-quick: postgres build ## A glance at every measurement, on little data; writes nothing
	go run ./bench -quick $(ARGS)

.PHONY: bench-micro
bench-micro: postgres ## Run every Go benchmark for BENCHTIME (1s; 1x = once)
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...

# A module of its own, and never a reason to fail: what cannot be built is not
# compared with, and the results say so.
.PHONY: bench-peers
bench-peers: ## Build what sidegate is measured beside: bin/peers
	@.ci/peers

.PHONY: cover
cover: postgres ## Measure what the tests reach: coverage.out
	go test -coverpkg=./... -coverprofile=$(COVER) ./...
	@go tool cover -func=$(COVER) | tail -1

.PHONY: docs
docs: ## Write what is generated: the pages of docs/reference, the dashboards of Grafana
	@go run ./cmd/sidegate docs --openapi filter/server/openapi
	@go run ./cmd/sidegate docs
	@go run ./deploy/grafana/generate

.PHONY: rules
rules: ## Write the files of deploy/prometheus that are made: objectives, operator, sloth
	go -C deploy/observetest test . -count=1 -run TestGenerated -update

.PHONY: clean
clean: ## Remove what was built; the data of `make run` (.sidegate) stays
	rm -rf bin $(COVER)

.PHONY: postgres
postgres:
	@.ci/postgres

.PHONY: prometheus
prometheus:
	@.ci/prometheus

.PHONY: node
node:
	@.ci/node

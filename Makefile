# Everything a person or CI runs. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GOLANGCI := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.12.2
TEMPL    := go run github.com/a-h/templ/cmd/templ@v0.3.1020
STATIC   := CGO_ENABLED=0 go build -trimpath -ldflags "-s -w"
# Whose tests run with the race detector: where something may be reached by several (.ci/racy). Of the
# console itself, whose pages it makes five times as slow, those that have several at work.
RACY      = $(shell .ci/racy)
CROWDED  := Stream|Reader|Terminal|Tunnel|Stopping|AtOnce|Once|Outlives|Task|Twice|Queue|Session
# The others, and those whose arithmetic is cut short under the race detector.
PLAIN     = $(shell .ci/racy -v) ./agent/cpu/drill

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: deps build ## set everything up, vet two virtual hosts for real, write the reports (KEEP=1 stays up)
	build/vetting-lab demo $(if $(KEEP),--keep)

.PHONY: test
test: deps build ## set everything up, run unit, integration and virtual-host tests
	.ci/gotest -timeout 20m -shuffle=on ./ui $(PLAIN)
	.ci/gotest -timeout 20m -race -shuffle=on -run '$(CROWDED)' ./ui
	lone=$$(.ci/lone) && .ci/gotest -timeout 20m -race -shuffle=on -skip "$$lone" $(RACY)
	lone=$$(.ci/lone) && .ci/gotest -timeout 20m -shuffle=on -run "$$lone" $$(.ci/lone -p)
	.ci/e2e

.PHONY: build
build: image ## build/vetting (static, boot image inside), build/vetting-agent, build/vetting-lab
	mkdir -p build
	$(STATIC) -o build/vetting ./cmd/vetting
	$(STATIC) -o build/vetting-agent ./cmd/vetting-agent
	$(STATIC) -o build/vetting-lab ./cmd/vetting-lab
	@ls -l build/vetting | awk '{printf "build/vetting: %.1f MiB\n", $$5/1048576}'

.PHONY: package
package: build ## build/vetting_*.deb and a container image (*.oci.tar) of the built program
	go run ./cmd/vetting-package

.PHONY: image
image: ## kernel, initramfs and iPXE from signed Debian 13 packages (LOCK=strict refuses newer ones)
	go run ./initramfs/build $(if $(LOCK),-lock $(LOCK))

.PHONY: agent
agent: ## development loop: only the agent, as a last initramfs segment, then the binary
	go run ./initramfs/build -agent-only
	mkdir -p build
	$(STATIC) -o build/vetting ./cmd/vetting

.PHONY: screenshots
screenshots: ## build/screenshots: every page in every scene, phone and desk, light and dark, by a browser
	mkdir -p build/screenshots
	VETTING_PICTURES=$(CURDIR)/build/screenshots go test ./ui -count=1 -timeout 30m -run '^TestPictures$$'

.PHONY: toolpack
toolpack: ## build/toolpack: smartctl of this Debian's packages, as an overlay for disks behind RAID controllers
	initramfs/toolpack build/toolpack

.PHONY: generate
generate: ## regenerate the templates of the console
	$(TEMPL) generate

.PHONY: check
check: ## the fast loop: vet, unit tests with the race detector
	go vet ./...
	go test -race -shuffle=on -count=1 ./...

.PHONY: lint
lint: ## golangci-lint, pinned
	GOLANGCI_LINT_CACHE=$(CURDIR)/build/lint-cache $(GOLANGCI) run --allow-parallel-runners ./...

.PHONY: bench
bench: deps build ## benchmarks beside their peers, a line a figure (BENCH=name for one)
	BENCH="$(BENCH)" .ci/bench

.PHONY: endure
endure: deps build ## long campaigns (kills, fuzzing, clean runs); dates their results in docs/endurance.md
	.ci/endure

.PHONY: deps
deps: ## install what the targets above need (Debian or Ubuntu, as root)
	@.ci/deps

.PHONY: clean
clean: ## remove what was built
	rm -rf build
	find initramfs/blobs -mindepth 1 ! -name README -delete

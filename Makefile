# Two commands to start with: `make demo` and `make test`. `make` alone lists the rest.

CARGO ?= cargo
# Debian packages that building and testing need, each with a program or header that shows it is there.
PACKAGES := gcc:cc libc6-dev:/usr/include/stdio.h ca-certificates:/etc/ssl/certs/ca-certificates.crt curl:curl \
            python3:python3 procps:ps sqlite3:sqlite3 util-linux:unshare mount:mount

.DEFAULT_GOAL := help
.PHONY: help deps demo test soak bench lint ci

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install what building and testing need, where it is missing (Debian, Ubuntu)
	@command -v $(firstword $(CARGO)) >/dev/null || { echo "Rust is missing: install it from https://rustup.rs and try again." >&2; exit 1; }
	@missing=; \
	for entry in $(PACKAGES); do \
	  sign=$${entry#*:}; \
	  case $$sign in /*) [ -e "$$sign" ] ;; *) command -v "$$sign" >/dev/null ;; esac || missing="$$missing $${entry%%:*}"; \
	done; \
	[ -z "$$missing" ] && exit 0; \
	command -v apt-get >/dev/null || { echo "Missing, and there is no apt-get to install them:$$missing" >&2; exit 1; }; \
	as_root=; [ "$$(id -u)" = 0 ] || as_root="sudo -n"; \
	echo "Installing$$missing"; \
	export DEBIAN_FRONTEND=noninteractive; \
	$$as_root apt-get update -qq </dev/null && $$as_root apt-get install -y -qq --no-install-recommends $$missing </dev/null

demo: deps ## build, and watch services being deployed, scaled, healed and stopped
	$(CARGO) run --locked --package fogline -- demo

test: deps ## all tests
	$(CARGO) test --locked --workspace --no-fail-fast

soak: deps ## all tests, and those that take minutes: twenty seeds of the crash test, long simulations
	$(CARGO) test --locked --workspace --no-fail-fast
	$(CARGO) test --locked --package fogline --package fogline-sim --tests --no-fail-fast -- --ignored

bench: deps ## the benchmarks, which print their figures
	$(CARGO) bench --locked --workspace --bench '*'

lint: deps ## formatting, clippy, licences, purity, tidiness
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) deny --log-level error check licenses sources
	$(CARGO) deny --log-level error --exclude-dev check bans
	$(CARGO) xtask purity
	$(CARGO) xtask tidy

ci: ## what the gate runs
	./.ci/run

# Two commands to start with: `make demo` and `make test`. `make` alone lists the rest.

CARGO ?= cargo
# Debian packages that building and testing need, each with a program or file that shows it is there. Servers among them
# are not started when they are installed: tests start their own. A package that a release does not have (docker-cli is part
# of docker.io in some) is passed over, as long as its program comes with another.
PACKAGES := gcc:cc libc6-dev:/usr/include/stdio.h ca-certificates:/etc/ssl/certs/ca-certificates.crt curl:curl \
            python3:python3 procps:ps sqlite3:sqlite3 util-linux:unshare mount:mount postgresql:/usr/lib/postgresql/*/bin/postgres \
            docker.io:dockerd docker-cli:docker docker-registry:docker-registry tini:tini prometheus:prometheus redis-server:redis-server \
            podman:podman netavark:/usr/lib/podman/netavark iptables:iptables iproute2:ip openssl:openssl wrk:wrk nginx-light:nginx haproxy:haproxy

.DEFAULT_GOAL := help
.PHONY: help deps demo test soak bench lint ci

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install what building and testing need, where it is missing (Debian, Ubuntu)
	@command -v $(firstword $(CARGO)) >/dev/null || { echo "Rust is missing: install it from https://rustup.rs and try again." >&2; exit 1; }
	@PATH="$$PATH:/usr/sbin:/sbin"; \
	absent() { for entry in $(PACKAGES); do \
	  sign=$${entry#*:}; \
	  case $$sign in /*) set -- $$sign; [ -e "$$1" ] ;; *) command -v "$$sign" >/dev/null ;; esac || printf ' %s' "$${entry%%:*}"; \
	done; }; \
	missing=$$(absent); \
	[ -z "$$missing" ] && exit 0; \
	command -v apt-get >/dev/null || { echo "Missing, and there is no apt-get to install them:$$missing" >&2; exit 1; }; \
	as_root=; [ "$$(id -u)" = 0 ] || as_root="sudo -n"; \
	echo "Installing$$missing"; \
	policy=/usr/sbin/policy-rc.d; \
	if [ ! -e $$policy ]; then \
	  trap "$$as_root rm -f $$policy" EXIT; \
	  printf '#!/bin/sh\nexit 101\n' | $$as_root tee $$policy >/dev/null && $$as_root chmod 755 $$policy || exit 1; \
	fi; \
	export DEBIAN_FRONTEND=noninteractive; \
	$$as_root apt-get update -qq </dev/null || exit 1; \
	known=; for name in $$missing; do apt-cache show "$$name" >/dev/null 2>&1 && known="$$known $$name"; done; \
	$$as_root apt-get install -y -qq --no-install-recommends $$known </dev/null || exit 1; \
	missing=$$(absent); \
	[ -z "$$missing" ] || { echo "Still missing:$$missing" >&2; exit 1; }

demo: deps ## build, and watch services being deployed, scaled, healed and stopped
	$(CARGO) run --locked --package fogline -- demo

test: deps ## all tests
	$(CARGO) test --locked --workspace --no-fail-fast

soak: deps ## all tests, and those that take minutes: twenty seeds of the crash test, long simulations
	$(CARGO) test --locked --workspace --no-fail-fast
	$(CARGO) test --locked --package fogline --package fogline-agent --package fogline-proxy --package fogline-sim --tests --no-fail-fast -- --ignored

bench: deps ## the benchmarks, which print their figures
	$(CARGO) bench --locked --profile dist --workspace --bench '*'

lint: deps ## formatting, clippy, licences, purity, tidiness
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) deny --log-level error check licenses sources
	$(CARGO) deny --log-level error --exclude-dev check bans
	$(CARGO) xtask purity
	$(CARGO) xtask tidy

ci: ## what the gate runs
	./.ci/run

# Thin names for the tasks; `cargo xtask --help` says what each does.

.PHONY: dev test generate check

dev:
	cargo xtask dev

test:
	cargo xtask test

generate:
	cargo xtask gen-crd

check:
	.ci/run

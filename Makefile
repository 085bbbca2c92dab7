# Thin names for the tasks; `cargo xtask --help` and manifests/installation.sh say what each does.

# What is installed, from manifests/overlays, and the image of both its containers.
OVERLAY ?= standalone
IMG ?=
KUBECTL ?= kubectl
CARGO ?= cargo
# The flags of the controller that `make run` starts.
ARGS ?= --userid-header kubeflow-userid --userid-prefix ""
# yes: `make uninstall` may delete Profiles and their namespaces.
CONFIRM ?=
export OVERLAY IMG KUBECTL CONFIRM

.PHONY: dev test generate check install deploy undeploy uninstall run docker-build

dev:
	cargo xtask dev

test:
	cargo xtask test

generate:
	cargo xtask gen-crd

check:
	.ci/run

# The CRD alone, into the cluster of the current kubeconfig.
install:
	manifests/installation.sh install

# An overlay: make deploy OVERLAY=kubeflow IMG=registry.example.com/profile-controller:v1
deploy:
	manifests/installation.sh deploy

# Takes the controller away; Profiles and their namespaces stay.
undeploy:
	manifests/installation.sh undeploy

# Takes everything away. Lists the Profiles and namespaces that would go, and deletes them only with CONFIRM=yes.
uninstall:
	manifests/installation.sh uninstall

# The controller on this machine, for the cluster of the current kubeconfig; it needs `make install` before.
run:
	$(CARGO) run -p profile-controller -- $(ARGS)

docker-build:
	docker build -t $(if $(IMG),$(IMG),ghcr.io/kubeflow/profile-controller:dev) .

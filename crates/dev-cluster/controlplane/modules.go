//go:build modules

// This file keeps the module that carries Istio's CustomResourceDefinitions in
// go.mod; nothing of it is compiled.
package main

import _ "istio.io/api/security/v1"

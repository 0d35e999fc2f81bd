// Package httpboot talks HTTP to boot firmware, to iPXE and, for its seed, to our
// agent. Files lie in memory and are sent from there without being copied.
//
// It is built on fasthttp, which takes what firmware sends (no Host, odd headers,
// HTTP/1.0 with keep-alive) and never redirects: UEFI and shim follow no redirect.
// Every request is decided anew by the address it comes from.
package httpboot

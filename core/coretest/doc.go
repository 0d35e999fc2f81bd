// Package coretest helps tests: an in-memory core.Ledger that keeps every
// promise written in core/ledger.go, a clock that is wound by hand, and builders
// of hosts, runs and inventories. Nothing of it belongs in the product.
package coretest

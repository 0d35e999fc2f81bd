// Package storetest says what a core.Ledger must do, as tests: the one on the
// disk, the one in memory and the fake of the tests all pass them.
package storetest

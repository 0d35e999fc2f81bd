//go:build race

package cpu_test

// slowly says that the race detector watches: arithmetic takes twenty times as long.
const slowly = true

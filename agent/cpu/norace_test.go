//go:build !race

package cpu_test

const slowly = false
